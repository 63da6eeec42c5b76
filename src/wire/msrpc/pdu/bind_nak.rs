//! bind_nak: the server rejects the bind. C706 section 12.6.4.5, MS-RPCE section 2.2.2.9.

use std::fmt;

use super::{PduError, ReceivedPdu};
use crate::msrpc::ndr::NdrReader;

/// `provider_reject_reason`: why the server rejects a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BindNakReason(pub u16);

impl BindNakReason {
    /// The name in C706 section 12.6.3 or MS-RPCE section 2.2.2.5, if defined.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "reason_not_specified",
            1 => "temporary_congestion",
            2 => "local_limit_exceeded",
            3 => "called_paddr_unknown",
            4 => "protocol_version_not_supported",
            5 => "default_context_not_supported",
            6 => "user_data_not_readable",
            7 => "no_psap_available",
            8 => "authentication_type_not_recognized",
            9 => "invalid_checksum",
            _ => return None,
        })
    }
}

impl fmt::Display for BindNakReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "reason {}", self.0),
        }
    }
}

/// The PDU. The protocol versions after the reason are not used.
#[derive(Debug)]
pub(in crate::msrpc) struct BindNak {
    pub(in crate::msrpc) reason: BindNakReason,
}

impl BindNak {
    pub(in crate::msrpc) fn read(pdu: &ReceivedPdu) -> Result<Self, PduError> {
        let reason = NdrReader::new(pdu.body()).u16();
        let reason = reason.map_err(PduError::cut(pdu.header().kind))?;
        Ok(Self { reason: BindNakReason(reason) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_named() {
        // The responses of Samba 4.17.12 to a bind with version 4, and with auth_type 99.
        for (reason, wanted) in [
            (4, "protocol_version_not_supported"),
            (8, "authentication_type_not_recognized"),
            (77, "reason 77"),
        ] {
            let pdu =
                [5, 0, 13, 3, 16, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0, reason, 0, 1, 5, 0, 0, 0, 0];
            let pdu = ReceivedPdu::read(pdu.to_vec()).unwrap();
            assert_eq!(BindNak::read(&pdu).unwrap().reason.to_string(), wanted);
        }
    }

    #[test]
    fn it_has_a_reason() {
        let pdu = [5, 0, 13, 3, 16, 0, 0, 0, 17, 0, 0, 0, 1, 0, 0, 0, 4];
        let pdu = ReceivedPdu::read(pdu.to_vec()).unwrap();
        assert_eq!(BindNak::read(&pdu).unwrap_err().to_string(), "bind_nak: ends within a field");
    }
}
