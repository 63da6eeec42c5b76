//! EvtRpcOpenLogHandle: a handle for the properties of a log (MS-EVEN6 section 3.1.4.19).

use super::{BadCall, CHANNEL_NAME, Call, checked, read_status, write_text};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

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
    pub status: Status,
}

/// The name is a channel, not a file.
const CHANNEL: u32 = 1;

impl Call for OpenLogHandle<'_> {
    const OPNUM: u16 = 17;
    type Answer<'a> = OpenedLog;

    fn stub(&self) -> Result<Vec<u8>, BadCall> {
        let mut writer = Writer::new();
        write_text(&mut writer, checked(self.channel, "the channel", CHANNEL_NAME)?);
        writer.u32(CHANNEL);
        Ok(writer.finish())
    }

    fn answer(stub: &[u8]) -> Result<OpenedLog, BadStub> {
        let mut reader = Reader::new(stub);
        let handle = reader.context_handle()?;
        // RpcInfo: error, sub-error and its parameter, which add nothing to the status.
        for _ in 0..3 {
            reader.u32()?;
        }
        Ok(OpenedLog { handle, status: read_status(reader)? })
    }
}
