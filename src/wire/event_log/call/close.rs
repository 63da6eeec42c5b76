//! EvtRpcClose: closes a handle (MS-EVEN6 section 3.1.4.33).

use super::{BadCall, Call, read_status};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Closes a handle of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// A handle of a subscription or a query, or its control handle.
    pub handle: ContextHandle,
}

/// The response to [`Close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Null when the handle was closed.
    pub handle: ContextHandle,
    /// Whether the server knew the handle.
    pub status: Status,
}

impl Call for Close {
    const OPNUM: u16 = 13;
    type Answer<'a> = Closed;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        writer.context_handle(&self.handle);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<Closed, BadStub> {
        let mut reader = Reader::new(stub);
        let handle = reader.context_handle()?;
        Ok(Closed { handle, status: read_status(reader)? })
    }
}
