//! EvtRpcRemoteSubscriptionNext: the next events of a pull subscription (MS-EVEN6 section
//! 3.1.4.10).

use std::time::Duration;

use super::{EventBatch, EventLogCall, EventLogCallError, checked_records, milliseconds};
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrWriter};

/// Requests events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionNext {
    /// The handle of the subscription.
    pub handle: ContextHandle,
    /// The maximum number of events, 1 to [`RECORDS`](super::RECORDS).
    pub records: u32,
    /// How long the server may search.
    pub timeout: Duration,
}

impl EventLogCall for RemoteSubscriptionNext {
    const OPNUM: u16 = 2;
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
