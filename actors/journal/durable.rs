//! The journal on disk: append-only segments, of which one is written at a time. Each commit is
//! durable before any of its events is acknowledged.

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
use super::recovery::{Restored, reload, restore};
use super::segment::{Segment, SegmentStart};
use crate::telemetry::{Recovered, WriteFailed, WriteRecovered};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How often a failed journal tries to begin a new segment.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often the folder is checked for segments to seal or to remove.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// The journal on disk.
pub struct DurableJournal {
    folder: JournalLayout,
    options: JournalOptions,
    clock: Clock,
    file_header: FileHeader,
    ledger: PositionLedger,
    /// The segment that is written; `None` while the journal is not writable.
    segment: Option<Segment>,
    write_error: Option<JournalError>,
    last_attempt: Timestamp,
    pub(super) maintenance: Maintenance,
    /// Whether a snapshot is needed at once: a segment was begun, the rules changed, or the table
    /// is not the result of the events before.
    needs_checkpoint: bool,
    /// The newest position for which a snapshot was requested, and when.
    last_checkpoint: (Revision, Timestamp),
    last_tidied: Timestamp,
    _lock: Flock<File>,
}

impl DurableJournal {
    /// Opens the journal in the folder `path` and creates the folder if needed. Reads nothing yet.
    ///
    /// # Errors
    /// If the folder cannot be created, or another process holds its lock.
    pub fn open(path: &Path, options: JournalOptions, clock: Clock) -> std::io::Result<Self> {
        let folder = JournalLayout::make(path)?;
        let lock = folder.lock()?;
        let maintenance = Maintenance::start(folder.clone(), options)?;
        let now = clock.now();
        Ok(Self {
            folder,
            options,
            clock,
            file_header: FileHeader { epoch: 0, rules: 0 },
            ledger: PositionLedger::default(),
            segment: None,
            write_error: None,
            last_attempt: Timestamp::EPOCH,
            maintenance,
            needs_checkpoint: false,
            last_checkpoint: (Revision(0), now),
            last_tidied: Timestamp::EPOCH,
            _lock: lock,
        })
    }

    /// Begins the segment after the last committed position.
    fn begin_segment(&mut self, at: Timestamp) -> Result<(), Corruption> {
        let (file_header, after, first) =
            (self.file_header, self.ledger.committed(), self.ledger.next());
        self.last_attempt = at;
        let start = SegmentStart { file_header, after, first, at };
        self.segment = Some(Segment::begin(&self.folder, start, self.ledger.read_positions())?);
        self.needs_checkpoint |= after > Revision(0);
        Ok(())
    }

    /// Abandons the segment: nothing in its file is acknowledged from now on.
    fn mark_failed(&mut self, cause: &Corruption) -> JournalError {
        let error = JournalError(cause.to_string());
        self.segment = None;
        self.ledger.abandon();
        if self.write_error.is_none() {
            WriteFailed { error: cause }.emit();
        }
        self.write_error = Some(error.clone());
        error
    }

    fn retry_segment(&mut self, now: Timestamp) {
        // Retries also if the clock was set back meanwhile.
        if now >= self.last_attempt && now < self.last_attempt + RETRY_INTERVAL {
            return;
        }
        match self.begin_segment(now) {
            Ok(()) => {
                self.write_error = None;
                WriteRecovered { after: self.ledger.committed().0 }.emit();
            }
            Err(error) => drop(self.mark_failed(&error)),
        }
    }

    /// Begins the next segment if this one is large or old enough.
    fn rotate(&mut self, now: Timestamp) {
        let Some(segment) = &self.segment else { return };
        if let Err(error) = segment.checkpoint() {
            // The write-ahead log is complete, so nothing is lost; how much of it reached the file
            // is unknown.
            self.mark_failed(&error);
            return;
        }
        let is_full = segment.events() >= self.options.segment_events;
        let is_old = now.since(segment.begun()) >= self.options.segment_age;
        // Each segment begins with all sessions. The current one grows until they are written.
        let may_rotate = self.maintenance.is_free() && !self.needs_checkpoint;
        if may_rotate && (is_full || is_old && segment.events() > 0) {
            match self.begin_segment(now) {
                Ok(()) => self.last_tidied = Timestamp::EPOCH,
                // If there is no space for another file, there is none in this one.
                Err(error) => drop(self.mark_failed(&error)),
            }
        }
    }

    fn current_error(&self) -> JournalError {
        self.write_error
            .clone()
            .unwrap_or_else(|| JournalError("no segment was started".to_owned()))
    }

    fn tidy(&mut self, now: Timestamp) {
        let is_due = now < self.last_tidied || now >= self.last_tidied + TIDY_INTERVAL;
        if let (true, Some(segment)) = (is_due, &self.segment) {
            self.maintenance.tidy(segment.first(), now);
            self.last_tidied = now;
        }
    }
}

impl Journal for DurableJournal {
    fn epoch(&self) -> u64 {
        self.file_header.epoch
    }

    fn restore(&mut self, rules: &Rules) -> Result<(Table, Revision), JournalError> {
        let now = self.clock.now();
        let started = Clock::instant();
        let restored = restore(&self.folder, rules, now);
        let restored = restored.map_err(|error| JournalError(error.to_string()))?;
        let Restored { table, newest, epoch, highest_epoch, snapshot_at, read, .. } = restored;
        let Restored { segment, events, beginnings, .. } = restored;
        for (file_header, snapshot) in beginnings {
            // Only the segment to be sealed needs it.
            self.maintenance.checkpoint_sink(file_header, snapshot.newest)(snapshot);
        }
        let new_epoch = u64::try_from(now.millis()).unwrap_or_default().max(highest_epoch + 1);
        self.file_header =
            FileHeader { epoch: epoch.unwrap_or(new_epoch), rules: fingerprint(rules) };
        let first = segment.as_ref().map_or(Revision(1), Segment::first);
        self.ledger = PositionLedger::resume(newest, first, read);
        self.last_checkpoint = (snapshot_at, now);
        self.segment = segment;
        let is_new_epoch = epoch.is_none() && highest_epoch > 0;
        let (sessions, took) = (table.len(), started.elapsed());
        Recovered { sessions, events, revision: newest.0, is_new_epoch, took }.emit();
        if self.segment.is_none()
            && let Err(error) = self.begin_segment(now)
        {
            self.mark_failed(&error);
        }
        Ok((table, newest))
    }

    fn reload(&mut self, rules: &Rules) -> Result<Option<(Table, Revision)>, JournalError> {
        let committed = self.ledger.committed();
        // An event that made a cache panic may also panic here, and the journal must continue.
        match catch_unwind(AssertUnwindSafe(|| reload(&self.folder, rules, committed))) {
            Ok(Ok(table)) => Ok(Some((table, committed))),
            Ok(Err(error)) => Err(JournalError(error.to_string())),
            Err(_) => Err(JournalError("an event in it cannot be applied".to_owned())),
        }
    }

    fn set_rules(&mut self, rules: &Rules) {
        self.file_header.rules = fingerprint(rules);
        self.needs_checkpoint = true;
    }

    fn invalidate_checkpoint(&mut self) {
        self.needs_checkpoint = true;
    }

    fn append(
        &mut self,
        events: &[Event],
        read: Option<&ReadPosition>,
    ) -> Result<Revision, JournalError> {
        if read.is_some_and(|read| read.position.len() > ReadPosition::LIMIT) {
            return Err(JournalError("the read position is too long".to_owned()));
        }
        let Some(segment) = &mut self.segment else { return Err(self.current_error()) };
        let first = self.ledger.append(events.len(), read);
        let rules_set = match events {
            [] => Ok(()),
            _ => segment.set_rules(first, self.file_header.rules),
        };
        match rules_set.and_then(|()| segment.append(first, events, read)) {
            Ok(()) => Ok(first),
            Err(error) => Err(self.mark_failed(&error)),
        }
    }

    fn commit(&mut self) -> Result<Revision, JournalError> {
        let Some(segment) = &mut self.segment else { return Err(self.current_error()) };
        if let Err(error) = segment.commit() {
            return Err(self.mark_failed(&error));
        }
        Ok(self.ledger.commit())
    }

    fn read_position(&self, source: &ReadSource) -> Option<Arc<[u8]>> {
        self.ledger.read_positions().get(source).cloned()
    }

    fn write_error(&self) -> Option<&JournalError> {
        self.write_error.as_ref()
    }

    fn maintain(&mut self, now: Timestamp) -> Option<CheckpointSink> {
        match self.write_error {
            Some(_) => self.retry_segment(now),
            None => self.rotate(now),
        }
        self.tidy(now);
        let (last_checkpoint, at) = self.last_checkpoint;
        let is_due = now < at || now >= at + self.options.snapshot_interval;
        let committed = self.ledger.committed();
        if !self.needs_checkpoint && (!is_due || last_checkpoint == committed)
            || !self.maintenance.is_free()
        {
            return None;
        }
        self.needs_checkpoint = false;
        self.last_checkpoint = (committed, now);
        Some(self.maintenance.checkpoint_sink(self.file_header, committed))
    }

    fn close(&mut self, last: Option<TableSnapshot>) {
        self.segment = None;
        // The maintenance thread finishes its jobs. Without a final table, the next start applies
        // the events again.
        if let Some(last) = last.filter(|_| self.write_error.is_none()) {
            self.maintenance.checkpoint_sink(self.file_header, Revision(0))(last);
        }
        self.maintenance.stop();
    }
}
