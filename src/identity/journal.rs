//! The ordered log of events. An event is acknowledged only after it is committed here.

mod group_commit;
mod ledger;
mod recovery;

use std::sync::Arc;

pub use self::group_commit::{
    GroupOutcome, JournalBatch, JournalEntry, JournalRequest, commit_group,
};
pub use self::ledger::{PositionLedger, ReadPositions};
pub use self::recovery::{RecoveryProgress, RevisionRange};
use crate::{Event, Name, Revision, Rules, Table, TableSnapshot, Timestamp};

/// The journal could not accept events. No event of the batch was written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal is not writable: {0}")]
pub struct JournalError(pub String);

/// What a producer reads: an event log, a directory or a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadSource {
    /// The configured name of the producer.
    pub producer: Name,
    /// The producer's own name for the source.
    pub name: Name,
}

/// A producer's position in a source: a bookmark, a cookie or an update sequence number. It is
/// committed together with the events that it covers, so that after a crash neither is ahead of the
/// other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPosition {
    /// The source.
    pub source: ReadSource,
    /// The position, in the producer's own encoding; at most [`ReadPosition::LIMIT`] bytes.
    pub position: Arc<[u8]>,
}

impl ReadPosition {
    /// The maximum size of a position, in bytes. A DirSync cookie (MS-ADTS 3.1.1.3.4.1.3) of a
    /// large forest has some kilobytes.
    pub const LIMIT: usize = 1 << 20;
}

/// Receives the table as of the last position committed when it was requested.
pub type CheckpointSink = Box<dyn FnOnce(TableSnapshot) + Send>;

/// The first two steps of append, commit, apply, publish. Called by one thread.
pub trait Journal: Send {
    /// The epoch of this journal's positions. A consumer of another epoch needs a full resync.
    fn epoch(&self) -> u64;

    /// Returns the table after all committed events, applied by `rules`, and the last position.
    /// Called once, before the first append.
    ///
    /// # Errors
    /// If the committed events cannot be determined.
    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError>;

    /// Appends `events` in order and returns the position of the first. They must not be published
    /// before [`Journal::commit`] returns. `read` becomes durable together with them.
    ///
    /// # Errors
    /// If no event could be appended.
    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError>;

    /// Makes all appended events durable and returns the last durable position.
    ///
    /// # Errors
    /// If durability is uncertain: no event since the last commit may be acknowledged.
    fn commit(&mut self) -> Result<Revision, JournalError>;

    /// The same as [`Journal::restore`], at any time, for a cache that lost its table together with
    /// all other copies. `None` if the journal keeps nothing.
    ///
    /// # Errors
    /// If the journal cannot be read now.
    fn reload(&mut self, _rules: &Rules) -> Result<Option<(Table, Revision)>, JournalError> {
        Ok(None)
    }

    /// Sets the rules by which later commits are applied.
    fn set_rules(&mut self, _rules: &Rules) {}

    /// Reports that committed events may not have been applied up to the last one and will not be.
    /// The table after the current commit is authoritative; the next [`Journal::maintain`] requests
    /// it.
    fn invalidate_checkpoint(&mut self) {}

    /// The last committed position in `source`.
    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>>;

    /// Why the journal is not writable; `None` while it is.
    fn write_error(&self) -> Option<&JournalError> {
        None
    }

    /// Runs maintenance at `now`: called after each commit, and once a second while idle. Returns a
    /// sink if the journal needs the current table.
    fn maintain(&mut self, _now: Timestamp) -> Option<CheckpointSink> {
        None
    }

    /// Shuts down cleanly. `last` is the table as of a committed position, if available.
    fn close(&mut self, _last: Option<TableSnapshot>) {}
}

/// A journal in memory: it assigns positions and keeps nothing, so state lives as long as the
/// process.
#[derive(Debug)]
pub struct MemoryJournal {
    epoch: u64,
    ledger: PositionLedger,
}

impl MemoryJournal {
    /// An empty journal. `epoch` must differ from every earlier one, for example the start time of
    /// the process in milliseconds.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, ledger: PositionLedger::default() }
    }
}

impl Journal for MemoryJournal {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn restore(&mut self, _: &Rules) -> Result<(Table, Revision), JournalError> {
        Ok((Table::default(), self.ledger.committed()))
    }

    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError> {
        Ok(self.ledger.append(events.len(), read))
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        Ok(self.ledger.commit())
    }

    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
        self.ledger.read_positions().get(source).cloned()
    }
}
