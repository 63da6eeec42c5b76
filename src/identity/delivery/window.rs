//! The send window of a push target: a few batches in flight, no two of which change the same
//! address, and the position up to which all are acknowledged.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::{Address, Change, Cursor};

/// The batches that are read for a target but not acknowledged contiguously, in order.
#[derive(Debug)]
pub struct SendWindow {
    width: usize,
    /// The position after the last batch that was acknowledged contiguously.
    acked: Option<Cursor>,
    batches: VecDeque<QueuedBatch>,
    /// Whether the target knows the current position, and accepts batches in parallel.
    pipelined: bool,
    last_id: u64,
}

/// Identifies a batch of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(u64);

#[derive(Debug)]
struct QueuedBatch {
    id: BatchId,
    changes: Arc<[Change]>,
    next: Cursor,
    state: BatchState,
    /// The addresses that the batch changes.
    addresses: HashSet<Address>,
    /// Whether an earlier batch changes one of its addresses. Then it waits for all earlier
    /// batches.
    waits_for_earlier: bool,
    /// Set if the only change of the batch was rejected.
    rejected: Option<RejectedChange>,
}

/// A change that was rejected, until it is known whether the target accepts any change.
#[derive(Debug)]
struct RejectedChange {
    reason: String,
    /// The changes that are sent in its place.
    probe: Arc<[Change]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchState {
    Queued,
    InFlight,
    /// To be sent again; it may have been applied.
    Unknown,
    Accepted,
}

impl QueuedBatch {
    fn is_queued(&self) -> bool {
        matches!(self.state, BatchState::Queued | BatchState::Unknown)
    }
}

/// A change that the target rejects although it accepts others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedChange {
    /// The address of the change.
    pub address: Address,
    /// The reason that the target gave.
    pub reason: String,
}

/// A batch to send.
#[derive(Debug, Clone)]
pub struct OutgoingBatch {
    /// The ID of the batch.
    pub id: BatchId,
    /// At most one change per address; empty for a batch that only advances the position. For a
    /// rejected change, this is the probe that shows whether the target is healthy.
    pub changes: Arc<[Change]>,
    /// The position of the target before this batch; `None` at the start of a resync.
    pub after: Option<Cursor>,
    /// The position after this batch.
    pub next: Cursor,
}

impl SendWindow {
    /// An empty window for a target at position `at` that accepts `width` batches in parallel, at
    /// least one. Without a position, a resync has been announced to the target. Otherwise the
    /// first batch is sent alone, and announces the position.
    pub fn new(width: usize, at: Option<Cursor>) -> Self {
        Self {
            width: width.max(1),
            acked: at,
            batches: VecDeque::new(),
            pipelined: at.is_none(),
            last_id: 0,
        }
    }

    /// Clears the window for a target at position `at`. Late outcomes of earlier batches are
    /// ignored, because no ID is reused.
    pub fn restart(&mut self, width: usize, at: Option<Cursor>) {
        *self = Self { last_id: self.last_id, ..Self::new(width, at) };
    }

    /// How many batches the target accepts in parallel.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The position up to which every batch is acknowledged.
    pub fn acked(&self) -> Option<Cursor> {
        self.acked
    }

    /// Whether no batch is queued or in flight.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether another batch may be read: one is kept ready behind those in flight.
    pub fn has_room(&self) -> bool {
        self.batches.len() <= self.width
    }

    /// Appends a batch; the target is at `next` after it.
    pub fn push(&mut self, changes: Arc<[Change]>, next: Cursor) {
        let about: HashSet<Address> = match self.width {
            1 => HashSet::new(),
            _ => changes.iter().map(|change| change.address).collect(),
        };
        let not_accepted = |batch: &&QueuedBatch| batch.state != BatchState::Accepted;
        let waits_for_earlier =
            self.batches.iter().filter(not_accepted).any(|batch| {
                changes.iter().any(|change| batch.addresses.contains(&change.address))
            });
        let id = self.next_id();
        let (progress, refused) = (BatchState::Queued, None);
        self.batches.push_back(QueuedBatch {
            id,
            changes,
            next,
            state: progress,
            addresses: about,
            waits_for_earlier,
            rejected: refused,
        });
    }

    /// The next batch to send, if one may be sent now.
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
        let (id, changes, next) = (batch.id, Arc::clone(changes), batch.next);
        Some(OutgoingBatch { id, changes, after, next })
    }

    /// The target accepted a batch. Returns the change that it skipped.
    pub fn accept(&mut self, id: BatchId) -> Option<SkippedChange> {
        let index = self.index_of(id)?;
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

    /// The batch was not applied: it is sent again, with its rejected change.
    pub fn requeue(&mut self, id: BatchId) {
        if let Some(index) = self.index_of(id) {
            let batch = &mut self.batches[index];
            (batch.state, batch.rejected) = (BatchState::Queued, None);
        }
    }

    /// The outcome of the batch is unknown: the identical batch is sent again, because a target
    /// that applied it may accept nothing else in its place.
    pub fn mark_unknown(&mut self, id: BatchId) {
        if let Some(index) = self.index_of(id) {
            self.batches[index].state = BatchState::Unknown;
        }
    }

    /// The target is faulty: its rejections prove nothing, and the rejected changes are sent again.
    pub fn clear_rejections(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| batch.state == BatchState::Queued) {
            batch.rejected = None;
        }
    }

    /// Splits a batch of at least two changes that the target rejected as a whole.
    pub fn split(&mut self, id: BatchId) {
        let Some(index) = self.index_of(id) else { return };
        let Some(whole) = self.batches.remove(index) else { return };
        let (first, second) = whole.changes.split_at(whole.changes.len() / 2);
        let mut between = whole.next;
        if let Some(last) = first.last() {
            between.revision = last.revision;
        }
        for (changes, next) in [(second, whole.next), (first, between)] {
            let about = changes.iter().map(|change| change.address).collect();
            let (id, progress) = (self.next_id(), BatchState::Queued);
            let (changes, waits_for_earlier, refused) =
                (changes.into(), whole.waits_for_earlier, None);
            let half = QueuedBatch {
                id,
                changes,
                next,
                state: progress,
                addresses: about,
                waits_for_earlier,
                rejected: refused,
            };
            self.batches.insert(index, half);
        }
    }

    /// The target rejected the only change of a batch: `probe` is sent in its place. If the probe
    /// is accepted, the change is skipped; if not, the change is sent again.
    pub fn set_probe(&mut self, id: BatchId, reason: String, probe: Arc<[Change]>) {
        if let Some(index) = self.index_of(id) {
            let batch = &mut self.batches[index];
            batch.state = BatchState::Queued;
            batch.rejected = Some(RejectedChange { reason, probe });
        }
    }

    /// Whether a probe replaces a rejected change.
    pub fn has_probe(&self, id: BatchId) -> bool {
        self.index_of(id).is_some_and(|index| self.batches[index].rejected.is_some())
    }

    fn next_id(&mut self) -> BatchId {
        self.last_id += 1;
        BatchId(self.last_id)
    }

    fn index_of(&self, id: BatchId) -> Option<usize> {
        self.batches.iter().position(|batch| batch.id == id)
    }
}

#[cfg(test)]
mod tests;
