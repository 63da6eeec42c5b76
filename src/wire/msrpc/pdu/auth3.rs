//! rpc_auth_3: the third and last token of an authentication, without a response. MS-RPCE section
//! 2.2.2.10.

use super::Kind;
use super::header::{Draft, Flags};

/// The PDU has only four bytes of padding and the token.
#[derive(Debug)]
pub(in crate::msrpc) struct Auth3;

impl Auth3 {
    pub(in crate::msrpc) fn draft(&self, call_id: u32) -> Draft {
        Draft { kind: Kind::Auth3, flags: Flags::WHOLE, call_id, body: vec![0; 4] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::AuthType;

    #[test]
    fn it_is_all_token() {
        let pdu = Auth3.draft(1).proving(AuthType::Ntlm, b"authenticate").unwrap();
        let wanted = b"\x05\0\x10\x03\x10\0\0\0\x28\0\x0c\0\x01\0\0\0\0\0\0\0\
            \x0a\x06\0\0\0\0\0\0authenticate";
        assert_eq!(pdu, wanted);
    }
}
