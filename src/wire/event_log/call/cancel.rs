//! EvtRpcCancel: cancels a pending call (MS-EVEN6 section 3.1.4.34).

use super::{BadCall, Call, read_status};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Cancels the pending calls of a subscription or a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// [`OpenedHandles::control`](super::OpenedHandles), not the handle used for reading.
    pub control: ContextHandle,
}

impl Call for Cancel {
    const OPNUM: u16 = 14;
    type Answer<'a> = Status;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        writer.context_handle(&self.control);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Status, BadStub> {
        read_status(Reader::new(stub))
    }
}
