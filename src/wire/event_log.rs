//! The event log of a Windows server: how MS-EVEN6 subscribes to it, and what the events say.
//!
//! Calls go over [`msrpc`](crate::msrpc), one file each in [`call`]. An answer holds
//! [result sets](result_set), one an event; a [`Decoder`] reads the binary XML in them into a
//! [`Record`] of named fields. Where reading stopped is a [`Bookmark`].

mod binxml;
mod bytes;
mod record;
mod system;

pub use binxml::{
    Ansi, Array, CalendarTime, Decoder, FileTime, Limits, Problem, Sid, Utf16, Value,
};
pub use record::{Field, Record, Section};
pub use system::System;
