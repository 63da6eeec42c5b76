//! bind_ack and alter_context_resp: the negotiated parameters. C706 sections 12.6.4.4 and 12.6.4.2.

use super::{ContextRejection, PduError, ReceivedPdu, presentation};
use crate::msrpc::ndr::{NdrError, NdrReader};

/// The server's answer to a bind or an alter_context.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::msrpc) struct BindAck {
    /// The maximum PDU size that the server accepts.
    pub(in crate::msrpc) max_receive: u16,
    /// `assoc_group_id`: context handles are shared by the associations of a group.
    pub(in crate::msrpc) group: u32,
    pub(in crate::msrpc) verdict: Result<(), ContextRejection>,
}

impl BindAck {
    pub(in crate::msrpc) fn read(pdu: &ReceivedPdu) -> Result<Self, PduError> {
        Self::fields(&mut NdrReader::new(pdu.body())).map_err(PduError::cut(pdu.header().kind))
    }

    fn fields(reader: &mut NdrReader<'_>) -> Result<Self, NdrError> {
        reader.u16()?; // max_xmit_frag: what comes is measured anyhow
        let (max_receive, group) = (reader.u16()?, reader.u32()?);
        // sec_addr, the port as text, is known from the connection.
        let length = reader.u16()?;
        reader.bytes(length.into())?;
        reader.align(4)?;
        Ok(Self { max_receive, group, verdict: presentation::read(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::{PduErrorKind, ProviderReason};

    /// The response of Samba 4.17.12 to a bind to its endpoint mapper on port 135.
    const ACCEPTED: &[u8] = b"\x05\0\x0c\x03\x10\0\0\0\x3c\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\
        \x99\x0a\0\0\x04\x00135\0\0\0\x01\0\0\0\0\0\0\0\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\
        \x08\0\x2b\x10\x48\x60\x02\0\0\0";

    fn read(pdu: &[u8]) -> Result<BindAck, PduError> {
        BindAck::read(&ReceivedPdu::read(pdu.to_vec()).unwrap())
    }

    #[test]
    fn interface_is_accepted() {
        let wanted = BindAck { max_receive: 5840, group: 0xa99, verdict: Ok(()) };
        assert_eq!(read(ACCEPTED), Ok(wanted));
    }

    #[test]
    fn rejection_is_named() {
        // The same server, for ISystemActivator, and for an unknown transfer syntax.
        let rejected = |reason| {
            let mut pdu = ACCEPTED.to_vec();
            pdu[36..].fill(0);
            (pdu[36], pdu[38]) = (2, reason);
            read(&pdu).unwrap().verdict.unwrap_err()
        };
        let wanted = "the server rejected the interface: abstract_syntax_not_supported";
        assert_eq!(rejected(1).to_string(), wanted);
        assert_eq!(
            rejected(2).reason(),
            Some(ProviderReason::ProposedTransferSyntaxesNotSupported)
        );
        assert_eq!(rejected(9).to_string(), "the server rejected the interface: reason 9");
    }

    #[test]
    fn unexpected_results_are_rejected() {
        for (at, value, wanted) in [
            (32, 2, ContextRejection::Results(2)),
            (32, 0, ContextRejection::Results(0)),
            (36, 1, ContextRejection::User(0)),
            (36, 3, ContextRejection::Unknown(3)),
            (40, 5, ContextRejection::TransferSyntax),
        ] {
            let mut pdu = ACCEPTED.to_vec();
            pdu[at] = value;
            assert_eq!(read(&pdu).unwrap().verdict, Err(wanted));
        }
    }

    #[test]
    fn truncated_pdu_is_rejected() {
        for length in 16..ACCEPTED.len() {
            let mut pdu = ACCEPTED[..length].to_vec();
            pdu[8] = u8::try_from(length).unwrap();
            assert_eq!(read(&pdu).unwrap_err().problem, PduErrorKind::Truncated, "{length}");
        }
        let mut pdu = ACCEPTED.to_vec();
        (pdu[24], pdu[25]) = (0xff, 0xff);
        assert_eq!(read(&pdu).unwrap_err().to_string(), "bind_ack: ends within a field");
    }
}
