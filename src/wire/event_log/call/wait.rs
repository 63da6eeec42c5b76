//! EvtRpcRemoteSubscriptionWaitAsync: answered when a subscription that is pulled has events, so
//! that nobody has to ask again and again (MS-EVEN6 section 3.1.4.11).

use super::{BadCall, Call, read_status};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Waits for events, however long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionWaitAsync {
    /// Of the subscription.
    pub handle: ContextHandle,
}

impl Call for RemoteSubscriptionWaitAsync {
    const OPNUM: u16 = 3;
    type Answer<'a> = Status;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Status, BadStub> {
        read_status(Reader::new(stub))
    }
}
