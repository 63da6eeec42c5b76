//! EvtRpcRemoteSubscriptionNext: the next events of a subscription that is pulled (MS-EVEN6 section
//! 3.1.4.10).

use std::time::Duration;

use super::{BadCall, Batch, Call, checked_records, milliseconds};
use crate::msrpc::ndr::{BadStub, ContextHandle, Writer};

/// Asks for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionNext {
    /// Of the subscription.
    pub handle: ContextHandle,
    /// How many there may be, 1 to [`RECORDS`](super::RECORDS).
    pub records: u32,
    /// How long the server may look for them.
    pub timeout: Duration,
}

impl Call for RemoteSubscriptionNext {
    const OPNUM: u16 = 2;
    type Answer<'a> = Batch<'a>;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        writer.u32(checked_records(self.records)?);
        writer.u32(milliseconds(self.timeout));
        writer.u32(0);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Batch<'_>, BadStub> {
        Batch::read(stub)
    }
}
