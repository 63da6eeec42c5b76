//! EvtRpcQueryNext: the next events of a query (MS-EVEN6 section 3.1.4.13).

use std::time::Duration;

use super::{EventBatch, EventLogCall, EventLogCallError, checked_records, milliseconds};
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrWriter};

/// Requests events; [`CallStatus::NoMoreItems`](crate::event_log::CallStatus) after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryNext {
    /// The handle of the query.
    pub handle: ContextHandle,
    /// The maximum number of events, 1 to [`RECORDS`](super::RECORDS).
    pub records: u32,
    /// How long the server may search.
    pub timeout: Duration,
}

impl EventLogCall for QueryNext {
    const OPNUM: u16 = 11;
    type Response<'a> = EventBatch<'a>;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        writer.u32(checked_records(self.records)?);
        writer.u32(milliseconds(self.timeout));
        writer.u32(0);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<EventBatch<'_>, NdrError> {
        EventBatch::read(stub)
    }
}
