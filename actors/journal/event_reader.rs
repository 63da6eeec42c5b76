//! Reading the events of a segment, sealed or still written, as far as they are what was written.

use std::path::Path;

use rollcall_identity::{Event, Revision, RevisionRange};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_rows;
use super::file::{self, HeaderField};
use super::file_header::FileHeader;
use super::string_table::Dictionary;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentTitle {
    /// Whose positions, by which rules.
    pub(super) stamp: FileHeader,
    /// The last position before it that was acknowledged.
    pub(super) after: Revision,
    /// The position of its first event.
    pub(super) first: Revision,
    /// Whether the names were taken out: nothing can be folded from it any more.
    pub(super) is_nameless: bool,
}

impl SegmentTitle {
    /// Reads it.
    pub(super) fn of(sql: &Connection) -> Result<Self, Corruption> {
        let stamp = FileHeader::of(sql)?;
        let after = Revision(file::need(sql, HeaderField::After)?);
        let first = Revision(file::need(sql, HeaderField::First)?);
        let is_nameless = file::ask(sql, HeaderField::Nameless)?.is_some();
        Ok(Self { stamp, after, first, is_nameless })
    }

    /// Of `span`, what can be in it: all positions from its first event on are expected to be there.
    pub(super) fn within(self, span: RevisionRange) -> RevisionRange {
        let before = Revision(self.first.0.saturating_sub(1));
        RevisionRange { after: before.max(span.after), ..span }
    }
}

/// What a reading came to.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The position of the last good event; of none, the one before the first.
    pub(super) last: Revision,
    /// How many were read.
    pub(super) events: u64,
    /// How many are there no more, or not as they were written.
    pub(super) lost: u64,
    /// What ended the reading before its time.
    pub(super) broke: Option<Corruption>,
}

impl Read {
    /// Whether everything was there.
    pub(super) fn is_whole(&self) -> bool {
        self.lost == 0 && self.broke.is_none()
    }
}

/// A reading as it goes on.
#[derive(Debug)]
pub(super) struct Count {
    read: Read,
    /// Rows since the last good one that are not as they were written.
    bad: u64,
}

impl Count {
    /// Begins after the position `after`.
    pub(super) fn after(after: Revision) -> Self {
        Self { read: Read { last: after, ..Read::default() }, bad: 0 }
    }

    /// The next good event is that of `revision`.
    pub(super) fn good(&mut self, revision: Revision) {
        let read = &mut self.read;
        read.lost += revision.0.saturating_sub(read.last.0 + 1);
        read.last = revision;
        read.events += 1;
        // It misses those before it by its number; only at the end there is none.
        self.bad = 0;
    }

    /// What came behind the last good event of a stretch. Says whether it can be read on.
    pub(super) fn rest(&mut self, Rest { bad, broke }: Rest) -> bool {
        self.bad += bad;
        self.read.broke = broke;
        self.read.broke.is_none()
    }

    /// What it came to.
    pub(super) fn read(self) -> Read {
        Read { lost: self.read.lost + self.bad, ..self.read }
    }
}

/// What a stretch of rows ends with.
#[derive(Debug)]
pub(super) struct Rest {
    /// How many rows behind the last good event are not as they were written.
    bad: u64,
    /// What ended it before its time.
    broke: Option<Corruption>,
}

/// Gives each good event of the segment at `path` within `span` to `each`, in order.
///
/// # Errors
/// When the file cannot be read at all, or `each` fails.
pub(super) fn read(
    path: &Path,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<Read, Corruption> {
    let sql = file::open(path)?;
    let (title, dictionary) = (SegmentTitle::of(&sql)?, Dictionary::read(&sql)?);
    let span = title.within(span);
    let mut count = Count::after(span.after);
    let rest = rows(&sql, &dictionary, span, |revision, event| {
        count.good(revision);
        each(revision, event)
    })?;
    count.rest(rest);
    Ok(count.read())
}

/// The same of a stretch of an open file.
pub(super) fn rows(
    sql: &Connection,
    dictionary: &Dictionary,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<Rest, Corruption> {
    let asked = "SELECT * FROM events WHERE revision > ? AND revision <= ? ORDER BY revision";
    let mut statement = sql.prepare_cached(asked)?;
    let bounds = [span.after, span.upto].map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
    let mut rows = statement.query(bounds)?;
    let mut bad = 0;
    loop {
        match rows.next().map(|row| row.map(|row| event_rows::read(row, dictionary))) {
            Ok(Some(Ok((revision, event)))) => {
                bad = 0;
                each(revision, event)?;
            }
            Ok(Some(Err(_))) => bad += 1,
            Ok(None) => return Ok(Rest { bad, broke: None }),
            Err(error) => return Ok(Rest { bad, broke: Some(error.into()) }),
        }
    }
}
