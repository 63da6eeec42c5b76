//! The event log of a Windows server: how MS-EVEN6 subscribes to it, and what the events say.
//!
//! A [`call`] goes over [`msrpc`](crate::msrpc). Its answer holds [`ResultSet`]s, one an event; a
//! [`Decoder`] reads the binary XML in them into a [`Record`] of named fields. Where reading stopped
//! is a [`Bookmark`].

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
