//! The one ordered log of events. What is in it is acknowledged; what is not is not.

use serde::{Deserialize, Serialize};

use crate::Event;

/// A position in the journal. Only the journal hands them out: they begin at 1 and never repeat
/// within an epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why the journal could not take events. Nothing of the batch is in it.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot take events: {0}")]
pub struct JournalError(pub String);

/// Append, commit, fold, fan out: the first two. Called by one thread.
pub trait Journal: Send {
    /// The life of this journal's positions. A consumer that remembers another epoch must start
    /// from nothing.
    fn epoch(&self) -> u64;

    /// Appends `events` in order and returns the position of the first. They may not be shown to
    /// anybody before [`Journal::commit`] returned.
    ///
    /// # Errors
    /// When none of them could be appended.
    fn append(&mut self, events: &[Event]) -> Result<Revision, JournalError>;

    /// Makes everything appended durable, and returns the last position that is.
    ///
    /// # Errors
    /// When it is not known to be durable: nothing since the last commit may be acknowledged.
    fn commit(&mut self) -> Result<Revision, JournalError>;
}

/// A journal that hands out positions and keeps nothing: the state lives as long as the process.
#[derive(Debug)]
pub struct MemoryJournal {
    epoch: u64,
    next: u64,
}

impl MemoryJournal {
    /// An empty journal. `epoch` must differ from that of every earlier one, for instance the
    /// milliseconds of the process's start.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, next: 1 }
    }
}

impl Journal for MemoryJournal {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn append(&mut self, events: &[Event]) -> Result<Revision, JournalError> {
        let first = Revision(self.next);
        self.next += events.len() as u64;
        Ok(first)
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        Ok(Revision(self.next - 1))
    }
}
