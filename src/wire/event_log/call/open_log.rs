//! EvtRpcOpenLogHandle: a handle for the properties of a log (MS-EVEN6 section 3.1.4.19).

use super::{CHANNEL_NAME, EventLogCall, EventLogCallError, checked, read_status, write_text};
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

/// Opens a log. The right to read its events is sufficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLogHandle<'a> {
    /// For instance `Security`.
    pub channel: &'a str,
}

/// The log, when [`OpenedLog::status`] is a success; otherwise the handle is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedLog {
    /// The handle for [`GetLogFileInfo`](super::GetLogFileInfo).
    pub handle: ContextHandle,
    /// Whether the log was opened.
    pub status: CallStatus,
}

/// The name is a channel, not a file.
const CHANNEL: u32 = 1;

impl EventLogCall for OpenLogHandle<'_> {
    const OPNUM: u16 = 17;
    type Response<'a> = OpenedLog;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        write_text(&mut writer, checked(self.channel, "the channel", CHANNEL_NAME)?);
        writer.u32(CHANNEL);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<OpenedLog, NdrError> {
        let mut reader = NdrReader::new(stub);
        let handle = reader.context_handle()?;
        // RpcInfo: error, sub-error and its parameter, which add nothing to the status.
        for _ in 0..3 {
            reader.u32()?;
        }
        Ok(OpenedLog { handle, status: read_status(reader)? })
    }
}
