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
    at: Option<Cursor>,
    batches: VecDeque<QueuedBatch>,
    /// Whether the target knows of this turn, and takes a batch before the one that it follows.
    open: bool,
    made: u64,
}

/// Which batch of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(u64);

#[derive(Debug)]
struct QueuedBatch {
    number: BatchId,
    changes: Arc<[Change]>,
    next: Cursor,
    progress: BatchState,
    /// The addresses that it tells of.
    about: HashSet<Address>,
    /// Whether it tells of an address of which a batch before it tells as well: it waits for all of
    /// them.
    last_word: bool,
    /// Its only report was refused.
    refused: Option<RejectedChange>,
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
    Waiting,
    OnItsWay,
    /// It waits to be sent once more, and may have arrived.
    Lost,
    Arrived,
}

impl QueuedBatch {
    fn waits(&self) -> bool {
        matches!(self.progress, BatchState::Waiting | BatchState::Lost)
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
    pub number: BatchId,
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
        Self { width: width.max(1), at, batches: VecDeque::new(), open: at.is_none(), made: 0 }
    }

    /// Empty again, for a target that takes `width` batches at once and is at `at`. What was on its
    /// way before counts for nothing, whenever it lands: no number is given twice.
    pub fn restart(&mut self, width: usize, at: Option<Cursor>) {
        *self = Self { made: self.made, ..Self::new(width, at) };
    }

    /// How many batches the target takes at once.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The place up to which the target has said yes to everything.
    pub fn at(&self) -> Option<Cursor> {
        self.at
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
        let under_way = |batch: &&QueuedBatch| batch.progress != BatchState::Arrived;
        let last_word = self
            .batches
            .iter()
            .filter(under_way)
            .any(|batch| changes.iter().any(|change| batch.about.contains(&change.address)));
        let number = self.number();
        let (progress, refused) = (BatchState::Waiting, None);
        self.batches.push_back(QueuedBatch {
            number,
            changes,
            next,
            progress,
            about,
            last_word,
            refused,
        });
    }

    /// The next batch that may go on its way.
    pub fn launch(&mut self) -> Option<OutgoingBatch> {
        let sent = self.batches.iter().filter(|batch| !batch.waits()).count();
        if sent >= if self.open { self.width } else { 1 } {
            return None;
        }
        let may_go = |(place, batch): (usize, &QueuedBatch)| {
            batch.waits() && (place == 0 || !batch.last_word)
        };
        let place = self.batches.iter().enumerate().position(may_go)?;
        let after = match place.checked_sub(1) {
            Some(before) => Some(self.batches[before].next),
            None => self.at,
        };
        let batch = &mut self.batches[place];
        batch.progress = BatchState::OnItsWay;
        let changes = batch.refused.as_ref().map_or(&batch.changes, |refused| &refused.probe);
        let (number, changes, next) = (batch.number, Arc::clone(changes), batch.next);
        Some(OutgoingBatch { number, changes, after, next })
    }

    /// The target has said yes to a batch. Returns the report that it went without.
    pub fn arrived(&mut self, number: BatchId) -> Option<SkippedChange> {
        let place = self.place(number)?;
        self.open = true;
        self.batches[place].progress = BatchState::Arrived;
        let batch = &mut self.batches[place];
        let about = batch.changes.first().map(|change| change.address);
        let left_out = batch.refused.take().zip(about);
        while let Some(batch) = self.batches.front()
            && batch.progress == BatchState::Arrived
        {
            self.at = Some(batch.next);
            self.batches.pop_front();
        }
        left_out.map(|(refused, address)| SkippedChange { address, reason: refused.reason })
    }

    /// A batch has not arrived: it is sent once more, with a report that was refused.
    pub fn failed(&mut self, number: BatchId) {
        if let Some(place) = self.place(number) {
            let batch = &mut self.batches[place];
            (batch.progress, batch.refused) = (BatchState::Waiting, None);
        }
    }

    /// Nobody knows whether a batch has arrived: it is sent once more, as it was. A target that took
    /// it may take nothing else in its place.
    pub fn lost(&mut self, number: BatchId) {
        if let Some(place) = self.place(number) {
            self.batches[place].progress = BatchState::Lost;
        }
    }

    /// The target is ill: what it refused proves nothing, and is sent once more.
    pub fn restore(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| batch.progress == BatchState::Waiting) {
            batch.refused = None;
        }
    }

    /// The target cannot take a batch of at least two reports as a whole: it is sent in two.
    pub fn halve(&mut self, number: BatchId) {
        let Some(place) = self.place(number) else { return };
        let Some(whole) = self.batches.remove(place) else { return };
        let (first, second) = whole.changes.split_at(whole.changes.len() / 2);
        let mut between = whole.next;
        if let Some(last) = first.last() {
            between.revision = last.revision;
        }
        for (changes, next) in [(second, whole.next), (first, between)] {
            let about = changes.iter().map(|change| change.address).collect();
            let (number, progress) = (self.number(), BatchState::Waiting);
            let (changes, last_word, refused) = (changes.into(), whole.last_word, None);
            let half = QueuedBatch { number, changes, next, progress, about, last_word, refused };
            self.batches.insert(place, half);
        }
    }

    /// The target does not take the only report of a batch: `probe` is sent in its place. When that
    /// arrives, the report is left out; when that fails, the report is sent once more.
    pub fn probe(&mut self, number: BatchId, reason: String, probe: Arc<[Change]>) {
        if let Some(place) = self.place(number) {
            let batch = &mut self.batches[place];
            batch.progress = BatchState::Waiting;
            batch.refused = Some(RejectedChange { reason, probe });
        }
    }

    /// Whether something is sent in the place of a report that was refused.
    pub fn is_probed(&self, number: BatchId) -> bool {
        self.place(number).is_some_and(|place| self.batches[place].refused.is_some())
    }

    fn number(&mut self) -> BatchId {
        self.made += 1;
        BatchId(self.made)
    }

    fn place(&self, number: BatchId) -> Option<usize> {
        self.batches.iter().position(|batch| batch.number == number)
    }
}

#[cfg(test)]
mod tests;
