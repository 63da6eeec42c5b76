//! Reads the events of a segment, sealed or open, and verifies each row.

use std::path::Path;

use rollcall_identity::{Event, Revision, RevisionRange};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_rows;
use super::file::{self, HeaderField};
use super::file_header::FileHeader;
use super::string_table::Dictionary;

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The epoch and the rules.
    pub(super) file_header: FileHeader,
    /// The last acknowledged position before the segment.
    pub(super) after: Revision,
    /// The position of the first event.
    pub(super) first: Revision,
    /// Whether its names were erased. Its events cannot be applied.
    pub(super) is_nameless: bool,
}

impl SegmentHeader {
    pub(super) fn read(sql: &Connection) -> Result<Self, Corruption> {
        let file_header = FileHeader::read(sql)?;
        let after = Revision(file::required_field(sql, HeaderField::After)?);
        let first = Revision(file::required_field(sql, HeaderField::First)?);
        let is_nameless = file::field(sql, HeaderField::Nameless)?.is_some();
        Ok(Self { file_header, after, first, is_nameless })
    }

    /// The part of `span` that the segment can contain: all positions from its first event on.
    pub(super) fn clamp(self, span: RevisionRange) -> RevisionRange {
        let before = Revision(self.first.0.saturating_sub(1));
        RevisionRange { after: before.max(span.after), ..span }
    }
}

/// The result of reading events.
#[derive(Debug, Default)]
pub struct ReadSummary {
    /// The position of the last valid event; if there is none, the one before the first.
    pub last: Revision,
    /// The number of events read.
    pub events: u64,
    /// The number of missing or damaged events.
    pub lost: u64,
    /// The error that ended the read early.
    pub error: Option<Corruption>,
}

impl ReadSummary {
    /// Whether all events were read.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.error.is_none()
    }
}

/// Counts events while they are read.
#[derive(Debug)]
pub(super) struct ReadCounter {
    read: ReadSummary,
    /// Damaged rows since the last valid event.
    damaged: u64,
}

impl ReadCounter {
    /// Begins after the position `after`.
    pub(super) fn after(after: Revision) -> Self {
        Self { read: ReadSummary { last: after, ..ReadSummary::default() }, damaged: 0 }
    }

    /// Counts the valid event at `revision`.
    pub(super) fn record(&mut self, revision: Revision) {
        let read = &mut self.read;
        read.lost += revision.0.saturating_sub(read.last.0 + 1);
        read.last = revision;
        read.events += 1;
        // The gap in the positions already counts damaged rows, except at the end.
        self.damaged = 0;
    }

    /// Counts the end of a range. Returns whether reading can continue.
    pub(super) fn end(&mut self, RangeEnd { damaged, error }: RangeEnd) -> bool {
        self.damaged += damaged;
        self.read.error = error;
        self.read.error.is_none()
    }

    pub(super) fn read(self) -> ReadSummary {
        ReadSummary { lost: self.read.lost + self.damaged, ..self.read }
    }
}

/// The end of a range of rows.
#[derive(Debug)]
pub(super) struct RangeEnd {
    /// The number of damaged rows after the last valid event.
    damaged: u64,
    /// The error that ended the range early.
    error: Option<Corruption>,
}

/// Calls `each` for each valid event of the segment at `path` within `span`, in order.
///
/// # Errors
/// If the file cannot be read at all, or `each` fails.
pub(super) fn read(
    path: &Path,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<ReadSummary, Corruption> {
    let sql = file::open(path)?;
    let (header, dictionary) = (SegmentHeader::read(&sql)?, Dictionary::read(&sql)?);
    let span = header.clamp(span);
    let mut counter = ReadCounter::after(span.after);
    let end = rows(&sql, &dictionary, span, |revision, event| {
        counter.record(revision);
        each(revision, event)
    })?;
    counter.end(end);
    Ok(counter.read())
}

/// Reads a range of an open file in the same way.
pub(super) fn rows(
    sql: &Connection,
    dictionary: &Dictionary,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<RangeEnd, Corruption> {
    let select = "SELECT * FROM events WHERE revision > ? AND revision <= ? ORDER BY revision";
    let mut statement = sql.prepare_cached(select)?;
    let bounds = [span.after, span.upto].map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
    let mut rows = statement.query(bounds)?;
    let mut damaged = 0;
    loop {
        match rows.next().map(|row| row.map(|row| event_rows::read(row, dictionary))) {
            Ok(Some(Ok((revision, event)))) => {
                damaged = 0;
                each(revision, event)?;
            }
            Ok(Some(Err(_))) => damaged += 1,
            Ok(None) => return Ok(RangeEnd { damaged, error: None }),
            Err(error) => return Ok(RangeEnd { damaged, error: Some(error.into()) }),
        }
    }
}
