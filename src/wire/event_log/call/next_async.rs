//! EvtRpcRemoteSubscriptionNextAsync: the next events of a push subscription; the response is
//! delayed until there are events (MS-EVEN6 section 3.1.4.9).

use super::{EventBatch, EventLogCall, EventLogCallError, checked_records};
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrWriter};

/// Requests events and waits for them without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionNextAsync {
    /// The handle of the subscription.
    pub handle: ContextHandle,
    /// The maximum number of events, 1 to [`RECORDS`](super::RECORDS).
    pub records: u32,
}

impl EventLogCall for RemoteSubscriptionNextAsync {
    const OPNUM: u16 = 1;
    type Response<'a> = EventBatch<'a>;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        writer.u32(checked_records(self.records)?);
        writer.u32(0);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<EventBatch<'_>, NdrError> {
        EventBatch::read(stub)
    }
}
