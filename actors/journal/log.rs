//! The log: what a node appends to, follows and reads. There are two seams, one per direction.
//!
//! ```text
//!  batches of this node ──► Log::commit ──► one order, ──► Followed::Own      with its receipt
//!  batches of other writers ──────────────► one epoch  └─► Followed::Foreign  without a receipt
//!                                              │
//!                                              ▼
//!                                          LogReader ──► history, replay, backup, export,
//!                                                        erasure, sealing, recovery
//! ```
//!
//! * A [`Position`] is the revision of an event. The log assigns it, so it is known only when the
//!   entry comes back, not when it is appended.
//! * The epoch belongs to the log. All its writers and followers have the same epoch, so that any of
//!   them continues the cursor of another.
//! * A [`LogEntry`] is an event at its position. [`Log::commit`] returns the entries of all writers in
//!   the order of the log. A writer gets its own batches back as [`JournalEntry`]: the batch itself carries
//!   the receipt. Entries of other writers have no receipt.
//! * A [`LogReader`] gives committed entries again, in segments: a segment begins with the state of
//!   the table, so that reading can start there. History finds the events of one address by an index
//!   over the same segments (`archive_reader`).
//!
//! Three logs implement this: the journal on disk and the journal in memory, both as a [`LocalLog`],
//! and in tests a log that two writers share (`test_support::shared_log`).

use std::convert::Infallible;

use crossbeam_channel::Receiver;
use rollcall_identity::{
    Event, GroupOutcome, Journal, JournalBatch, JournalEntry, JournalError, JournalRequest,
    Revision, RevisionRange, TableSnapshot, Timestamp, commit_group,
};

use super::corruption::Corruption;
use super::event_reader::ReadSummary;
use super::rule_versions::RuleVersion;

/// A position in a log: the revision of an event and of the change that it causes.
pub type Position = Revision;

/// An event at its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The epoch of the position.
    pub epoch: u64,
    /// The position.
    pub position: Position,
    /// The event.
    pub event: Event,
}

/// Committed entries, as a follower gets them.
#[derive(Debug)]
pub enum Followed<B> {
    /// A batch of this writer, which carries its receipt.
    Own(JournalEntry<B>),
    /// Entries of another writer.
    Foreign(Vec<LogEntry>),
}

/// The result of a commit.
#[derive(Debug)]
pub struct CommitOutcome<B> {
    /// What the log committed since the last call, in the order of the log.
    pub followed: Vec<Followed<B>>,
    /// The batches of this writer that failed, each with the error.
    pub failed: Vec<(B, JournalError)>,
}

/// An ordered log that this node appends to and follows. Called by one thread.
pub trait Log<B>: Send {
    /// The epoch of the log.
    fn epoch(&self) -> u64;

    /// Appends `batches`, makes them durable, and returns everything that the log committed since
    /// the last call. Without batches it only follows.
    fn commit(&mut self, batches: &mut dyn Iterator<Item = B>) -> CommitOutcome<B>;

    /// Signals that entries of other writers are committed, so that the thread follows them; `None`
    /// for a log with one writer.
    fn wakeups(&self) -> Option<Receiver<()>> {
        None
    }

    /// The journal in which this node stores the log: its state, its read positions and its
    /// maintenance.
    fn storage(&mut self) -> &mut dyn Journal;
}

/// A log with one writer: the journal of this node.
pub struct LocalLog<J>(pub J);

impl<B: JournalBatch, J: Journal> Log<B> for LocalLog<J> {
    fn epoch(&self) -> u64 {
        self.0.epoch()
    }

    fn commit(&mut self, batches: &mut dyn Iterator<Item = B>) -> CommitOutcome<B> {
        let requests = batches.map(JournalRequest::<B, Infallible>::Append);
        let GroupOutcome { committed, failed, .. } = commit_group(&mut self.0, requests);
        CommitOutcome { followed: committed.into_iter().map(Followed::Own).collect(), failed }
    }

    fn storage(&mut self) -> &mut dyn Journal {
        &mut self.0
    }
}

/// A part of a log with one beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSegment {
    /// Its name, for messages.
    pub file: String,
    /// The last acknowledged position before it.
    pub after: Position,
    /// The position of its first entry.
    pub first: Position,
    /// The last acknowledged position in it, according to the next segment; `None` for the newest
    /// one, in which every valid entry counts.
    pub end: Option<Position>,
    /// The epoch of its positions.
    pub epoch: u64,
    /// When it was begun.
    pub begun: Timestamp,
    /// Whether it is sealed and never changes.
    pub is_sealed: bool,
    /// Whether its names were erased, so that its entries cannot be applied.
    pub is_nameless: bool,
    /// The fingerprint of the rules that decide its entries, up to the first rule version.
    pub(crate) rules: u64,
    /// The changes of the rules within it; `None` if they cannot be read.
    pub(crate) rule_versions: Option<Vec<RuleVersion>>,
}

impl LogSegment {
    /// The changes of the rules within the segment.
    pub(crate) fn rule_versions(&self) -> Result<&[RuleVersion], Corruption> {
        let unreadable = || Corruption::Missing(format!("the rule versions of {}", self.file));
        self.rule_versions.as_deref().ok_or_else(unreadable)
    }

    /// The range of its acknowledged entries.
    pub fn span(&self) -> RevisionRange {
        RevisionRange { after: Revision(0), upto: self.end.unwrap_or(Revision(u64::MAX)) }
    }
}

/// A segment as the log lists it.
#[derive(Debug)]
pub struct ListedSegment {
    /// The position of its first entry.
    pub first: Position,
    /// Its name, for messages.
    pub file: String,
    /// The segment, if its header can be read.
    pub segment: Result<LogSegment, Corruption>,
}

impl ListedSegment {
    /// The segment, or an error that names it.
    ///
    /// # Errors
    /// If its header cannot be read.
    pub fn readable(self) -> Result<LogSegment, Corruption> {
        let Self { file, segment, .. } = self;
        segment.map_err(|error| Corruption::Missing(format!("those of {file}: {error}")))
    }
}

/// Receives the entries of a read.
pub type EachEntry<'a> = &'a mut dyn FnMut(LogEntry) -> Result<(), Corruption>;

/// Reads the committed entries of a log, also while it is written.
pub trait LogReader {
    /// All segments, ascending.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn segments(&self) -> Result<Vec<ListedSegment>, Corruption>;

    /// Calls `each` for each valid entry of `segment` within `span`, in order.
    ///
    /// # Errors
    /// If the segment cannot be read at all, or `each` fails.
    fn read(
        &self,
        segment: &LogSegment,
        span: RevisionRange,
        each: EachEntry<'_>,
    ) -> Result<ReadSummary, Corruption>;

    /// The same for a caller that applies the entries: threads may read ahead.
    ///
    /// # Errors
    /// Like [`LogReader::read`].
    fn read_ahead(
        &self,
        segment: &LogSegment,
        span: RevisionRange,
        each: EachEntry<'_>,
    ) -> Result<ReadSummary, Corruption> {
        self.read(segment, span, each)
    }

    /// The state of the table at the beginning of `segment`; `None` if it is unknown.
    ///
    /// # Errors
    /// If the segment cannot be read.
    fn beginning(&self, segment: &LogSegment) -> Result<Option<TableSnapshot>, Corruption>;

    /// The newest stored state of the table; `None` without one.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn newest_state(&self) -> Result<Option<TableSnapshot>, Corruption>;
}
