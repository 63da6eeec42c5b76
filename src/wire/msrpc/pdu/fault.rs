//! fault: a call failed. C706 section 12.6.4.7.

use super::{PduError, ReceivedPdu};
use crate::msrpc::FaultStatus;
use crate::msrpc::ndr::{NdrError, NdrReader};

/// The PDU without its stub, which is undefined.
#[derive(Debug)]
pub(in crate::msrpc) struct FaultPdu {
    pub(in crate::msrpc) status: FaultStatus,
}

impl FaultPdu {
    /// The number of bytes that are never encrypted: up to the four bytes after the status. Samba
    /// does not sign faults, and other Windows clients read the status in clear.
    pub(in crate::msrpc) const CLEAR: usize = 32;

    pub(in crate::msrpc) fn read(pdu: &ReceivedPdu) -> Result<Self, PduError> {
        Self::fields(&mut NdrReader::new(pdu.body())).map_err(PduError::cut(pdu.header().kind))
    }

    fn fields(reader: &mut NdrReader<'_>) -> Result<Self, NdrError> {
        reader.bytes(8)?; // alloc_hint, p_cont_id, cancel_count, a reserved byte
        Ok(Self { status: FaultStatus(reader.u32()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_named() {
        // The responses of Samba 4.17.12 to operation 200 of its endpoint mapper, to six bytes that
        // are not a stub of ept_map, and to an unbound presentation context.
        for (status, wanted) in [
            (0x1c01_0002_u32, "nca_s_op_rng_error"),
            (0x0000_06f7, "rpc_x_bad_stub_data"),
            (0x1c01_0003, "nca_s_unk_if"),
        ] {
            let mut pdu =
                b"\x05\0\x03\x23\x10\0\0\0\x20\0\0\0\x04\0\0\0\x18\0\0\0\0\0\0\0".to_vec();
            pdu.extend(status.to_le_bytes());
            pdu.extend([0; 4]);
            let pdu = ReceivedPdu::read(pdu).unwrap();
            assert_eq!(FaultPdu::read(&pdu).unwrap().status.name(), Some(wanted));
        }
    }

    #[test]
    fn it_has_a_status() {
        let pdu = b"\x05\0\x03\x23\x10\0\0\0\x1a\0\0\0\x04\0\0\0\x18\0\0\0\0\0\0\0\x02\0";
        let pdu = ReceivedPdu::read(pdu.to_vec()).unwrap();
        assert_eq!(FaultPdu::read(&pdu).unwrap_err().to_string(), "fault: ends within a field");
    }
}
