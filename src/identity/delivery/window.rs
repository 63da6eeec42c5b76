//! What is on its way to a push target: a few batches at once, of which no two speak of the same
//! address, and the place up to which the target has said yes to everything.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::{Address, Change, Cursor};

/// The batches that are read for a target and not yet behind its place, in the order of what they
/// tell.
#[derive(Debug)]
pub struct SendWindow {
    width: usize,
    /// The place that the target was left at by the last batch of an unbroken row.
    acked: Option<Cursor>,
    batches: VecDeque<QueuedBatch>,
    /// Whether the target knows of this turn, and takes a batch before the one that it follows.
    pipelined: bool,
    last_id: u64,
}

/// Which batch of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(u64);

#[derive(Debug)]
struct QueuedBatch {
    id: BatchId,
    changes: Arc<[Change]>,
    next: Cursor,
    state: BatchState,
    /// The addresses that it tells of.
    addresses: HashSet<Address>,
    /// Whether it tells of an address of which a batch before it tells as well: it waits for all of
    /// them.
    waits_for_earlier: bool,
    /// Its only report was refused.
    rejected: Option<RejectedChange>,
}

/// A report that the target does not take, until it is known whether the target takes any.
#[derive(Debug)]
struct RejectedChange {
    reason: String,
    /// What is sent in its place.
    probe: Arc<[Change]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchState {
    Queued,
    InFlight,
    /// It waits to be sent once more, and may have arrived.
    Unknown,
    Accepted,
}

impl QueuedBatch {
    fn is_queued(&self) -> bool {
        matches!(self.state, BatchState::Queued | BatchState::Unknown)
    }
}

/// A report that the target will not take, although it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedChange {
    /// What it is about.
    pub address: Address,
    /// What the target says.
    pub reason: String,
}

/// A batch that is to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingBatch {
    /// Which batch it is.
    pub id: BatchId,
    /// At most one for each address; none for a batch that only moves the place. In the place of a
    /// report that was refused it is what shows whether the target is well.
    pub changes: Arc<[Change]>,
    /// The place that the batch before leaves the target at; `None` at the beginning of a
    /// synchronisation.
    pub after: Option<Cursor>,
    /// The place after it.
    pub next: Cursor,
}

impl SendWindow {
    /// An empty one for a target that takes `width` batches at once, at least one, and is at `at`,
    /// or else at the beginning of a synchronisation. That has been announced; other turns are so by
    /// their first batch, which goes alone.
    pub fn new(width: usize, at: Option<Cursor>) -> Self {
        Self {
            width: width.max(1),
            acked: at,
            batches: VecDeque::new(),
            pipelined: at.is_none(),
            last_id: 0,
        }
    }

    /// Empty again, for a target that takes `width` batches at once and is at `at`. What was on its
    /// way before counts for nothing, whenever it lands: no number is given twice.
    pub fn restart(&mut self, width: usize, at: Option<Cursor>) {
        *self = Self { last_id: self.last_id, ..Self::new(width, at) };
    }

    /// How many batches the target takes at once.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The place up to which the target has said yes to everything.
    pub fn acked(&self) -> Option<Cursor> {
        self.acked
    }

    /// Whether nothing waits and nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether another batch may be read: one waits ready behind those that are on their way.
    pub fn has_room(&self) -> bool {
        self.batches.len() <= self.width
    }

    /// Puts a batch behind all others, after which the target is at `next`.
    pub fn push(&mut self, changes: Arc<[Change]>, next: Cursor) {
        let about: HashSet<Address> = match self.width {
            1 => HashSet::new(),
            _ => changes.iter().map(|change| change.address).collect(),
        };
        let not_accepted = |batch: &&QueuedBatch| batch.state != BatchState::Accepted;
        let last_word =
            self.batches.iter().filter(not_accepted).any(|batch| {
                changes.iter().any(|change| batch.addresses.contains(&change.address))
            });
        let number = self.next_id();
        let (progress, refused) = (BatchState::Queued, None);
        self.batches.push_back(QueuedBatch {
            id: number,
            changes,
            next,
            state: progress,
            addresses: about,
            waits_for_earlier: last_word,
            rejected: refused,
        });
    }

    /// The next batch that may go on its way.
    pub fn next_batch(&mut self) -> Option<OutgoingBatch> {
        let sent = self.batches.iter().filter(|batch| !batch.is_queued()).count();
        if sent >= if self.pipelined { self.width } else { 1 } {
            return None;
        }
        let can_send = |(index, batch): (usize, &QueuedBatch)| {
            batch.is_queued() && (index == 0 || !batch.waits_for_earlier)
        };
        let index = self.batches.iter().enumerate().position(can_send)?;
        let after = match index.checked_sub(1) {
            Some(previous) => Some(self.batches[previous].next),
            None => self.acked,
        };
        let batch = &mut self.batches[index];
        batch.state = BatchState::InFlight;
        let changes = batch.rejected.as_ref().map_or(&batch.changes, |refused| &refused.probe);
        let (number, changes, next) = (batch.id, Arc::clone(changes), batch.next);
        Some(OutgoingBatch { id: number, changes, after, next })
    }

    /// The target has said yes to a batch. Returns the report that it went without.
    pub fn accept(&mut self, number: BatchId) -> Option<SkippedChange> {
        let index = self.index_of(number)?;
        self.pipelined = true;
        self.batches[index].state = BatchState::Accepted;
        let batch = &mut self.batches[index];
        let about = batch.changes.first().map(|change| change.address);
        let skipped = batch.rejected.take().zip(about);
        while let Some(batch) = self.batches.front()
            && batch.state == BatchState::Accepted
        {
            self.acked = Some(batch.next);
            self.batches.pop_front();
        }
        skipped.map(|(refused, address)| SkippedChange { address, reason: refused.reason })
    }

    /// A batch has not arrived: it is sent once more, with a report that was refused.
    pub fn requeue(&mut self, number: BatchId) {
        if let Some(index) = self.index_of(number) {
            let batch = &mut self.batches[index];
            (batch.state, batch.rejected) = (BatchState::Queued, None);
        }
    }

    /// Nobody knows whether a batch has arrived: it is sent once more, as it was. A target that took
    /// it may take nothing else in its place.
    pub fn mark_unknown(&mut self, number: BatchId) {
        if let Some(index) = self.index_of(number) {
            self.batches[index].state = BatchState::Unknown;
        }
    }

    /// The target is ill: what it refused proves nothing, and is sent once more.
    pub fn clear_rejections(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| batch.state == BatchState::Queued) {
            batch.rejected = None;
        }
    }

    /// The target cannot take a batch of at least two reports as a whole: it is sent in two.
    pub fn split(&mut self, number: BatchId) {
        let Some(index) = self.index_of(number) else { return };
        let Some(whole) = self.batches.remove(index) else { return };
        let (first, second) = whole.changes.split_at(whole.changes.len() / 2);
        let mut between = whole.next;
        if let Some(last) = first.last() {
            between.revision = last.revision;
        }
        for (changes, next) in [(second, whole.next), (first, between)] {
            let about = changes.iter().map(|change| change.address).collect();
            let (number, progress) = (self.next_id(), BatchState::Queued);
            let (changes, last_word, refused) = (changes.into(), whole.waits_for_earlier, None);
            let half = QueuedBatch {
                id: number,
                changes,
                next,
                state: progress,
                addresses: about,
                waits_for_earlier: last_word,
                rejected: refused,
            };
            self.batches.insert(index, half);
        }
    }

    /// The target does not take the only report of a batch: `probe` is sent in its place. When that
    /// arrives, the report is left out; when that fails, the report is sent once more.
    pub fn set_probe(&mut self, number: BatchId, reason: String, probe: Arc<[Change]>) {
        if let Some(index) = self.index_of(number) {
            let batch = &mut self.batches[index];
            batch.state = BatchState::Queued;
            batch.rejected = Some(RejectedChange { reason, probe });
        }
    }

    /// Whether something is sent in the place of a report that was refused.
    pub fn has_probe(&self, number: BatchId) -> bool {
        self.index_of(number).is_some_and(|index| self.batches[index].rejected.is_some())
    }

    fn next_id(&mut self) -> BatchId {
        self.last_id += 1;
        BatchId(self.last_id)
    }

    fn index_of(&self, number: BatchId) -> Option<usize> {
        self.batches.iter().position(|batch| batch.id == number)
    }
}

#[cfg(test)]
mod tests;
