//! A disk: what is written to it is there for everybody, and survives a power cut only once it is
//! synchronised. It can break in any of its operations, and the process or the power end there.

use rollcall_identity::{Event, ReadPosition, ReadPositions, Revision, TableSnapshot};

use crate::harness::SeededRng;

/// How everything that is not on the disk is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process: what it wrote is with the kernel.
    Kill,
    /// The power: of what was not synchronised, some is there and some is not.
    Power,
}

/// Why an operation was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broke {
    /// The process ended in the middle of it.
    Dead,
    /// The disk is full, or says that it failed.
    Failed,
}

/// One commit, which SQLite's checksums make a whole or nothing.
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

/// A snapshot: made under another name, synchronised, and then given its own.
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
    /// What was in segments that were thrown away: what has had its time is no loss.
    thrown_away: Vec<(Revision, Event)>,
    chance: SeededRng,
    /// After how many more operations everything ends.
    fuse: Option<u64>,
    /// Whether writing and synchronising fail, each now and then.
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

    /// Everything ends in the operation that comes after `operations` more.
    pub(super) fn light(&mut self, operations: u64) {
        self.fuse = Some(operations);
    }

    /// Whether it ended in one.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// What is left after a crash.
    pub(super) fn crash(&mut self, crash: Crash) {
        (self.dead, self.fuse, self.is_ill) = (false, None, false);
        if crash == Crash::Kill {
            return;
        }
        let chance = &mut self.chance;
        self.segments.retain(|segment| segment.is_safe || chance.once_in(2));
        for segment in &mut self.segments {
            // What is lost of a log is its end: a checksum covers all before it.
            let safe = segment.log.iter().rposition(|frame| frame.is_safe).map_or(0, |at| at + 1);
            let torn = chance.below((segment.log.len() - safe + 1) as u64) as usize;
            segment.log.truncate(safe + torn);
            // What the power did not take is there from now on.
            segment.is_safe = true;
            segment.log.iter_mut().for_each(|frame| frame.is_safe = true);
        }
        self.snapshots.retain(|snapshot| snapshot.is_safe || chance.once_in(2));
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
    }

    /// One operation: it is not begun when the process ends before it, and it fails on an ill disk.
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

    /// Begins a segment: it has its name when it is whole and on the disk.
    pub(super) fn begin(&mut self, segment: Segment) -> Result<(), Broke> {
        // Under another name: what is left of one that failed is thrown away by the next start.
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

    /// Makes what was written to the last segment safe. When it fails, what of it is safe is unknown.
    pub(super) fn synchronise(&mut self) -> Result<(), Broke> {
        self.operate()?;
        self.last().log.iter_mut().for_each(|frame| frame.is_safe = true);
        Ok(())
    }

    /// The same of everything that can be seen.
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
        // Of one that takes the name of another, a power cut leaves either, and they are the same.
        let same = |snapshot: &Snapshot| snapshot.handover.newest == handover.newest;
        let is_safe = self.snapshots.iter().any(|snapshot| same(snapshot) && snapshot.is_safe);
        self.snapshots.retain(|snapshot| !same(snapshot));
        self.snapshots.push(Snapshot { handover, is_safe });
        self.operate()?;
        self.snapshots.iter_mut().for_each(|snapshot| snapshot.is_safe = true);
        Ok(())
    }

    /// Throws away, now and then, the oldest segments that a start with the newest snapshot does not
    /// need, and all snapshots but that and the one before it.
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

    /// Every event that was committed, or may have been, in order, also those that were thrown away
    /// since: of each segment what comes before the place where the next one begins.
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
