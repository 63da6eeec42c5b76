//! The MS-EVEN6 calls that Rollcall makes, one file each with opnum and section.
//!
//! An [`EventLogCall`] encodes the stub of a request and decodes the stub of the response. Opening
//! a subscription or a query returns two handles: one for reading, one for cancellation.

mod batch;
mod cancel;
mod close;
mod log_info;
mod log_query;
mod next;
mod next_async;
mod open_log;
mod opened;
mod query_next;
mod subscribe;
#[cfg(test)]
mod tests;
mod wait;

pub use batch::EventBatch;
pub use cancel::Cancel;
pub use close::{Close, Closed};
pub use log_info::{GetLogFileInfo, LogInfo, LogProperty};
pub use log_query::{EventOrder, RegisterLogQuery};
pub use next::RemoteSubscriptionNext;
pub use next_async::RemoteSubscriptionNextAsync;
pub use open_log::{OpenLogHandle, OpenedLog};
pub use opened::{ChannelStatus, OpenedHandles};
pub use query_next::QueryNext;
pub use subscribe::{Delivery, GapPolicy, RegisterRemoteSubscription, SubscriptionStart};
pub use wait::RemoteSubscriptionWaitAsync;

use std::time::Duration;

use super::CallStatus;
use crate::msrpc::Uuid;
use crate::msrpc::ndr::{NdrError, NdrReader, NdrWriter};

/// The interface (MS-EVEN6 section 2.1.1), for the endpoint mapper and the bind.
pub const INTERFACE: Uuid = Uuid::new(0xf6be_aff7, 0x1e19, 0x4fbb, 0x9f8f_b89e_2018_337c);

/// The major and minor version of the interface.
pub const VERSION: (u16, u16) = (1, 0);

/// `MAX_RPC_RECORD_COUNT`: the maximum number of events in a response.
pub const RECORDS: u32 = 1024;

/// `MAX_RPC_BATCH_SIZE`: the maximum size of the events in a response, in bytes.
pub const BATCH: usize = 2 << 20;

/// `MAX_RPC_CHANNEL_NAME_LENGTH`, in UTF-16 units including the NUL.
const CHANNEL_NAME: usize = 512;

/// `MAX_RPC_QUERY_LENGTH` and `MAX_RPC_BOOKMARK_LENGTH`, in UTF-16 units including the NUL.
const TEXT: usize = 1 << 20;

/// A call and the decoder of its response.
pub trait EventLogCall {
    /// The operation number in the interface.
    const OPNUM: u16;

    /// The response.
    type Response<'a>;

    /// Encodes the stub of the request.
    ///
    /// # Errors
    /// [`EventLogCallError`] for parameters that the interface does not allow.
    fn stub(&self) -> Result<Vec<u8>, EventLogCallError>;

    /// Decodes the stub of the response.
    ///
    /// # Errors
    /// [`NdrError`] when the stub does not match the interface.
    fn decode(stub: &[u8]) -> Result<Self::Response<'_>, NdrError>;
}

/// Why a call cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventLogCallError {
    /// A text is longer than the interface allows.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// A text with a NUL, which would end it early.
    #[error("{0} has a NUL character")]
    Nul(&'static str),
    /// Zero, or more than [`RECORDS`].
    #[error("a request must be for 1 to {RECORDS} events")]
    Records,
}

/// Checks a text parameter; `called` is its name in the error.
fn checked<'a>(
    text: &'a str,
    called: &'static str,
    most: usize,
) -> Result<&'a str, EventLogCallError> {
    if text.contains('\0') {
        return Err(EventLogCallError::Nul(called));
    }
    match text.encode_utf16().count() < most {
        true => Ok(text),
        false => Err(EventLogCallError::TooLong(called)),
    }
}

fn checked_records(records: u32) -> Result<u32, EventLogCallError> {
    match (1..=RECORDS).contains(&records) {
        true => Ok(records),
        false => Err(EventLogCallError::Records),
    }
}

/// A time in milliseconds. The maximum value means infinite and is not used.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

/// A string that must not be null.
fn write_text(writer: &mut NdrWriter, text: &str) {
    writer.align(4);
    writer.wide_string(text);
}

/// The return value, which ends every response.
fn read_status(mut reader: NdrReader<'_>) -> Result<CallStatus, NdrError> {
    let status = CallStatus::from_code(reader.u32()?);
    reader.finish()?;
    Ok(status)
}
