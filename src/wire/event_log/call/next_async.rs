//! EvtRpcRemoteSubscriptionNextAsync: the next events of a push subscription; the response is
//! delayed until there are events (MS-EVEN6 section 3.1.4.9).

use super::{BadCall, Batch, Call, checked_records};
use crate::msrpc::ndr::{BadStub, ContextHandle, Writer};

/// Requests events and waits for them without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionNextAsync {
    /// The handle of the subscription.
    pub handle: ContextHandle,
    /// The maximum number of events, 1 to [`RECORDS`](super::RECORDS).
    pub records: u32,
}

impl Call for RemoteSubscriptionNextAsync {
    const OPNUM: u16 = 1;
    type Answer<'a> = Batch<'a>;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        writer.u32(checked_records(self.records)?);
        writer.u32(0);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Batch<'_>, BadStub> {
        Batch::read(stub)
    }
}
