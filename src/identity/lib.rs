//! Who is behind an IP address, decided: events go in, a table is folded, changes come out.
//!
//! This crate is pure. It does no I/O, reads no clock, and names no runtime: every time it needs is
//! a field of an [`Event`] or a parameter, so that the same events always give the same table.
//!
//! ```text
//! Event ──► Table::apply(revision, event, rules) ──► Decision { verdict, change }
//!                                                        │
//!                                   ChangeLog ◄── Change ┘   read by cursor, filter and page
//! ```

mod address;
mod answerer;
mod cause;
mod change;
mod change_log;
mod chronicle;
mod decider;
pub mod delivery;
pub mod directory;
mod event;
mod filter;
mod group_set;
mod handover;
mod journal;
pub mod logon;
mod name;
mod record;
mod revision;
mod rules;
mod session;
mod sid;
#[cfg(test)]
mod stories;
mod succession;
mod table;
mod time;
mod verdict;

pub use address::{Address, Unusable};
pub use answerer::Answerer;
pub use cause::Cause;
pub use change::{Change, Effect};
pub use change_log::{BadCursor, ChangeLog, Cursor, Found, Limits, Page, Request};
pub use chronicle::{Chronicle, Departure, Stay};
pub use decider::{Decider, Receipt, TakenOver};
pub use event::{Event, Kind, Origin, Posture, Producer, Proof, Roles};
pub use filter::Filter;
pub use group_set::{GroupSet, Membership};
pub use handover::{Competed, Ended, Handover, Memory, Standing};
pub use journal::{
    Batched, Continuity, Journal, JournalError, Ledger, MemoryJournal, Order, Places, ReadPosition,
    Served, Source, Span, Survey, serve,
};
pub use name::{BadName, Name, Principal, Spelling, Spellings};
pub use record::Record;
pub use revision::Revision;
pub use rules::{Authority, Glob, Globs, IgnoreRules, Rules, Sharing};
pub use session::Session;
pub(crate) use sid::Sid;
pub use succession::{Beginning, Legacy, Office, Offices, Outdated, Tenure};
pub use table::{Decision, Explanation, Table};
pub use time::{Jump, Precision, Steady, Timestamp};
pub use verdict::{Refusal, Rule, Verdict};
