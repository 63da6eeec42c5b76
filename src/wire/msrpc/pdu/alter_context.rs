//! alter_context: the next step of an authentication. C706 section 12.6.4.1.

use super::header::{PduBuilder, PduFlags};
use super::{Bind, PduType};

/// The body of the bind, with the next token. The response, alter_context_resp, has the layout of a
/// bind_ack.
#[derive(Debug)]
pub(in crate::msrpc) struct AlterContext(pub(in crate::msrpc) Bind);

impl AlterContext {
    pub(in crate::msrpc) fn builder(&self, call_id: u32) -> PduBuilder {
        let flags = PduFlags::WHOLE.and(PduFlags::HEADER_SIGN);
        PduBuilder { kind: PduType::AlterContext, flags, call_id, body: self.0.body() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::{AuthType, endpoint_mapper};

    #[test]
    fn it_repeats_the_bind() {
        let bind = Bind { interface: endpoint_mapper::INTERFACE, max_fragment: 5840, group: 0 };
        let first = bind.authenticated(1).with_token(AuthType::Spnego, b"token").unwrap();
        let next = AlterContext(bind).builder(2).with_token(AuthType::Spnego, b"token").unwrap();
        assert_eq!(next[16..], first[16..]);
        assert_eq!((next[2], next[12]), (14, 2));
    }
}
