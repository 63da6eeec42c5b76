//! Reading the events of a segment, sealed or still written, as far as they are what was written.

use std::path::Path;

use rollcall_identity::{Event, Revision, Span};
use rusqlite::Connection;

use super::damage::Damage;
use super::events;
use super::file::{self, About};
use super::lexicon::Dictionary;
use super::stamp::Stamp;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Title {
    /// Whose positions, by which rules.
    pub(super) stamp: Stamp,
    /// The last position before it that was acknowledged.
    pub(super) after: Revision,
    /// The position of its first event.
    pub(super) first: Revision,
    /// Whether the names were taken out: nothing can be folded from it any more.
    pub(super) is_nameless: bool,
}

impl Title {
    /// Reads it.
    pub(super) fn of(sql: &Connection) -> Result<Self, Damage> {
        let stamp = Stamp::of(sql)?;
        let after = Revision(file::need(sql, About::After)?);
        let first = Revision(file::need(sql, About::First)?);
        let is_nameless = file::ask(sql, About::Nameless)?.is_some();
        Ok(Self { stamp, after, first, is_nameless })
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
    pub(super) broke: Option<Damage>,
}

impl Read {
    /// Whether everything was there.
    pub(super) fn is_whole(&self) -> bool {
        self.lost == 0 && self.broke.is_none()
    }
}

/// Gives each good event of the segment at `path` within `span` to `each`, in order.
///
/// # Errors
/// When the file cannot be read at all, or `each` fails.
pub(super) fn read(
    path: &Path,
    span: Span,
    each: impl FnMut(Revision, Event) -> Result<(), Damage>,
) -> Result<Read, Damage> {
    let sql = file::open(path)?;
    let (title, dictionary) = (Title::of(&sql)?, Dictionary::read(&sql)?);
    let before = Revision(title.first.0.saturating_sub(1)).max(span.after);
    rows(&sql, &dictionary, Span { after: before, ..span }, each)
}

/// The same of an open file; all positions after `span.after` are expected to be there.
fn rows(
    sql: &Connection,
    dictionary: &Dictionary,
    span: Span,
    mut each: impl FnMut(Revision, Event) -> Result<(), Damage>,
) -> Result<Read, Damage> {
    let mut read = Read { last: span.after, ..Read::default() };
    let asked = "SELECT * FROM events WHERE revision > ? AND revision <= ? ORDER BY revision";
    let mut statement = sql.prepare(asked)?;
    let bounds = [span.after, span.upto].map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
    let mut rows = statement.query(bounds)?;
    let mut bad = 0;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                read.broke = Some(error.into());
                break;
            }
        };
        match events::read(row, dictionary) {
            Ok((revision, event)) => {
                read.lost += revision.0.saturating_sub(read.last.0 + 1);
                read.last = revision;
                read.events += 1;
                bad = 0;
                each(revision, event)?;
            }
            // The next good one misses it by its number; only at the end there is none.
            Err(_) => bad += 1,
        }
    }
    read.lost += bad;
    Ok(read)
}
