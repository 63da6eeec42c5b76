//! rpc_auth_3: the third and last token of an authentication, without a response. MS-RPCE section
//! 2.2.2.10.

use super::PduType;
use super::header::{PduBuilder, PduFlags};

/// The PDU has only four bytes of padding and the token.
#[derive(Debug)]
pub(in crate::msrpc) struct Auth3;

impl Auth3 {
    pub(in crate::msrpc) fn builder(&self, call_id: u32) -> PduBuilder {
        PduBuilder { kind: PduType::Auth3, flags: PduFlags::WHOLE, call_id, body: vec![0; 4] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::AuthType;

    #[test]
    fn it_has_only_the_token() {
        let pdu = Auth3.builder(1).with_token(AuthType::Ntlm, b"authenticate").unwrap();
        let wanted = b"\x05\0\x10\x03\x10\0\0\0\x28\0\x0c\0\x01\0\0\0\0\0\0\0\
            \x0a\x06\0\0\0\0\0\0authenticate";
        assert_eq!(pdu, wanted);
    }
}
