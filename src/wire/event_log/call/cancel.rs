//! EvtRpcCancel: cancels a pending call (MS-EVEN6 section 3.1.4.34).

use super::{EventLogCall, EventLogCallError, read_status};
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

/// Cancels the pending calls of a subscription or a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// [`OpenedHandles::control`](super::OpenedHandles), not the handle used for reading.
    pub control: ContextHandle,
}

impl EventLogCall for Cancel {
    const OPNUM: u16 = 14;
    type Response<'a> = CallStatus;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.control);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<CallStatus, NdrError> {
        read_status(NdrReader::new(stub))
    }
}
