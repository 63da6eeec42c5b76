//! EvtRpcRemoteSubscriptionWaitAsync: the response arrives when a pull subscription has events, so
//! that the client need not poll (MS-EVEN6 section 3.1.4.11).

use super::{BadCall, Call, read_status};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Waits for events without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionWaitAsync {
    /// The handle of the subscription.
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
