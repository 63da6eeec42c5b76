//! The one ordered log of events. What is in it is acknowledged; what is not is not.

mod group_commit;
mod ledger;
mod recovery;

use std::sync::Arc;

pub use self::group_commit::{GroupOutcome, JournalBatch, JournalRequest, commit_group};
pub use self::ledger::{PositionLedger, ReadPositions};
pub use self::recovery::{RecoveryProgress, RevisionRange};
use crate::{Event, Name, Revision, Rules, Table, TableSnapshot, Timestamp};

/// Why the journal could not take events. Nothing of the batch is in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot take events: {0}")]
pub struct JournalError(pub String);

/// What a producer reads: one event log, one directory, one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadSource {
    /// The configured name of the producer.
    pub producer: Name,
    /// Its own name for what it reads.
    pub name: Name,
}

/// How far a producer has read: a bookmark, a cookie, an update sequence number. It is committed
/// together with the events that it covers, so that after a crash neither is ahead of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPosition {
    /// In what.
    pub source: ReadSource,
    /// How far, in the producer's own bytes; at most [`ReadPosition::LIMIT`].
    pub position: Arc<[u8]>,
}

impl ReadPosition {
    /// The longest place, in bytes. A DirSync cookie (MS-ADTS 3.1.1.3.4.1.3) of a large forest has
    /// some kilobytes.
    pub const LIMIT: usize = 1 << 20;
}

/// Takes the table as it stands after everything that was committed when it was asked for.
pub type CheckpointSink = Box<dyn FnOnce(TableSnapshot) + Send>;

/// Append, commit, fold, fan out: the first two. Called by one thread.
pub trait Journal: Send {
    /// The life of this journal's positions. A consumer that remembers another epoch must start
    /// from nothing.
    fn epoch(&self) -> u64;

    /// The table that everything committed so far folds to by `rules`, and the last position that
    /// is in it. Called once, before anything is appended.
    ///
    /// # Errors
    /// When it cannot be said at all what was committed.
    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError>;

    /// Appends `events` in order and returns the position of the first. They may not be shown to
    /// anybody before [`Journal::commit`] returned. `read` becomes durable together with them.
    ///
    /// # Errors
    /// When none of them could be appended.
    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError>;

    /// Makes everything appended durable, and returns the last position that is.
    ///
    /// # Errors
    /// When it is not known to be durable: nothing since the last commit may be acknowledged.
    fn commit(&mut self) -> Result<Revision, JournalError>;

    /// The same as [`Journal::restore`], at any time, for a cache that lost its table together with
    /// everybody else who knew it. `None` when nothing is kept.
    ///
    /// # Errors
    /// When it cannot be read now.
    fn reload(&mut self, _rules: &Rules) -> Result<Option<(Table, Revision)>, JournalError> {
        Ok(None)
    }

    /// From now on, what is committed is folded by `rules`.
    fn set_rules(&mut self, _rules: &Rules) {}

    /// What was committed may not have been folded to its last event, and will not be: the table as
    /// it stands after what is committed now is the truth. The next [`Journal::maintain`] asks for it.
    fn invalidate_checkpoint(&mut self) {}

    /// How far `source` was read, as last committed.
    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>>;

    /// Why it takes no events at the moment; `None` while it does.
    fn write_error(&self) -> Option<&JournalError> {
        None
    }

    /// Does at `now` what is to be done between commits: called after each, and once a second while
    /// there is none. When it wants to know the table, it says what takes it.
    fn maintain(&mut self, _now: Timestamp) -> Option<CheckpointSink> {
        None
    }

    /// Ends well. `last` is the table as of some committed position, when somebody could tell.
    fn close(&mut self, _last: Option<TableSnapshot>) {}
}

/// A journal that hands out positions and keeps nothing: the state lives as long as the process.
#[derive(Debug)]
pub struct MemoryJournal {
    epoch: u64,
    ledger: PositionLedger,
}

impl MemoryJournal {
    /// An empty journal. `epoch` must differ from that of every earlier one, for instance the
    /// milliseconds of the process's start.
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
