//! The calls of MS-EVEN6 that Rollcall makes, one file each with its number and its section.
//!
//! A [`Call`] becomes the stub of a request, and the stub of the response becomes its answer.
//! Opening a subscription or a query gives two handles: one to read with, one to cancel with.

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

pub use batch::Batch;
pub use cancel::Cancel;
pub use close::{Close, Closed};
pub use log_info::{GetLogFileInfo, LogInfo, LogProperty};
pub use log_query::{Order, RegisterLogQuery};
pub use next::RemoteSubscriptionNext;
pub use next_async::RemoteSubscriptionNextAsync;
pub use open_log::{OpenLogHandle, OpenedLog};
pub use opened::{ChannelStatus, Opened};
pub use query_next::QueryNext;
pub use subscribe::{Delivery, Gaps, RegisterRemoteSubscription, Start};
pub use wait::RemoteSubscriptionWaitAsync;

use std::time::Duration;

use super::Status;
use crate::msrpc::Uuid;
use crate::msrpc::ndr::{BadStub, Reader, Writer};

/// The interface (MS-EVEN6 section 2.1.1), for the endpoint mapper and for binding to it.
pub const INTERFACE: Uuid = Uuid::new(0xf6be_aff7, 0x1e19, 0x4fbb, 0x9f8f_b89e_2018_337c);

/// Its version, major and minor.
pub const VERSION: (u16, u16) = (1, 0);

/// `MAX_RPC_RECORD_COUNT`: more events no answer has, and no call may ask for.
pub const RECORDS: u32 = 1024;

/// `MAX_RPC_BATCH_SIZE`, in bytes: the events of one answer.
pub const BATCH: usize = 2 << 20;

/// `MAX_RPC_CHANNEL_NAME_LENGTH`, in UTF-16 units with the NUL.
const CHANNEL_NAME: usize = 512;

/// `MAX_RPC_QUERY_LENGTH` and `MAX_RPC_BOOKMARK_LENGTH`, in UTF-16 units with the NUL.
const TEXT: usize = 1 << 20;

/// A call, and how its answer is read.
pub trait Call {
    /// The number of the operation in the interface.
    const OPNUM: u16;

    /// What the server answers.
    type Answer<'a>;

    /// The stub of the request.
    ///
    /// # Errors
    /// [`BadCall`] for what no server would take.
    fn stub(&self) -> Result<Vec<u8>, BadCall>;

    /// From the stub of the response.
    ///
    /// # Errors
    /// [`BadStub`] when it is not what the interface says.
    fn answer(stub: &[u8]) -> Result<Self::Answer<'_>, BadStub>;
}

/// Why a call cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    /// A text is longer than the interface allows.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// A text that would end early.
    #[error("{0} has a NUL character in it")]
    Nul(&'static str),
    /// None, or more than [`RECORDS`].
    #[error("between 1 and {RECORDS} events can be asked for")]
    Records,
}

/// A text that a call may hold: `called` is its name, for the error.
fn checked<'a>(text: &'a str, called: &'static str, most: usize) -> Result<&'a str, BadCall> {
    if text.contains('\0') {
        return Err(BadCall::Nul(called));
    }
    match text.encode_utf16().count() < most {
        true => Ok(text),
        false => Err(BadCall::TooLong(called)),
    }
}

fn checked_records(records: u32) -> Result<u32, BadCall> {
    match (1..=RECORDS).contains(&records) {
        true => Ok(records),
        false => Err(BadCall::Records),
    }
}

/// A time in milliseconds as calls have it; the largest number would be for ever, and is not given.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

/// The text that may not be missing.
fn write_text(writer: &mut Writer, text: &str) {
    writer.align(4);
    writer.wide_string(text);
}

/// The return value, with which every answer ends.
fn read_status(mut reader: Reader<'_>) -> Result<Status, BadStub> {
    let status = Status::from_code(reader.u32()?);
    reader.finish()?;
    Ok(status)
}
