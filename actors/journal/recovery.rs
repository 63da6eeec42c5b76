//! A start: the newest snapshot that is whole, and then every event after it. What is damaged is set
//! aside under another name, and everything else still serves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rollcall_identity::{
    ReadPositions, RecoveryProgress, Revision, RevisionRange, Rules, Table, TableSnapshot,
    Timestamp,
};

use super::corruption::Corruption;
use super::event_reader::{Read, SegmentTitle};
use super::file;
use super::file_header::FileHeader;
use super::fingerprint::fingerprint;
use super::layout::{JournalLayout, LayoutListing, name_of};
use super::position_rows;
use super::quarantine::{self, Fold, Stopped, fold, without_poison};
use super::rule_versions;
use super::segment::Segment;
use super::snapshot;
use crate::telemetry::FileCorrupt;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How the journal is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// At a start: nobody writes, and what is damaged is set aside.
    Start,
    /// Beside a journal and a keeper at work: no file is touched.
    Beside,
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
    pub(super) written_down: Revision,
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
    title: SegmentTitle,
    path: PathBuf,
    is_open: bool,
}

/// A start on its way.
struct Restoring<'a> {
    folder: &'a JournalLayout,
    rules: &'a Rules,
    /// How an event is folded, and which are not.
    fold: Fold,
    poison: &'a BTreeSet<Revision>,
    fingerprint: u64,
    manner: Manner,
    now: Timestamp,
    table: Table,
    continuity: RecoveryProgress,
    highest_epoch: u64,
    /// The rules by which consumers were told what came after the snapshot, as fingerprints.
    told_by: BTreeSet<u64>,
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
    restore_by(fold, (folder, rules), now)
}

/// The same by another way of folding.
pub(super) fn restore_by(
    fold: Fold,
    (folder, rules): (&JournalLayout, &Rules),
    now: Timestamp,
) -> Result<Restored, Corruption> {
    without_poison(|poison| {
        let listing = folder.list()?;
        folder.sweep(&listing)?;
        let mut restoring = Restoring::new((folder, rules), Manner::Start, (fold, poison));
        restoring.now = now;
        if folder.settle(&listing).is_err() {
            // It serves, but nobody can say that it will be there after the next start.
            restoring.continuity.mark_incomplete();
        }
        let chapters = restoring.chapters(&listing)?;
        restoring.begin_with_snapshot(&listing)?;
        let written_down = restoring.continuity.recovered();
        for (index, chapter) in chapters.iter().enumerate() {
            let upto = chapters.get(index + 1).map(|next| next.title.after);
            restoring.fold(chapter, upto)?;
        }
        let read = restoring.positions(&chapters);
        let segment = restoring.go_on(chapters.last());
        let Restoring { table, continuity, highest_epoch, told_by, events, beginnings, .. } =
            restoring;
        let newest = continuity.recovered();
        // By other rules, the same events may have been told otherwise.
        let is_as_told = events == 0 || told_by == BTreeSet::from([fingerprint(rules)]);
        let goes_on = continuity.is_complete() && is_as_told;
        let epoch = Some(highest_epoch).filter(|epoch| goes_on && *epoch > 0);
        let segment = segment.filter(|_| goes_on);
        Ok(Restored {
            table,
            newest,
            epoch,
            highest_epoch,
            written_down,
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
pub(super) fn recall(
    folder: &JournalLayout,
    rules: &Rules,
    committed: Revision,
) -> Result<Table, Corruption> {
    without_poison(|poison| {
        let listing = folder.list()?;
        let mut recalling = Restoring::new((folder, rules), Manner::Beside, (fold, poison));
        let chapters = recalling.chapters(&listing)?;
        recalling.begin_with_snapshot(&listing)?;
        for (index, chapter) in chapters.iter().enumerate() {
            let upto = chapters.get(index + 1).map_or(committed, |next| next.title.after);
            recalling.fold(chapter, Some(upto))?;
        }
        if recalling.continuity.is_complete() {
            return Ok(recalling.table);
        }
        Err(Corruption::Missing("not everything that was committed is there".to_owned()).into())
    })
}

impl<'a> Restoring<'a> {
    fn new(
        (folder, rules): (&'a JournalLayout, &'a Rules),
        manner: Manner,
        (fold, poison): (Fold, &'a BTreeSet<Revision>),
    ) -> Self {
        Self {
            folder,
            rules,
            fold,
            poison,
            fingerprint: fingerprint(rules),
            manner,
            now: Timestamp::EPOCH,
            table: Table::default(),
            continuity: RecoveryProgress::after(Revision(0)),
            highest_epoch: 0,
            told_by: BTreeSet::new(),
            events: 0,
            beginnings: Vec::new(),
        }
    }

    /// All segments that can be opened, ascending.
    fn chapters(&mut self, listing: &LayoutListing) -> Result<Vec<SegmentInfo>, Corruption> {
        let mut chapters = Vec::new();
        for first in listing.open.union(&listing.sealed) {
            let is_open = !listing.sealed.contains(first);
            let path = if is_open { self.folder.open(*first) } else { self.folder.sealed(*first) };
            match file::open(&path).and_then(|sql| SegmentTitle::of(&sql)) {
                Ok(title) => {
                    self.highest_epoch = self.highest_epoch.max(title.stamp.epoch);
                    chapters.push(SegmentInfo { title, path, is_open });
                }
                Err(damage) if self.manner == Manner::Beside => return Err(damage),
                Err(damage) => self.set_aside(&path, &damage)?,
            }
        }
        // The last one may be the one that cannot be read, and nothing would show that it is missed.
        let newest = listing.open.union(&listing.sealed).max();
        if newest != chapters.last().map(|chapter| &chapter.title.first) {
            self.continuity.mark_incomplete();
        }
        Ok(chapters)
    }

    fn set_aside(&self, path: &Path, damage: &Corruption) -> Result<(), Corruption> {
        let aside = self.folder.set_aside(path, self.now)?;
        FileCorrupt { file: &name_of(path), damage, aside: &name_of(&aside) }.emit();
        Ok(())
    }

    fn begin_with_snapshot(&mut self, listing: &LayoutListing) -> Result<(), Corruption> {
        for last in listing.snapshots.iter().rev() {
            let path = self.folder.snapshot(*last);
            match snapshot::read(&path) {
                Ok(snapshot) => {
                    self.highest_epoch = self.highest_epoch.max(snapshot.stamp.epoch);
                    self.told_by.insert(snapshot.stamp.rules);
                    let is_certain = self.continuity.is_complete();
                    self.continuity = RecoveryProgress::after(snapshot.handover.newest);
                    if !is_certain {
                        self.continuity.mark_incomplete();
                    }
                    self.table = Table::restore(snapshot.handover);
                    return Ok(());
                }
                Err(_) if self.manner == Manner::Beside => {}
                Err(damage) => self.set_aside(&path, &damage)?,
            }
        }
        Ok(())
    }

    /// Folds what a segment holds after what is known, up to what the next one begins with.
    fn fold(&mut self, chapter: &SegmentInfo, upto: Option<Revision>) -> Result<(), Stopped> {
        let Some(span) = self.continuity.enter_segment(chapter.title.after, upto) else {
            return Ok(());
        };
        if chapter.title.is_nameless {
            // Every snapshot since is lost, and the names are gone: who was there is not known.
            self.continuity.mark_incomplete();
            self.continuity.leave_segment(span, None);
            return Ok(());
        }
        if chapter.is_open && chapter.title.after == span.after {
            self.remember_beginning(chapter.title);
        }
        let (table, rules, fold) = (&mut self.table, self.rules, self.fold);
        let read = quarantine::read((&chapter.path, span), self.poison, |revision, event| {
            fold(table, revision, event, rules);
        });
        let (read, last) = match read {
            Err(Stopped::Damaged(damage)) => {
                (Read { broke: Some(damage), ..Read::default() }, None)
            }
            other => other?,
        };
        self.note_rules(chapter, RevisionRange { upto: last.unwrap_or(span.after), ..span });
        self.events += read.events;
        let short = self.continuity.leave_segment(span, last);
        if !read.is_whole() || short {
            self.continuity.mark_incomplete();
            let missing = Corruption::Missing(format!("{} of its events", read.lost));
            let damage = read.broke.unwrap_or(missing);
            // It stays under its name: what is good in it is still history.
            let file = name_of(&chapter.path);
            FileCorrupt { file: &file, damage: &damage, aside: &file }.emit();
        }
        Ok(())
    }

    /// By which rules the events of `span` were decided and told.
    fn note_rules(&mut self, chapter: &SegmentInfo, span: RevisionRange) {
        // What cannot be read is missed where the events are read.
        let notes = file::open(&chapter.path).and_then(|sql| Ok(rule_versions::read(&sql)?));
        let notes = notes.unwrap_or_default();
        self.told_by.extend(rule_versions::deciding(chapter.title.stamp.rules, &notes, span));
    }

    /// A segment that is still to be sealed needs to know who was there when it began.
    fn remember_beginning(&mut self, title: SegmentTitle) {
        let is_known = title.after == Revision(0) || self.folder.snapshot(title.after).exists();
        if !is_known && self.manner == Manner::Start {
            let stamp = FileHeader { rules: self.fingerprint, ..title.stamp };
            self.beginnings.push((stamp, self.table.snapshot(title.after)));
        }
    }

    /// The positions of the newest segment that can tell them.
    fn positions(&self, chapters: &[SegmentInfo]) -> ReadPositions {
        let told = chapters.iter().rev().find_map(|chapter| {
            let sql = file::open(&chapter.path).ok()?;
            position_rows::read(&sql).ok().map(|(read, _)| read)
        });
        told.unwrap_or_default()
    }

    /// The last segment, when it can be gone on with and ends where everything does.
    fn go_on(&mut self, last: Option<&SegmentInfo>) -> Option<Segment> {
        let Some(SegmentInfo { title, is_open, .. }) = last else {
            // A snapshot without a segment: nobody knows what came after it.
            self.continuity.resume_after(Revision(0));
            return None;
        };
        let open = is_open.then(|| Segment::resume(self.folder, title.first).ok()).flatten();
        let Some(segment) = open else {
            // One is sealed only after the next was begun, so the next is missing.
            self.continuity.mark_incomplete();
            return None;
        };
        self.continuity.resume_after(segment.last().unwrap_or(title.after));
        Some(segment)
    }
}
