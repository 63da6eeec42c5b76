//! response: a response, or a fragment of one. C706 section 12.6.4.10.

use super::{PduError, PduErrorKind, ReceivedPdu, presentation};
use crate::msrpc::ndr::NdrReader;

/// One fragment, decrypted if it was sealed.
#[derive(Debug)]
pub(in crate::msrpc) struct ResponsePdu<'a> {
    pub(in crate::msrpc) stub: &'a [u8],
}

impl<'a> ResponsePdu<'a> {
    /// The number of bytes before the stub, including the common header: never encrypted.
    pub(in crate::msrpc) const CLEAR: usize = 24;

    /// `alloc_hint` is ignored, because the server may set it to any value.
    pub(in crate::msrpc) fn read(pdu: &'a ReceivedPdu) -> Result<Self, PduError> {
        let kind = pdu.header().kind;
        let mut reader = NdrReader::new(pdu.body());
        let head = reader.bytes(4).and_then(|_| reader.u16());
        let context = head.map_err(PduError::cut(kind))?;
        let rest = reader.bytes(2).and_then(|_| reader.bytes(reader.remaining()));
        let stub = rest.map_err(PduError::cut(kind))?;
        match context {
            presentation::CONTEXT => Ok(Self { stub }),
            _ => Err(PduError::of(kind, PduErrorKind::Context)),
        }
    }
}
