//! The event log of a Windows server: the MS-EVEN6 calls that subscribe to it, and the decoding of
//! events.
//!
//! A [`call`] is sent over [`msrpc`](crate::msrpc). Its response contains [`ResultSet`]s, one per
//! event. A [`Decoder`] decodes their binary XML into an [`EventRecord`] with named fields. A
//! [`Bookmark`] is the position in the log.

mod audit_record;
mod binxml;
mod bookmark;
mod bytes;
pub mod call;
mod continuity;
mod decoder;
mod field_path;
mod query;
mod record;
mod recorded_event;
mod result_set;
mod status;
mod system;
mod system_element;
#[cfg(test)]
mod tests;

pub use audit_record::AuditRecord;
pub use binxml::{Ansi, Array, BinXmlError, CalendarTime, FileTime, Limits, Sid, Utf16, Value};
pub use bookmark::{Bookmark, BookmarkError, ChannelPosition, Current};
pub use continuity::{Continuity, LogReset, LostRecords};
pub use decoder::Decoder;
pub use field_path::{EventSection, FieldPath};
pub use query::{EventLogQuery, EventLogQueryError, EventSelection};
pub use record::{EventField, EventRecord};
pub use recorded_event::{RecordedEvent, RecordedEventError};
pub use result_set::{ReadDirection, RecordPosition, ResultSet, ResultSetError};
pub use status::CallStatus;
pub use system::System;
