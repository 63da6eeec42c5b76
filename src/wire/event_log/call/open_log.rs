//! EvtRpcOpenLogHandle: a handle to ask about a log itself, not for its events (MS-EVEN6 section
//! 3.1.4.19).

use super::{BadCall, CHANNEL_NAME, Call, checked, read_status, write_text};
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, Writer};

/// Opens a log, which takes no other right than reading its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLogHandle<'a> {
    /// For instance `Security`.
    pub channel: &'a str,
}

/// The log, when [`OpenedLog::status`] is a success; else the handle is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedLog {
    /// For [`GetLogFileInfo`](super::GetLogFileInfo).
    pub handle: ContextHandle,
    /// Whether it was opened.
    pub status: Status,
}

/// It is the name of a channel and not of a file.
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
        // RpcInfo: error, sub-error and its parameter, which say no more than the status.
        for _ in 0..3 {
            reader.u32()?;
        }
        Ok(OpenedLog { handle, status: read_status(reader)? })
    }
}
