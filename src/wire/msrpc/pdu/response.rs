//! response: a response, or a fragment of one. C706 section 12.6.4.10.

use super::{BadPdu, PduProblem, Received, presentation};
use crate::msrpc::ndr::Reader;

/// One fragment, decrypted if it was sealed.
#[derive(Debug)]
pub(in crate::msrpc) struct Response<'a> {
    pub(in crate::msrpc) stub: &'a [u8],
}

impl<'a> Response<'a> {
    /// The number of bytes before the stub, including the common header: never encrypted.
    pub(in crate::msrpc) const CLEAR: usize = 24;

    /// `alloc_hint` is ignored, because the server may set it to any value.
    pub(in crate::msrpc) fn read(pdu: &'a Received) -> Result<Self, BadPdu> {
        let kind = pdu.header().kind;
        let mut reader = Reader::new(pdu.body());
        let head = reader.bytes(4).and_then(|_| reader.u16());
        let context = head.map_err(BadPdu::cut(kind))?;
        let rest = reader.bytes(2).and_then(|_| reader.bytes(reader.remaining()));
        let stub = rest.map_err(BadPdu::cut(kind))?;
        match context {
            presentation::CONTEXT => Ok(Self { stub }),
            _ => Err(BadPdu::of(kind, PduProblem::Context)),
        }
    }
}
