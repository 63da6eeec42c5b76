//! alter_context: the next step of an authentication. C706 section 12.6.4.1.

use super::header::{Draft, Flags};
use super::{Bind, Kind};

/// The body of the bind, with the next token. The response, alter_context_resp, has the layout of a
/// bind_ack.
#[derive(Debug)]
pub(in crate::msrpc) struct AlterContext(pub(in crate::msrpc) Bind);

impl AlterContext {
    pub(in crate::msrpc) fn draft(&self, call_id: u32) -> Draft {
        let flags = Flags::WHOLE.and(Flags::HEADER_SIGN);
        Draft { kind: Kind::AlterContext, flags, call_id, body: self.0.body() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::{AuthType, endpoint_mapper};

    #[test]
    fn it_says_what_the_bind_said() {
        let bind = Bind { interface: endpoint_mapper::INTERFACE, max_fragment: 5840, group: 0 };
        let first = bind.authenticated(1).proving(AuthType::Spnego, b"token").unwrap();
        let next = AlterContext(bind).draft(2).proving(AuthType::Spnego, b"token").unwrap();
        assert_eq!(next[16..], first[16..]);
        assert_eq!((next[2], next[12]), (14, 2));
    }
}
