//! EvtRpcRemoteSubscriptionWaitAsync: the response arrives when a pull subscription has events, so
//! that the client need not poll (MS-EVEN6 section 3.1.4.11).

use super::{EventLogCall, EventLogCallError, read_status};
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

/// Waits for events without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteSubscriptionWaitAsync {
    /// The handle of the subscription.
    pub handle: ContextHandle,
}

impl EventLogCall for RemoteSubscriptionWaitAsync {
    const OPNUM: u16 = 3;
    type Response<'a> = CallStatus;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<CallStatus, NdrError> {
        read_status(NdrReader::new(stub))
    }
}
