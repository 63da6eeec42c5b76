//! The journal on disk: append-only segments, one written at a time, each commit durable before
//! anything of it is acknowledged.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::Flock;
use rollcall_identity::{
    CheckpointSink, Event, Journal, JournalError, PositionLedger, ReadPosition, ReadSource,
    Revision, Rules, Table, TableSnapshot, Timestamp,
};

use super::corruption::Corruption;
use super::file_header::FileHeader;
use super::fingerprint::fingerprint;
use super::layout::JournalLayout;
use super::maintenance::Maintenance;
use super::options::JournalOptions;
use super::recovery::{Restored, recall, restore};
use super::segment::{Beginning, Segment};
use crate::telemetry::{Recovered, WriteFailed, WriteRecovered};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How often a journal that is ill tries to begin a new segment.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the folder is looked through for what is to be sealed or has had its time.
const TIDY: Duration = Duration::from_secs(60);

/// The journal on disk.
pub struct DurableJournal {
    folder: JournalLayout,
    terms: JournalOptions,
    clock: Clock,
    stamp: FileHeader,
    ledger: PositionLedger,
    /// What is appended to; `None` while ill.
    segment: Option<Segment>,
    illness: Option<JournalError>,
    tried: Timestamp,
    pub(super) keeper: Maintenance,
    /// Whether the table is to be written down at once: a segment was begun, other rules are in
    /// force, or the table is not what the events before would fold to.
    wants_sessions: bool,
    /// The newest position of which the table was asked for, and when.
    surveyed: (Revision, Timestamp),
    tidied: Timestamp,
    _lock: Flock<File>,
}

impl DurableJournal {
    /// The journal in the folder `path`, which is made when it is not there. Nothing is read yet.
    ///
    /// # Errors
    /// When the folder cannot be had, or another process has it.
    pub fn open(path: &Path, terms: JournalOptions, clock: Clock) -> std::io::Result<Self> {
        let folder = JournalLayout::make(path)?;
        let lock = folder.lock()?;
        let keeper = Maintenance::start(folder.clone(), terms)?;
        let now = clock.now();
        Ok(Self {
            folder,
            terms,
            clock,
            stamp: FileHeader { epoch: 0, rules: 0 },
            ledger: PositionLedger::default(),
            segment: None,
            illness: None,
            tried: Timestamp::EPOCH,
            keeper,
            wants_sessions: false,
            surveyed: (Revision(0), now),
            tidied: Timestamp::EPOCH,
            _lock: lock,
        })
    }

    /// Begins the segment that follows everything committed.
    fn begin_segment(&mut self, at: Timestamp) -> Result<(), Corruption> {
        let (stamp, after, first) = (self.stamp, self.ledger.committed(), self.ledger.next());
        self.tried = at;
        let beginning = Beginning { stamp, after, first, at };
        self.segment = Some(Segment::begin(&self.folder, beginning, self.ledger.read_positions())?);
        self.wants_sessions |= after > Revision(0);
        Ok(())
    }

    /// Gives up the segment: nothing is acknowledged from its file any more.
    fn fall_ill(&mut self, damage: &Corruption) -> JournalError {
        let error = JournalError(damage.to_string());
        self.segment = None;
        self.ledger.abandon();
        if self.illness.is_none() {
            WriteFailed { error: damage }.emit();
        }
        self.illness = Some(error.clone());
        error
    }

    fn recover(&mut self, now: Timestamp) {
        // Also when the clock was set back meanwhile.
        if now >= self.tried && now < self.tried + AGAIN {
            return;
        }
        match self.begin_segment(now) {
            Ok(()) => {
                self.illness = None;
                WriteRecovered { after: self.ledger.committed().0 }.emit();
            }
            Err(damage) => drop(self.fall_ill(&damage)),
        }
    }

    /// Begins the next segment when this one is large or old enough.
    fn turn_over(&mut self, now: Timestamp) {
        let Some(segment) = &self.segment else { return };
        if let Err(damage) = segment.checkpoint() {
            // The log is whole, so nothing is lost; but what of it has reached the file is unknown.
            self.fall_ill(&damage);
            return;
        }
        let is_full = segment.events() >= self.terms.segment_events;
        let is_old = now.since(segment.begun()) >= self.terms.segment_age;
        // Each begins with all sessions: while those are still being written down, it grows.
        let may_turn = self.keeper.is_free() && !self.wants_sessions;
        if may_turn && (is_full || is_old && segment.events() > 0) {
            match self.begin_segment(now) {
                Ok(()) => self.tidied = Timestamp::EPOCH,
                // Where there is no room for another file there is none in this one, either.
                Err(damage) => drop(self.fall_ill(&damage)),
            }
        }
    }

    fn why_not(&self) -> JournalError {
        self.illness.clone().unwrap_or_else(|| JournalError("it was not begun".to_owned()))
    }

    fn tidy(&mut self, now: Timestamp) {
        let is_due = now < self.tidied || now >= self.tidied + TIDY;
        if let (true, Some(segment)) = (is_due, &self.segment) {
            self.keeper.tidy(segment.first(), now);
            self.tidied = now;
        }
    }
}

impl Journal for DurableJournal {
    fn epoch(&self) -> u64 {
        self.stamp.epoch
    }

    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError> {
        let now = self.clock.now();
        let began = Clock::instant();
        let restored = restore(&self.folder, rules, now);
        let restored = restored.map_err(|damage| JournalError(damage.to_string()))?;
        let Restored { table, newest, epoch, highest_epoch, written_down, read, .. } = restored;
        let Restored { segment, events, beginnings, .. } = restored;
        for (stamp, handover) in beginnings {
            // Nobody waits for it but the segment that is to be sealed.
            self.keeper.survey(stamp, handover.newest)(handover);
        }
        let anew = u64::try_from(now.millis()).unwrap_or_default().max(highest_epoch + 1);
        self.stamp = FileHeader { epoch: epoch.unwrap_or(anew), rules: fingerprint(rules) };
        let first = segment.as_ref().map_or(Revision(1), Segment::first);
        self.ledger = PositionLedger::resume(newest, first, read);
        self.surveyed = (written_down, now);
        self.segment = segment;
        let is_new_epoch = epoch.is_none() && highest_epoch > 0;
        let (sessions, took) = (table.len(), began.elapsed());
        Recovered { sessions, events, revision: newest.0, is_new_epoch, took }.emit();
        if self.segment.is_none()
            && let Err(damage) = self.begin_segment(now)
        {
            self.fall_ill(&damage);
        }
        Ok((table, newest))
    }

    fn reload(&mut self, rules: &Rules) -> Result<Option<(Table, Revision)>, JournalError> {
        let committed = self.ledger.committed();
        // What made a cache panic may make this panic, too, and the journal must go on.
        match catch_unwind(AssertUnwindSafe(|| recall(&self.folder, rules, committed))) {
            Ok(Ok(table)) => Ok(Some((table, committed))),
            Ok(Err(damage)) => Err(JournalError(damage.to_string())),
            Err(_) => Err(JournalError("an event in it cannot be folded".to_owned())),
        }
    }

    fn set_rules(&mut self, rules: &Rules) {
        self.stamp.rules = fingerprint(rules);
        self.wants_sessions = true;
    }

    fn invalidate_checkpoint(&mut self) {
        self.wants_sessions = true;
    }

    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError> {
        if read.is_some_and(|read| read.position.len() > ReadPosition::LIMIT) {
            return Err(JournalError("the read position is too long".to_owned()));
        }
        let Some(segment) = &mut self.segment else { return Err(self.why_not()) };
        let first = self.ledger.append(events.len(), read);
        let governed = match events {
            [] => Ok(()),
            _ => segment.govern(first, self.stamp.rules),
        };
        match governed.and_then(|()| segment.append(first, events, read)) {
            Ok(()) => Ok(first),
            Err(damage) => Err(self.fall_ill(&damage)),
        }
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        let Some(segment) = &mut self.segment else { return Err(self.why_not()) };
        if let Err(damage) = segment.commit() {
            return Err(self.fall_ill(&damage));
        }
        Ok(self.ledger.commit())
    }

    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
        self.ledger.read_positions().get(source).cloned()
    }

    fn write_error(&self) -> Option<&JournalError> {
        self.illness.as_ref()
    }

    fn maintain(&mut self, now: Timestamp) -> Option<CheckpointSink> {
        match self.illness {
            Some(_) => self.recover(now),
            None => self.turn_over(now),
        }
        self.tidy(now);
        let (surveyed, at) = self.surveyed;
        let is_due = now < at || now >= at + self.terms.snapshot_interval;
        let committed = self.ledger.committed();
        if !self.wants_sessions && (!is_due || surveyed == committed) || !self.keeper.is_free() {
            return None;
        }
        self.wants_sessions = false;
        self.surveyed = (committed, now);
        Some(self.keeper.survey(self.stamp, committed))
    }

    fn close(&mut self, last: Option<TableSnapshot>) {
        self.segment = None;
        // What the keeper has begun it finishes; a table that nobody could tell is folded anew.
        if let Some(last) = last.filter(|_| self.illness.is_none()) {
            self.keeper.survey(self.stamp, Revision(0))(last);
        }
        self.keeper.stop();
    }
}
