//! The log of a journal folder: the one way to its segments and snapshots, for recovery and for
//! every reader beside the journal.

use std::path::{Path, PathBuf};

use rollcall_identity::{ReadPositions, Revision, RevisionRange, TableSnapshot, Timestamp};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_reader::{self, ReadSummary, SegmentHeader};
use super::file::{self, HeaderField};
use super::layout::{JournalLayout, name_of};
use super::log::{EachEntry, ListedSegment, LogEntry, LogReader, LogSegment};
use super::{checkpoint, position_rows, read_ahead, rule_versions, snapshot};

/// The log of a folder.
#[derive(Debug, Clone)]
pub(super) struct SegmentLog {
    folder: JournalLayout,
}

impl SegmentLog {
    /// The log of this folder. Reads nothing yet.
    pub(super) fn of(folder: &JournalLayout) -> Self {
        Self { folder: folder.clone() }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &JournalLayout {
        &self.folder
    }

    /// The path of the segment that begins at `first`, and whether it is sealed.
    pub(super) fn locate(&self, first: Revision) -> (PathBuf, bool) {
        let sealed = self.folder.sealed(first);
        if sealed.exists() { (sealed, true) } else { (self.folder.open(first), false) }
    }

    /// The segment that begins at `first`. Only [`LogReader::segments`] knows its end.
    pub(super) fn segment(&self, first: Revision) -> Result<LogSegment, Corruption> {
        self.open(first).1
    }

    /// The valid read positions of producers in the segment that begins at `first`.
    pub(super) fn read_positions(&self, first: Revision) -> Result<ReadPositions, Corruption> {
        let sql = file::open(&self.locate(first).0)?;
        Ok(position_rows::read(&sql)?.0)
    }

    /// The segment that begins at `first`. If it is sealed meanwhile, it has its new name at the
    /// second attempt.
    fn open(&self, first: Revision) -> (PathBuf, Result<LogSegment, Corruption>) {
        let (path, is_sealed) = self.locate(first);
        let segment = file::open(&path).and_then(|sql| describe(&sql, &path, is_sealed));
        if segment.is_err() && !is_sealed && self.locate(first).1 {
            return self.open(first);
        }
        (path, segment)
    }
}

/// Reads what an open segment file says about itself.
pub(super) fn describe(
    sql: &Connection,
    path: &Path,
    is_sealed: bool,
) -> Result<LogSegment, Corruption> {
    let SegmentHeader { file_header, after, first, is_nameless } = SegmentHeader::read(sql)?;
    let begun = file::required_field(sql, HeaderField::Begun)?.cast_signed();
    Ok(LogSegment {
        file: name_of(path),
        after,
        first,
        end: None,
        epoch: file_header.epoch,
        begun: Timestamp::from_millis(begun),
        is_sealed,
        is_nameless,
        rules: file_header.rules,
        rule_versions: rule_versions::read(sql).ok(),
    })
}

impl LogReader for SegmentLog {
    fn segments(&self) -> Result<Vec<ListedSegment>, Corruption> {
        let listing = self.folder.list()?;
        let mut listed: Vec<ListedSegment> = Vec::new();
        for first in listing.open.union(&listing.sealed) {
            let (path, segment) = self.open(*first);
            if let (Ok(next), Some(before)) = (&segment, listed.last_mut())
                && let Ok(before) = &mut before.segment
            {
                before.end = Some(next.after);
            }
            listed.push(ListedSegment { first: *first, file: name_of(&path), segment });
        }
        Ok(listed)
    }

    fn read(
        &self,
        segment: &LogSegment,
        span: RevisionRange,
        each: EachEntry<'_>,
    ) -> Result<ReadSummary, Corruption> {
        let (path, epoch) = (self.locate(segment.first).0, segment.epoch);
        event_reader::read(&path, span, |position, event| each(LogEntry { epoch, position, event }))
    }

    fn read_ahead(
        &self,
        segment: &LogSegment,
        span: RevisionRange,
        each: EachEntry<'_>,
    ) -> Result<ReadSummary, Corruption> {
        let (path, epoch) = (self.locate(segment.first).0, segment.epoch);
        read_ahead::read(&path, span, |position, event| each(LogEntry { epoch, position, event }))
    }

    fn beginning(&self, segment: &LogSegment) -> Result<Option<TableSnapshot>, Corruption> {
        if segment.after == Revision(0) {
            return Ok(Some(TableSnapshot::default()));
        }
        let sql = file::open(&self.locate(segment.first).0)?;
        if let Some(state) = checkpoint::read(&sql)? {
            return Ok(Some(state));
        }
        let path = self.folder.snapshot(segment.after);
        Ok(snapshot::read(&path).ok().map(|known| known.table))
    }

    fn newest_state(&self) -> Result<Option<TableSnapshot>, Corruption> {
        let snapshots = self.folder.list()?.snapshots;
        let readable = |last: &Revision| snapshot::read(&self.folder.snapshot(*last)).ok();
        Ok(snapshots.iter().rev().find_map(readable).map(|newest| newest.table))
    }
}
