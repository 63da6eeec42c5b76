//! A disk: written data is visible to all, and survives a power cut only after it is synchronized.
//! Every operation can fail, and the process or the power can end during it.

use rollcall_identity::{Event, ReadPosition, ReadPositions, Revision, TableSnapshot};

use crate::harness::SeededRng;

/// How unsynchronized data is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process ends: the kernel has what it wrote.
    Kill,
    /// The power fails: some of the unsynchronized data is present.
    Power,
}

/// Why an operation was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broke {
    /// The process ended during it.
    Dead,
    /// The disk is full or reports an error.
    Failed,
}

/// A commit, which the checksums of SQLite make atomic.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) events: Vec<(Revision, Event)>,
    pub(super) read: Vec<ReadPosition>,
    is_safe: bool,
}

/// A segment of the journal.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) epoch: u64,
    pub(super) after: Revision,
    pub(super) first: Revision,
    pub(super) places: ReadPositions,
    pub(super) log: Vec<Frame>,
    is_safe: bool,
}

impl Segment {
    pub(super) fn new(epoch: u64, after: Revision, first: Revision, places: ReadPositions) -> Self {
        Self { epoch, after, first, places, log: Vec::new(), is_safe: false }
    }

    /// The position of its last event.
    pub(super) fn last(&self) -> Option<Revision> {
        self.log.iter().flat_map(|frame| &frame.events).map(|(revision, _)| *revision).next_back()
    }
}

impl Segment {
    fn events_upto(&self, end: Revision) -> impl Iterator<Item = (Revision, Event)> {
        let events = self.log.iter().flat_map(|frame| &frame.events);
        events.filter(move |(revision, _)| *revision <= end).cloned()
    }
}

/// A snapshot: written under a temporary name, synchronized, and then renamed.
#[derive(Debug, Clone)]
struct Snapshot {
    handover: TableSnapshot,
    is_safe: bool,
}

/// The disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) segments: Vec<Segment>,
    snapshots: Vec<Snapshot>,
    /// The content of discarded segments: expired data is not a loss.
    thrown_away: Vec<(Revision, Event)>,
    chance: SeededRng,
    /// The number of operations until everything ends.
    fuse: Option<u64>,
    /// Whether writing and synchronizing fail now and then.
    pub(super) is_ill: bool,
    dead: bool,
}

impl Disk {
    pub(super) fn new(chance: SeededRng) -> Self {
        Self {
            segments: Vec::new(),
            snapshots: Vec::new(),
            thrown_away: Vec::new(),
            chance,
            fuse: None,
            is_ill: false,
            dead: false,
        }
    }

    /// Everything ends in the operation after `operations` more.
    pub(super) fn light(&mut self, operations: u64) {
        self.fuse = Some(operations);
    }

    /// Whether it ended in an operation.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// The content after a crash.
    pub(super) fn crash(&mut self, crash: Crash) {
        (self.dead, self.fuse, self.is_ill) = (false, None, false);
        if crash == Crash::Kill {
            return;
        }
        let chance = &mut self.chance;
        self.segments.retain(|segment| segment.is_safe || chance.once_in(2));
        for segment in &mut self.segments {
            // A log loses its end: a checksum covers everything before it.
            let safe = segment.log.iter().rposition(|frame| frame.is_safe).map_or(0, |at| at + 1);
            let torn = chance.below((segment.log.len() - safe + 1) as u64) as usize;
            segment.log.truncate(safe + torn);
            // What survived the power cut is durable from now on.
            segment.is_safe = true;
            segment.log.iter_mut().for_each(|frame| frame.is_safe = true);
        }
        self.snapshots.retain(|snapshot| snapshot.is_safe || chance.once_in(2));
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
    }

    /// One operation. It does not start if the process ends before it, and it fails on a failing disk.
    fn operate(&mut self) -> Result<(), Broke> {
        match &mut self.fuse {
            Some(0) => {
                self.dead = true;
                return Err(Broke::Dead);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if self.is_ill && self.chance.once_in(2) { Err(Broke::Failed) } else { Ok(()) }
    }

    /// Starts a segment. It gets its name when it is complete and durable.
    pub(super) fn begin(&mut self, segment: Segment) -> Result<(), Broke> {
        // A temporary name: the next start discards a failed one.
        self.operate()?;
        self.operate()?;
        self.segments.push(segment);
        self.operate()?;
        self.last().is_safe = true;
        Ok(())
    }

    /// Adds a commit to the last segment.
    pub(super) fn write(
        &mut self,
        events: Vec<(Revision, Event)>,
        read: Vec<ReadPosition>,
    ) -> Result<(), Broke> {
        self.operate()?;
        self.last().log.push(Frame { events, read, is_safe: false });
        Ok(())
    }

    /// Synchronizes the last segment. After a failure, it is unknown how much of it is durable.
    pub(super) fn synchronise(&mut self) -> Result<(), Broke> {
        self.operate()?;
        self.last().log.iter_mut().for_each(|frame| frame.is_safe = true);
        Ok(())
    }

    /// Synchronizes all visible files.
    pub(super) fn settle(&mut self) -> Result<(), Broke> {
        self.operate()?;
        for segment in &mut self.segments {
            segment.is_safe = true;
            segment.log.iter_mut().for_each(|frame| frame.is_safe = true);
        }
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
        Ok(())
    }

    /// Writes a snapshot.
    pub(super) fn save(&mut self, handover: TableSnapshot) -> Result<(), Broke> {
        self.operate()?;
        self.operate()?;
        // After a power cut, either the old or the new file of the same name is present; they are equal.
        let same = |snapshot: &Snapshot| snapshot.handover.newest == handover.newest;
        let is_safe = self.snapshots.iter().any(|snapshot| same(snapshot) && snapshot.is_safe);
        self.snapshots.retain(|snapshot| !same(snapshot));
        self.snapshots.push(Snapshot { handover, is_safe });
        self.operate()?;
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
        Ok(())
    }

    /// Discards, now and then, the oldest segments that a start from the newest snapshot does not
    /// need, and all snapshots except the last two.
    pub(super) fn throw_away(&mut self) -> Result<(), Broke> {
        self.operate()?;
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
        self.snapshots.sort_by_key(|snapshot| snapshot.handover.newest);
        let many = self.snapshots.len().saturating_sub(2);
        self.snapshots.drain(..many);
        let newest = self.snapshot().map_or(Revision(0), |snapshot| snapshot.newest);
        while self.segments.get(1).is_some_and(|next| next.after <= newest) {
            if !self.chance.once_in(3) {
                break;
            }
            let end = self.segments[1].after;
            let gone = self.segments.remove(0);
            self.thrown_away.extend(gone.events_upto(end));
        }
        Ok(())
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Option<&TableSnapshot> {
        let newest = self.snapshots.iter().max_by_key(|snapshot| snapshot.handover.newest);
        newest.map(|snapshot| &snapshot.handover)
    }

    /// Every event that was or may have been committed, in order, including discarded ones: of each
    /// segment, the events before the start of the next one.
    pub(super) fn history(&self) -> Vec<(Revision, Event)> {
        let ends = self.segments.iter().skip(1).map(|next| next.after);
        let ends = ends.chain([Revision(u64::MAX)]);
        let whole = self.segments.iter().zip(ends);
        let whole = whole.flat_map(|(segment, end)| segment.events_upto(end));
        self.thrown_away.iter().cloned().chain(whole).collect()
    }

    fn last(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a segment was begun")
    }
}
