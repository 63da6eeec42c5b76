//! The events of one response.

use super::{BATCH, RECORDS, read_status};
use crate::event_log::{CallStatus, ResultSet, ResultSetError};
use crate::msrpc::ndr::{NdrError, NdrErrorKind, NdrReader};

/// The response of all three calls that read events. Events can be returned with
/// [`CallStatus::Timeout`]: those found in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch<'a> {
    /// Whether the requested number of events was returned.
    pub status: CallStatus,
    offsets: Vec<u32>,
    sizes: Vec<u32>,
    buffer: &'a [u8],
}

impl<'a> EventBatch<'a> {
    /// The events, in order. An event that cannot be unwrapped does not affect the others.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Result<ResultSet<'a>, ResultSetError>> {
        self.offsets.iter().zip(&self.sizes).map(|(offset, size)| {
            let place = usize::try_from(*offset).ok().zip(usize::try_from(*size).ok());
            let bytes = place.and_then(|(at, size)| self.buffer.get(at..at.checked_add(size)?));
            ResultSet::read(bytes.ok_or(ResultSetError::Outside)?)
        })
    }

    pub(super) fn read(stub: &'a [u8]) -> Result<Self, NdrError> {
        let mut reader = NdrReader::new(stub);
        let count = reader.u32()?;
        let offsets = reader.unique(NdrReader::u32_array)?.unwrap_or_default();
        let sizes = reader.unique(NdrReader::u32_array)?.unwrap_or_default();
        let size = reader.u32()?;
        let buffer = reader.unique(NdrReader::byte_array)?.unwrap_or_default();
        let counted = |length| u32::try_from(length) == Ok(count);
        let agree = counted(offsets.len()) && counted(sizes.len());
        if !agree
            || u32::try_from(buffer.len()) != Ok(size)
            || count > RECORDS
            || buffer.len() > BATCH
        {
            return Err(reader.bad(NdrErrorKind::Value));
        }
        Ok(Self { status: read_status(reader)?, offsets, sizes, buffer })
    }
}
