//! The event log of a Windows server: the MS-EVEN6 calls that subscribe to it, and the decoding of
//! events.
//!
//! A [`call`] is sent over [`msrpc`](crate::msrpc). Its response contains [`ResultSet`]s, one per
//! event. A [`Decoder`] decodes their binary XML into an [`EventRecord`] with named fields. A
//! [`Bookmark`] is the position in the log.

mod binxml;
mod bookmark;
mod bytes;
pub mod call;
mod continuity;
mod decoder;
mod field_path;
mod logon;
mod query;
mod record;
mod recorded;
mod result_set;
mod status;
mod system;
mod system_element;
#[cfg(test)]
mod tests;

pub use binxml::{Ansi, Array, CalendarTime, FileTime, Limits, Problem, Sid, Utf16, Value};
pub use bookmark::{BadBookmark, Bookmark, Current, Mark};
pub use continuity::{BegunAnew, Continuity, Lost};
pub use decoder::Decoder;
pub use field_path::{Place, Section};
pub use logon::Audit;
pub use query::{BadQuery, Query, Selection};
pub use record::{Field, Record};
pub use recorded::{BadRecorded, Recorded};
pub use result_set::{BadResultSet, Direction, Position, ResultSet};
pub use status::Status;
pub use system::System;
