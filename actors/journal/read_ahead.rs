//! Reading many events of a segment: threads of their own read and check them ahead, in pieces and by
//! turns, while those before are folded. A start waits for nothing else.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use rollcall_identity::{Event, Revision, RevisionRange};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_reader::{self, Count, Read, Rest, SegmentTitle};
use super::file;
use super::string_table::Dictionary;

/// From how many positions on it is worth a thread.
const MANY: u64 = 20_000;

/// How many positions a piece has.
const PIECE: usize = 4096;

/// How many threads read: it takes two to keep the one that folds busy.
const READERS: usize = 2;

/// How many pieces of each may wait: it bounds what is held in memory.
const WAITING: usize = 2;

/// A stretch of a segment: its good events in order, and what it ends with.
struct Piece {
    good: Vec<(Revision, Event)>,
    rest: Rest,
}

/// Gives each good event of the segment at `path` within `span` to `each`, in order, like
/// [`event_reader::read`].
///
/// # Errors
/// When the file cannot be read at all, or `each` fails.
pub(super) fn read(
    path: &Path,
    span: RevisionRange,
    each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<Read, Corruption> {
    let sql = file::open(path)?;
    // Where not even its last row can be told, it is read as far as it goes.
    let newest = "SELECT coalesce(max(revision), 0) FROM events";
    let newest = sql.query_row(newest, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
    let (within, newest) = (SegmentTitle::of(&sql)?.within(span), Revision(newest.cast_unsigned()));
    let ahead = RevisionRange { upto: within.upto.min(newest), ..within };
    if ahead.upto.0.saturating_sub(ahead.after.0) < MANY {
        return event_reader::read(path, span, each);
    }
    let dictionary = Dictionary::read(&sql)?;
    thread::scope(|scope| {
        let readers = (0..READERS).map(|number| {
            let sql = file::open(path).ok()?;
            start(scope, (sql, &dictionary), (ahead, number))
        });
        match readers.collect::<Option<Vec<_>>>() {
            Some(readers) => take(readers, ahead, each),
            // Without them the file is as good as it was.
            None => event_reader::read(path, span, each),
        }
    })
}

/// A reader on its way, and where its pieces come from.
type Started<'scope> = (Receiver<Piece>, ScopedJoinHandle<'scope, Result<(), Corruption>>);

/// Starts the reader of this number; `None` when there can be no such thread.
fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    (sql, dictionary): (Connection, &'env Dictionary),
    (span, number): (RevisionRange, usize),
) -> Option<Started<'scope>> {
    let (give, pieces) = bounded(WAITING);
    let reader = thread::Builder::new().name("journal-reader".to_owned());
    let read = move || read_by_turns((&sql, dictionary), (span, number), &give);
    Some((pieces, reader.spawn_scoped(scope, read).ok()?))
}

/// Reads the pieces of `span` that are for the reader of this number, until nobody wants them any more.
fn read_by_turns(
    (sql, dictionary): (&Connection, &Dictionary),
    (span, number): (RevisionRange, usize),
    give: &Sender<Piece>,
) -> Result<(), Corruption> {
    for piece in pieces(span).skip(number).step_by(READERS) {
        let mut good = Vec::with_capacity(PIECE);
        let rest = event_reader::rows(sql, dictionary, piece, |revision, event| {
            good.push((revision, event));
            Ok(())
        })?;
        if give.send(Piece { good, rest }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Takes the pieces in their order and gives out what is in them.
fn take(
    mut readers: Vec<Started<'_>>,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<Read, Corruption> {
    let mut count = Count::after(span.after);
    for (turn, piece) in pieces(span).enumerate() {
        let number = turn % READERS;
        let Ok(Piece { good, rest }) = readers[number].0.recv() else {
            let ended = readers.swap_remove(number).1.join();
            ended.unwrap_or_else(|panic| resume_unwind(panic))?;
            return Err(Corruption::Missing(format!("those after {}", piece.after)));
        };
        for (revision, event) in good {
            count.good(revision);
            each(revision, event)?;
        }
        if !count.rest(rest) {
            break;
        }
    }
    Ok(count.read())
}

/// `span` in pieces.
fn pieces(span: RevisionRange) -> impl Iterator<Item = RevisionRange> {
    let begins = (span.after.0..span.upto.0).step_by(PIECE);
    begins.map(move |after| {
        let upto = Revision(after + PIECE as u64).min(span.upto);
        RevisionRange { after: Revision(after), upto }
    })
}
