//! What a server answers when a subscription or a query is opened: the handles, and what became of
//! each channel.

use super::read_status;
use crate::event_log::Status;
use crate::msrpc::ndr::{BadStub, ContextHandle, Reader, StubProblem};

/// A subscription or a query, when [`Opened::status`] is a success; else the handles are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What to read with, and to close in the end.
    pub handle: ContextHandle,
    /// What to cancel a call with that uses the handle, and to close in the end.
    pub control: ContextHandle,
    /// What became of each channel of the query; empty with servers that do not say.
    pub channels: Vec<ChannelStatus>,
    /// `RpcInfo` (MS-EVEN6 section 2.2.1): error, sub-error and its parameter, when the query
    /// cannot be read.
    pub error: [u32; 3],
    /// Whether it was opened.
    pub status: Status,
}

/// `EvtRpcQueryChannelInfo` (MS-EVEN6 section 2.2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// For instance `Security`.
    pub name: Option<String>,
    /// Whether it can be read.
    pub status: Status,
}

/// `MAX_RPC_QUERY_CHANNEL_SIZE`.
const CHANNELS: usize = 512;

impl Opened {
    pub(super) fn read(stub: &[u8]) -> Result<Self, BadStub> {
        let mut reader = Reader::new(stub);
        let handle = reader.context_handle()?;
        let control = reader.context_handle()?;
        let count = reader.u32()?;
        let channels = reader.unique(channels)?.unwrap_or_default();
        if usize::try_from(count) != Ok(channels.len()) || channels.len() > CHANNELS {
            return Err(reader.bad(StubProblem::Value));
        }
        let error = [reader.u32()?, reader.u32()?, reader.u32()?];
        Ok(Self { handle, control, channels, error, status: read_status(reader)? })
    }
}

fn channels(reader: &mut Reader<'_>) -> Result<Vec<ChannelStatus>, BadStub> {
    let heads = reader.elements(8, |reader| Ok((reader.pointer()?, reader.u32()?)))?;
    let whole = heads.into_iter().map(|(name, code)| {
        let name = reader.referent(name, |reader| {
            reader.align(4)?;
            reader.wide_string()
        })?;
        Ok(ChannelStatus { name, status: Status::from_code(code) })
    });
    whole.collect()
}
