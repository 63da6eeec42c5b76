//! Recovery at a start: the newest complete snapshot, then every event after it. Damaged files are
//! renamed, and all others are used.

use std::collections::BTreeSet;
use std::path::Path;

use rollcall_identity::{
    ReadPositions, RecoveryProgress, Revision, RevisionRange, Rules, Table, TableSnapshot,
    Timestamp,
};

use super::corruption::Corruption;
use super::event_reader::ReadSummary;
use super::file_header::FileHeader;
use super::fingerprint::fingerprint;
use super::layout::{JournalLayout, LayoutListing, name_of};
use super::log::{LogReader, LogSegment};
use super::quarantine::{self, ApplyFn, Stopped, apply, with_quarantine};
use super::rule_versions;
use super::segment::Segment;
use super::segment_log::SegmentLog;
use super::snapshot;
use crate::telemetry::FileCorrupt;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The mode of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecoveryMode {
    /// At a start: no other part writes, and damaged files are set aside.
    Start,
    /// Beside a running journal and its maintenance: no file is changed.
    Concurrent,
}

/// The recovered state.
pub(super) struct Restored {
    /// The table after all events.
    pub(super) table: Table,
    /// The last position in it.
    pub(super) newest: Revision,
    /// The epoch; `None` if it cannot be continued, because acknowledged events may be missing, or
    /// if there was none.
    pub(super) epoch: Option<u64>,
    /// The highest epoch in any file.
    pub(super) highest_epoch: u64,
    /// The position of the snapshot.
    pub(super) snapshot_at: Revision,
    /// The read positions of producers.
    pub(super) read: ReadPositions,
    /// The segment to continue.
    pub(super) segment: Option<Segment>,
    /// The number of applied events.
    pub(super) events: u64,
    /// The states at the beginning of segments to be sealed for which no snapshot exists.
    pub(super) beginnings: Vec<(FileHeader, TableSnapshot)>,
}

/// A recovery in progress.
struct Recovery<'a> {
    folder: &'a JournalLayout,
    log: SegmentLog,
    rules: &'a Rules,
    /// How an event is applied, and which events are skipped.
    apply: ApplyFn,
    quarantined: &'a BTreeSet<Revision>,
    fingerprint: u64,
    mode: RecoveryMode,
    now: Timestamp,
    table: Table,
    progress: RecoveryProgress,
    highest_epoch: u64,
    /// The fingerprints of the rules that decided the events after the snapshot when they were
    /// published.
    published_by: BTreeSet<u64>,
    events: u64,
    beginnings: Vec<(FileHeader, TableSnapshot)>,
}

/// Recovers the journal in `folder` by `rules`. An event whose application panics is skipped, and
/// all others are applied.
///
/// # Errors
/// If the folder cannot be read or written.
pub(super) fn restore(
    folder: &JournalLayout,
    rules: &Rules,
    now: Timestamp,
) -> Result<Restored, Corruption> {
    restore_by(apply, (folder, rules), now)
}

/// The same with another apply function.
pub(super) fn restore_by(
    apply: ApplyFn,
    (folder, rules): (&JournalLayout, &Rules),
    now: Timestamp,
) -> Result<Restored, Corruption> {
    with_quarantine(|quarantined| {
        let listing = folder.list()?;
        folder.remove_unfinished(&listing)?;
        let mut recovery =
            Recovery::new((folder, rules), RecoveryMode::Start, (apply, quarantined));
        recovery.now = now;
        if folder.sync_existing(&listing).is_err() {
            // The data is usable, but may not be there after the next start.
            recovery.progress.mark_incomplete();
        }
        let segments = recovery.segments()?;
        recovery.load_snapshot(&listing)?;
        let snapshot_at = recovery.progress.recovered();
        for (index, segment) in segments.iter().enumerate() {
            let upto = segments.get(index + 1).map(|next| next.after);
            recovery.apply(segment, upto)?;
        }
        let read = recovery.positions(&segments);
        let segment = recovery.resume_segment(segments.last());
        let Recovery { table, progress, highest_epoch, published_by, events, beginnings, .. } =
            recovery;
        let newest = progress.recovered();
        // By other rules, the same events may have been published differently.
        let is_same_rules = events == 0 || published_by == BTreeSet::from([fingerprint(rules)]);
        let continues = progress.is_complete() && is_same_rules;
        let epoch = Some(highest_epoch).filter(|epoch| continues && *epoch > 0);
        let segment = segment.filter(|_| continues);
        Ok(Restored {
            table,
            newest,
            epoch,
            highest_epoch,
            snapshot_at,
            read,
            segment,
            events,
            beginnings,
        })
    })
}

/// Reads everything up to `committed` again while the journal is written. An event whose
/// application panics is skipped.
///
/// # Errors
/// If anything is missing.
pub(super) fn reload(
    folder: &JournalLayout,
    rules: &Rules,
    committed: Revision,
) -> Result<Table, Corruption> {
    with_quarantine(|quarantined| {
        let listing = folder.list()?;
        let mut reload =
            Recovery::new((folder, rules), RecoveryMode::Concurrent, (apply, quarantined));
        let segments = reload.segments()?;
        reload.load_snapshot(&listing)?;
        for (index, segment) in segments.iter().enumerate() {
            let upto = segments.get(index + 1).map_or(committed, |next| next.after);
            reload.apply(segment, Some(upto))?;
        }
        if reload.progress.is_complete() {
            return Ok(reload.table);
        }
        Err(Corruption::Missing("committed events are missing".to_owned()).into())
    })
}

impl<'a> Recovery<'a> {
    fn new(
        (folder, rules): (&'a JournalLayout, &'a Rules),
        mode: RecoveryMode,
        (apply, quarantined): (ApplyFn, &'a BTreeSet<Revision>),
    ) -> Self {
        Self {
            folder,
            log: SegmentLog::of(folder),
            rules,
            apply,
            quarantined,
            fingerprint: fingerprint(rules),
            mode,
            now: Timestamp::EPOCH,
            table: Table::default(),
            progress: RecoveryProgress::after(Revision(0)),
            highest_epoch: 0,
            published_by: BTreeSet::new(),
            events: 0,
            beginnings: Vec::new(),
        }
    }

    /// All segments that can be opened, ascending.
    fn segments(&mut self) -> Result<Vec<LogSegment>, Corruption> {
        let (mut segments, mut newest) = (Vec::new(), None);
        for listed in self.log.segments()? {
            newest = Some(listed.first);
            match listed.segment {
                Ok(segment) => {
                    self.highest_epoch = self.highest_epoch.max(segment.epoch);
                    segments.push(segment);
                }
                Err(error) if self.mode == RecoveryMode::Concurrent => return Err(error),
                Err(error) => self.set_aside(&self.log.locate(listed.first).0, &error)?,
            }
        }
        // This may be the last segment, and then no other file shows that it is missing.
        if newest != segments.last().map(|segment| segment.first) {
            self.progress.mark_incomplete();
        }
        Ok(segments)
    }

    fn set_aside(&self, path: &Path, error: &Corruption) -> Result<(), Corruption> {
        let aside = self.folder.set_aside(path, self.now)?;
        FileCorrupt { file: &name_of(path), error, aside: &name_of(&aside) }.emit();
        Ok(())
    }

    fn load_snapshot(&mut self, listing: &LayoutListing) -> Result<(), Corruption> {
        for last in listing.snapshots.iter().rev() {
            let path = self.folder.snapshot(*last);
            match snapshot::read(&path) {
                Ok(snapshot) => {
                    self.highest_epoch = self.highest_epoch.max(snapshot.file_header.epoch);
                    self.published_by.insert(snapshot.file_header.rules);
                    let is_certain = self.progress.is_complete();
                    self.progress = RecoveryProgress::after(snapshot.table.newest);
                    if !is_certain {
                        self.progress.mark_incomplete();
                    }
                    self.table = Table::restore(snapshot.table);
                    return Ok(());
                }
                Err(_) if self.mode == RecoveryMode::Concurrent => {}
                Err(error) => self.set_aside(&path, &error)?,
            }
        }
        Ok(())
    }

    /// Applies the events of a segment after the current position, up to the beginning of the next
    /// segment.
    fn apply(&mut self, segment: &LogSegment, upto: Option<Revision>) -> Result<(), Stopped> {
        let Some(span) = self.progress.enter_segment(segment.after, upto) else {
            return Ok(());
        };
        if segment.is_nameless {
            // All later snapshots are lost and the names are erased, so the sessions are unknown.
            self.progress.mark_incomplete();
            self.progress.leave_segment(span, None);
            return Ok(());
        }
        if !segment.is_sealed && segment.after == span.after {
            self.record_beginning(segment);
        }
        let (table, rules, apply) = (&mut self.table, self.rules, self.apply);
        let source = (&self.log as &dyn LogReader, segment, span);
        let read = quarantine::read(source, self.quarantined, |revision, event| {
            apply(table, revision, event, rules);
        });
        let (read, last) = match read {
            Err(Stopped::Failed(error)) => {
                (ReadSummary { error: Some(error), ..ReadSummary::default() }, None)
            }
            other => other?,
        };
        self.record_rules(segment, RevisionRange { upto: last.unwrap_or(span.after), ..span });
        self.events += read.events;
        let short = self.progress.leave_segment(span, last);
        if !read.is_complete() || short {
            self.progress.mark_incomplete();
            let missing = Corruption::Missing(format!("{} of its events", read.lost));
            let error = read.error.unwrap_or(missing);
            // The file keeps its name: its valid part is still used for history.
            let file = &segment.file;
            FileCorrupt { file, error: &error, aside: file }.emit();
        }
        Ok(())
    }

    /// Records which rules decided and published the events of `span`.
    fn record_rules(&mut self, segment: &LogSegment, span: RevisionRange) {
        // A read error is reported where the events are read.
        let versions = segment.rule_versions.as_deref().unwrap_or_default();
        self.published_by.extend(rule_versions::deciding(segment.rules, versions, span));
    }

    /// Records the state at the beginning of a segment that is not sealed yet, which needs it.
    fn record_beginning(&mut self, segment: &LogSegment) {
        let after = segment.after;
        let is_known = after == Revision(0) || self.folder.snapshot(after).exists();
        if !is_known && self.mode == RecoveryMode::Start {
            let file_header = FileHeader { rules: self.fingerprint, epoch: segment.epoch };
            self.beginnings.push((file_header, self.table.snapshot(after)));
        }
    }

    /// The read positions of the newest segment that contains them.
    fn positions(&self, segments: &[LogSegment]) -> ReadPositions {
        let read = |segment: &LogSegment| self.log.read_positions(segment.first).ok();
        segments.iter().rev().find_map(read).unwrap_or_default()
    }

    /// The last segment, if it can be continued and ends at the last position.
    fn resume_segment(&mut self, last: Option<&LogSegment>) -> Option<Segment> {
        let Some(LogSegment { first, after, is_sealed, .. }) = last else {
            // A snapshot without a segment: later events are unknown.
            self.progress.resume_after(Revision(0));
            return None;
        };
        let open = (!is_sealed).then(|| Segment::resume(self.folder, *first).ok()).flatten();
        let Some(segment) = open else {
            // A segment is sealed only after the next one was begun, so the next one is missing.
            self.progress.mark_incomplete();
            return None;
        };
        self.progress.resume_after(segment.last().unwrap_or(*after));
        Some(segment)
    }
}
