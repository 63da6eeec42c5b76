//! A journal on the simulated disk. It uses the same parts as the journal on disk for its decisions:
//! which positions are assigned and committed, and what a start recovers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rollcall_identity::{
    CheckpointSink, Event, Journal, JournalError, PositionLedger, ReadPosition, ReadPositions,
    ReadSource, RecoveryProgress, Revision, RevisionRange, Rules, Table, TableSnapshot, Timestamp,
};

use super::disk::{Broke, Disk, Segment};
use super::faults::Fault;

/// The number of events per segment: small, so that segments change often.
const SEGMENT: usize = 12;

/// The journal.
pub(super) struct Store {
    pub(super) disk: Disk,
    fault: Option<Fault>,
    epoch: u64,
    ledger: PositionLedger,
    is_open: bool,
    journal_error: Option<JournalError>,
    /// Appended events that are not committed yet.
    appended: (Vec<(Revision, Event)>, Vec<ReadPosition>),
    wants_sessions: bool,
    surveyed: Revision,
    /// The pending maintenance.
    surveys: (Sender<TableSnapshot>, Receiver<TableSnapshot>),
}

impl Store {
    /// The journal on `disk`. If it is empty, its positions belong to `epoch`.
    pub(super) fn new(disk: Disk, epoch: u64, fault: Option<Fault>) -> Self {
        let epoch = disk.segments.last().map_or(epoch, |segment| segment.epoch);
        Self {
            disk,
            fault,
            epoch,
            ledger: PositionLedger::default(),
            is_open: false,
            journal_error: None,
            appended: (Vec::new(), Vec::new()),
            wants_sessions: false,
            surveyed: Revision(0),
            surveys: channel(),
        }
    }

    /// The next position.
    pub(super) fn next(&self) -> Revision {
        self.ledger.next()
    }

    /// Writes the next pending snapshot, and discards expired data. Returns whether there
    /// was one.
    pub(super) fn keep(&mut self) -> bool {
        let Ok(handover) = self.surveys.1.try_recv() else { return false };
        // Maintenance that fails now is repeated later.
        let _ = self.disk.save(handover).and_then(|()| self.disk.throw_away());
        true
    }

    /// Applies everything present, up to `upto` in the last segment, with `rules`.
    fn fold(&self, rules: &Rules, upto: Option<Revision>) -> (Table, RecoveryProgress) {
        let snapshot = self.disk.snapshot().cloned().unwrap_or_default();
        let mut start = RecoveryProgress::after(snapshot.newest);
        let mut table = Table::restore(snapshot);
        let segments = &self.disk.segments;
        for (at, segment) in segments.iter().enumerate() {
            let upto = segments.get(at + 1).map(|next| next.after).or(upto);
            let Some(span) = start.enter_segment(segment.after, upto) else { continue };
            let last = fold(segment, span, &mut table, rules);
            start.leave_segment(span, last);
        }
        (table, start)
    }

    fn begin(&mut self) -> Result<(), Broke> {
        let (after, first) = (self.ledger.committed(), self.ledger.next());
        let places = self.ledger.read_positions().clone();
        self.disk.begin(Segment::new(self.epoch, after, first, places))?;
        self.is_open = true;
        self.wants_sessions |= after > Revision(0);
        Ok(())
    }

    fn fall_ill(&mut self) -> JournalError {
        let error = JournalError("the disk failed".to_owned());
        self.is_open = false;
        self.ledger.abandon();
        self.appended = Default::default();
        self.journal_error = Some(error.clone());
        error
    }
}

impl Journal for Store {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError> {
        if self.fault != Some(Fault::StartWithoutSync) && self.disk.settle().is_err() {
            return Err(JournalError("the process ended".to_owned()));
        }
        let (table, mut start) = self.fold(rules, None);
        self.surveyed = self.disk.snapshot().map_or(Revision(0), |snapshot| snapshot.newest);
        let mut first = Revision(1);
        let mut places = ReadPositions::new();
        if let Some(last) = self.disk.segments.last() {
            start.resume_after(last.last().unwrap_or(last.after));
            (first, places) = (last.first, last.places.clone());
            let read = last.log.iter().flat_map(|frame| &frame.read);
            places.extend(read.map(|read| (read.source.clone(), read.position.clone())));
            self.is_open = true;
        }
        if !start.is_complete() {
            self.epoch += 1;
            self.is_open = false;
        }
        self.ledger = PositionLedger::resume(start.recovered(), first, places);
        if !self.is_open && self.begin().is_err() {
            self.fall_ill();
        }
        Ok((table, start.recovered()))
    }

    fn reload(&mut self, rules: &Rules) -> Result<Option<(Table, Revision)>, JournalError> {
        let committed = self.ledger.committed();
        let (table, start) = self.fold(rules, Some(committed));
        match start.is_complete() {
            true => Ok(Some((table, committed))),
            false => Err(JournalError("not everything that was committed is there".to_owned())),
        }
    }

    fn invalidate_checkpoint(&mut self) {
        self.wants_sessions = true;
    }

    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError> {
        if !self.is_open {
            return Err(self.journal_error.clone().expect("the journal is closed after an error"));
        }
        let first = self.ledger.append(events.len(), read);
        let rows = events.iter().zip(first.0..).map(|(event, at)| (Revision(at), event.clone()));
        self.appended.0.extend(rows);
        self.appended.1.extend(read.cloned());
        Ok(first)
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        if !self.is_open {
            return Err(self.journal_error.clone().expect("the journal is closed after an error"));
        }
        let (events, read) = std::mem::take(&mut self.appended);
        let safe = self.disk.write(events, read).and_then(|()| self.disk.synchronise());
        match safe {
            Ok(()) => Ok(self.ledger.commit()),
            Err(_) => Err(self.fall_ill()),
        }
    }

    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
        self.ledger.read_positions().get(source).cloned()
    }

    fn write_error(&self) -> Option<&JournalError> {
        self.journal_error.as_ref()
    }

    fn maintain(&mut self, _: Timestamp) -> Option<CheckpointSink> {
        let written =
            self.disk.segments.last().map_or(0, |segment| {
                segment.log.iter().map(|frame| frame.events.len()).sum::<usize>()
            });
        if self.journal_error.is_some() || written >= SEGMENT {
            match self.begin() {
                Ok(()) => self.journal_error = None,
                Err(_) => drop(self.fall_ill()),
            }
        }
        let committed = self.ledger.committed();
        if !self.wants_sessions && committed.0 < self.surveyed.0 + SEGMENT as u64 / 2 {
            return None;
        }
        (self.wants_sessions, self.surveyed) = (false, committed);
        let keeper = self.surveys.0.clone();
        Some(Box::new(move |handover: TableSnapshot| {
            let newest = handover.newest.max(committed);
            let _ = keeper.send(TableSnapshot { newest, ..handover });
        }))
    }
}

fn fold(
    segment: &Segment,
    span: RevisionRange,
    table: &mut Table,
    rules: &Rules,
) -> Option<Revision> {
    let events = segment.log.iter().flat_map(|frame| &frame.events);
    let wanted = events.filter(|(at, _)| *at > span.after && *at <= span.upto);
    let mut last = None;
    for (revision, event) in wanted {
        table.apply(*revision, event, rules);
        last = Some(*revision);
    }
    last
}
