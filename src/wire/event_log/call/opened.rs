//! The response to opening a subscription or a query: the handles, and the status of each channel.

use super::read_status;
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrErrorKind, NdrReader};

/// The handles, when [`OpenedHandles::status`] is a success; otherwise they are null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedHandles {
    /// The handle for reading; must be closed.
    pub handle: ContextHandle,
    /// The handle for cancelling calls; must be closed.
    pub control: ContextHandle,
    /// The status of each channel of the query; empty if the server does not report it.
    pub channels: Vec<ChannelStatus>,
    /// `RpcInfo` (MS-EVEN6 section 2.2.1) of an invalid query: error, sub-error and its parameter.
    pub error: [u32; 3],
    /// Whether the subscription or query was opened.
    pub status: CallStatus,
}

/// `EvtRpcQueryChannelInfo` (MS-EVEN6 section 2.2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// For instance `Security`.
    pub name: Option<String>,
    /// Whether the channel can be read.
    pub status: CallStatus,
}

/// `MAX_RPC_QUERY_CHANNEL_SIZE`.
const CHANNELS: usize = 512;

impl OpenedHandles {
    pub(super) fn read(stub: &[u8]) -> Result<Self, NdrError> {
        let mut reader = NdrReader::new(stub);
        let handle = reader.context_handle()?;
        let control = reader.context_handle()?;
        let count = reader.u32()?;
        let channels = reader.unique(channels)?.unwrap_or_default();
        if usize::try_from(count) != Ok(channels.len()) || channels.len() > CHANNELS {
            return Err(reader.bad(NdrErrorKind::Value));
        }
        let error = [reader.u32()?, reader.u32()?, reader.u32()?];
        Ok(Self { handle, control, channels, error, status: read_status(reader)? })
    }
}

fn channels(reader: &mut NdrReader<'_>) -> Result<Vec<ChannelStatus>, NdrError> {
    let heads = reader.elements(8, |reader| Ok((reader.pointer()?, reader.u32()?)))?;
    let whole = heads.into_iter().map(|(name, code)| {
        let name = reader.referent(name, |reader| {
            reader.align(4)?;
            reader.wide_string()
        })?;
        Ok(ChannelStatus { name, status: CallStatus::from_code(code) })
    });
    whole.collect()
}
