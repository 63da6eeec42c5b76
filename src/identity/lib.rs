//! Decides which user or device is behind an IP address: events go in, the table changes, changes
//! come out.
//!
//! This crate is pure. It does no I/O, reads no clock and names no runtime. Every time is a field
//! of an [`Event`] or a parameter, so the same events always produce the same table.
//!
//! ```text
//! Event ──► Table::apply(revision, event, rules) ──► Decision { verdict, change }
//!                                                        │
//!                                   ChangeLog ◄── Change ┘   read by cursor, filter and page
//! ```
//!
//! [`engine`] orders this: it commits before it applies, and publishes before it acknowledges.

mod address;
mod cause;
mod change;
mod change_log;
pub mod delivery;
pub mod directory;
pub mod engine;
mod event;
mod filter;
mod glob;
mod grant;
mod group_set;
mod journal;
pub mod logon;
mod name;
mod record;
mod revision;
mod rules;
mod session;
mod sid;
mod table;
mod table_snapshot;
#[cfg(test)]
mod test_support;
mod time;
mod timeline;
mod verdict;

pub use address::{Address, UnusableAddress};
pub use cause::Cause;
pub use change::{Change, Effect};
pub use change_log::{
    BadCursor, ChangeLog, ChangeLogLimits, Cursor, Page, PageRequest, SearchPage,
};
pub use engine::Receipt;
pub use event::{Event, Kind, Origin, Posture, Producer, Proof, Roles};
pub use filter::Filter;
pub use glob::{BadGlob, Glob, Globs};
pub use grant::{Authority, Grant, RoleGrant};
pub use group_set::{GroupSet, Membership};
pub use journal::{
    CheckpointSink, GroupOutcome, Journal, JournalBatch, JournalEntry, JournalError,
    JournalRequest, MemoryJournal, PositionLedger, ReadPosition, ReadPositions, ReadSource,
    RecoveryProgress, RevisionRange, commit_group,
};
pub use name::{BadName, Name, Principal, Spelling, Spellings};
pub use record::DecisionRecord;
pub use revision::Revision;
pub use rules::{IgnoreRules, Rules, SharedAddressRule};
pub use session::{DetailSources, Session};
pub(crate) use sid::Sid;
pub use table::{Decision, Explanation, Table, UngrantedDetails};
pub use table_snapshot::{
    ActiveSession, EndedSession, MemorySnapshot, RetainedRecord, TableSnapshot,
};
pub use time::{JumpState, Precision, SteadyClock, Timestamp};
pub use timeline::{AddressTimeline, IntervalEnd, SessionInterval};
pub use verdict::{Refusal, Rule, Verdict};
