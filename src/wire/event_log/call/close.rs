//! EvtRpcClose: closes a handle (MS-EVEN6 section 3.1.4.33).

use super::{EventLogCall, EventLogCallError, read_status};
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

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
    pub status: CallStatus,
}

impl EventLogCall for Close {
    const OPNUM: u16 = 13;
    type Response<'a> = Closed;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<Closed, NdrError> {
        let mut reader = NdrReader::new(stub);
        let handle = reader.context_handle()?;
        Ok(Closed { handle, status: read_status(reader)? })
    }
}
