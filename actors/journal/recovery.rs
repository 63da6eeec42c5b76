//! A start: the newest snapshot that is whole, and then every event after it. What is damaged is set
//! aside under another name, and everything else still serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rollcall_identity::{
    ReadPositions, RecoveryProgress, Revision, RevisionRange, Rules, Table, TableSnapshot,
    Timestamp,
};

use super::corruption::Corruption;
use super::event_reader::{ReadSummary, SegmentHeader};
use super::file;
use super::file_header::FileHeader;
use super::fingerprint::fingerprint;
use super::layout::{JournalLayout, LayoutListing, name_of};
use super::position_rows;
use super::quarantine::{self, ApplyFn, Stopped, apply, with_quarantine};
use super::rule_versions;
use super::segment::Segment;
use super::snapshot;
use crate::telemetry::FileCorrupt;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How the journal is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecoveryMode {
    /// At a start: nobody writes, and what is damaged is set aside.
    Start,
    /// Beside a journal and a keeper at work: no file is touched.
    Concurrent,
}

/// What earlier lives of the process left.
pub(super) struct Restored {
    /// What everything folds to.
    pub(super) table: Table,
    /// The last position that is in it.
    pub(super) newest: Revision,
    /// The life of the positions; `None` when it cannot be gone on with, because events may have
    /// been acknowledged that are not there, or when there was none.
    pub(super) epoch: Option<u64>,
    /// The highest epoch that was ever seen.
    pub(super) highest_epoch: u64,
    /// The position of the snapshot that it began with.
    pub(super) snapshot_at: Revision,
    /// How far producers had read.
    pub(super) read: ReadPositions,
    /// The segment to go on with.
    pub(super) segment: Option<Segment>,
    /// How many events were folded.
    pub(super) events: u64,
    /// Who was there when a segment began that is still to be sealed, where no snapshot tells.
    pub(super) beginnings: Vec<(FileHeader, TableSnapshot)>,
}

/// A segment, sealed or not.
struct SegmentInfo {
    header: SegmentHeader,
    path: PathBuf,
    is_open: bool,
}

/// A start on its way.
struct Recovery<'a> {
    folder: &'a JournalLayout,
    rules: &'a Rules,
    /// How an event is folded, and which are not.
    apply: ApplyFn,
    quarantined: &'a BTreeSet<Revision>,
    fingerprint: u64,
    mode: RecoveryMode,
    now: Timestamp,
    table: Table,
    progress: RecoveryProgress,
    highest_epoch: u64,
    /// The rules by which consumers were told what came after the snapshot, as fingerprints.
    published_by: BTreeSet<u64>,
    events: u64,
    beginnings: Vec<(FileHeader, TableSnapshot)>,
}

/// Restores what lies in `folder`, by `rules`. An event whose folding panics is set aside, and all others
/// are folded.
///
/// # Errors
/// When the folder itself cannot be read or written.
pub(super) fn restore(
    folder: &JournalLayout,
    rules: &Rules,
    now: Timestamp,
) -> Result<Restored, Corruption> {
    restore_by(apply, (folder, rules), now)
}

/// The same by another way of folding.
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
            // It serves, but nobody can say that it will be there after the next start.
            recovery.progress.mark_incomplete();
        }
        let segments = recovery.segments(&listing)?;
        recovery.load_snapshot(&listing)?;
        let snapshot_at = recovery.progress.recovered();
        for (index, segment) in segments.iter().enumerate() {
            let upto = segments.get(index + 1).map(|next| next.header.after);
            recovery.apply(segment, upto)?;
        }
        let read = recovery.positions(&segments);
        let segment = recovery.resume_segment(segments.last());
        let Recovery { table, progress, highest_epoch, published_by, events, beginnings, .. } =
            recovery;
        let newest = progress.recovered();
        // By other rules, the same events may have been told otherwise.
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

/// Reads what is committed up to `committed` once more, while it is written on. An event whose folding
/// panics is set aside, likewise.
///
/// # Errors
/// When it cannot be read whole.
pub(super) fn reload(
    folder: &JournalLayout,
    rules: &Rules,
    committed: Revision,
) -> Result<Table, Corruption> {
    with_quarantine(|quarantined| {
        let listing = folder.list()?;
        let mut reload =
            Recovery::new((folder, rules), RecoveryMode::Concurrent, (apply, quarantined));
        let segments = reload.segments(&listing)?;
        reload.load_snapshot(&listing)?;
        for (index, segment) in segments.iter().enumerate() {
            let upto = segments.get(index + 1).map_or(committed, |next| next.header.after);
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
    fn segments(&mut self, listing: &LayoutListing) -> Result<Vec<SegmentInfo>, Corruption> {
        let mut segments = Vec::new();
        for first in listing.open.union(&listing.sealed) {
            let is_open = !listing.sealed.contains(first);
            let path = if is_open { self.folder.open(*first) } else { self.folder.sealed(*first) };
            match file::open(&path).and_then(|sql| SegmentHeader::read(&sql)) {
                Ok(header) => {
                    self.highest_epoch = self.highest_epoch.max(header.file_header.epoch);
                    segments.push(SegmentInfo { header, path, is_open });
                }
                Err(error) if self.mode == RecoveryMode::Concurrent => return Err(error),
                Err(error) => self.set_aside(&path, &error)?,
            }
        }
        // The last one may be the one that cannot be read, and nothing would show that it is missed.
        let newest = listing.open.union(&listing.sealed).max();
        if newest != segments.last().map(|segment| &segment.header.first) {
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

    /// Folds what a segment holds after what is known, up to what the next one begins with.
    fn apply(&mut self, segment: &SegmentInfo, upto: Option<Revision>) -> Result<(), Stopped> {
        let Some(span) = self.progress.enter_segment(segment.header.after, upto) else {
            return Ok(());
        };
        if segment.header.is_nameless {
            // Every snapshot since is lost, and the names are gone: who was there is not known.
            self.progress.mark_incomplete();
            self.progress.leave_segment(span, None);
            return Ok(());
        }
        if segment.is_open && segment.header.after == span.after {
            self.record_beginning(segment.header);
        }
        let (table, rules, apply) = (&mut self.table, self.rules, self.apply);
        let read = quarantine::read((&segment.path, span), self.quarantined, |revision, event| {
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
            // It stays under its name: what is good in it is still history.
            let file = name_of(&segment.path);
            FileCorrupt { file: &file, error: &error, aside: &file }.emit();
        }
        Ok(())
    }

    /// By which rules the events of `span` were decided and told.
    fn record_rules(&mut self, segment: &SegmentInfo, span: RevisionRange) {
        // What cannot be read is missed where the events are read.
        let versions = file::open(&segment.path).and_then(|sql| Ok(rule_versions::read(&sql)?));
        let versions = versions.unwrap_or_default();
        self.published_by.extend(rule_versions::deciding(
            segment.header.file_header.rules,
            &versions,
            span,
        ));
    }

    /// A segment that is still to be sealed needs to know who was there when it began.
    fn record_beginning(&mut self, header: SegmentHeader) {
        let is_known = header.after == Revision(0) || self.folder.snapshot(header.after).exists();
        if !is_known && self.mode == RecoveryMode::Start {
            let file_header = FileHeader { rules: self.fingerprint, ..header.file_header };
            self.beginnings.push((file_header, self.table.snapshot(header.after)));
        }
    }

    /// The positions of the newest segment that can tell them.
    fn positions(&self, segments: &[SegmentInfo]) -> ReadPositions {
        let positions = segments.iter().rev().find_map(|segment| {
            let sql = file::open(&segment.path).ok()?;
            position_rows::read(&sql).ok().map(|(read, _)| read)
        });
        positions.unwrap_or_default()
    }

    /// The last segment, when it can be gone on with and ends where everything does.
    fn resume_segment(&mut self, last: Option<&SegmentInfo>) -> Option<Segment> {
        let Some(SegmentInfo { header, is_open, .. }) = last else {
            // A snapshot without a segment: nobody knows what came after it.
            self.progress.resume_after(Revision(0));
            return None;
        };
        let open = is_open.then(|| Segment::resume(self.folder, header.first).ok()).flatten();
        let Some(segment) = open else {
            // One is sealed only after the next was begun, so the next is missing.
            self.progress.mark_incomplete();
            return None;
        };
        self.progress.resume_after(segment.last().unwrap_or(header.after));
        Some(segment)
    }
}
