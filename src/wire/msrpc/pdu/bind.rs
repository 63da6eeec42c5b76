//! bind: requests an interface. C706 section 12.6.4.3.

use super::PduType;
use super::header::{PduBuilder, PduFlags};
use super::presentation;
use crate::msrpc::Interface;
use crate::msrpc::ndr::NdrWriter;

/// `MustRecvFragSize`: the PDU size that every implementation must accept (C706 section 12.6.3).
pub(in crate::msrpc) const MUST_RECEIVE: u16 = 1432;

/// The parameters of a bind, which an alter_context repeats.
#[derive(Debug, Clone, Copy)]
pub(in crate::msrpc) struct Bind {
    pub(in crate::msrpc) interface: Interface,
    /// The maximum PDU size in both directions; the server may lower it.
    pub(in crate::msrpc) max_fragment: u16,
    /// `assoc_group_id`: 0 asks for a new group.
    pub(in crate::msrpc) group: u32,
}

impl Bind {
    /// A bind without authentication.
    pub(in crate::msrpc) fn anonymous(&self, call_id: u32) -> PduBuilder {
        PduBuilder { kind: PduType::Bind, flags: PduFlags::WHOLE, call_id, body: self.body() }
    }

    /// A bind with a token, which also requests header signing.
    pub(in crate::msrpc) fn authenticated(&self, call_id: u32) -> PduBuilder {
        let flags = PduFlags::WHOLE.and(PduFlags::HEADER_SIGN);
        PduBuilder { kind: PduType::Bind, flags, call_id, body: self.body() }
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let mut writer = NdrWriter::new();
        writer.u16(self.max_fragment); // max_xmit_frag
        writer.u16(self.max_fragment); // max_recv_frag
        writer.u32(self.group);
        presentation::write(&self.interface, &mut writer);
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::{AuthType, endpoint_mapper};

    #[test]
    fn bind_matches_the_one_samba_accepted() {
        let bind = Bind { interface: endpoint_mapper::INTERFACE, max_fragment: 5840, group: 0 };
        let pdu = bind.anonymous(1).plain().unwrap();
        let wanted = b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\0\0\0\0\
            \x01\0\0\0\0\0\x01\0\x08\x83\xaf\xe1\x1f\x5d\xc9\x11\x91\xa4\x08\0\x2b\x14\xa0\xfa\
            \x03\0\0\0\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0\x2b\x10\x48\x60\x02\0\0\0";
        assert_eq!(pdu, wanted);
    }

    #[test]
    fn token_follows_its_verifier() {
        let bind = Bind { interface: endpoint_mapper::INTERFACE, max_fragment: 5840, group: 7 };
        let pdu = bind.authenticated(1).with_token(AuthType::Ntlm, b"NTLMSSP").unwrap();
        assert_eq!(pdu[..16], *b"\x05\0\x0b\x07\x10\0\0\0\x57\0\x07\0\x01\0\0\0");
        assert_eq!(pdu[20..24], [7, 0, 0, 0]);
        assert_eq!(pdu[72..], *b"\x0a\x06\0\0\0\0\0\0NTLMSSP");
    }
}
