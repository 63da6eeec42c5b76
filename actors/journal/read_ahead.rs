//! Reading many events of a segment: threads of their own read and check them ahead, in pieces and by
//! turns, while those before are folded. A start waits for nothing else.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use rollcall_identity::{Event, Revision, RevisionRange};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_reader::{self, RangeEnd, ReadCounter, ReadSummary, SegmentHeader};
use super::file;
use super::string_table::Dictionary;

/// From how many positions on it is worth a thread.
const MIN_POSITIONS: u64 = 20_000;

/// How many positions a piece has.
const CHUNK_POSITIONS: usize = 4096;

/// How many threads read: it takes two to keep the one that folds busy.
const READERS: usize = 2;

/// How many pieces of each may wait: it bounds what is held in memory.
const CHUNKS_PER_READER: usize = 2;

/// A stretch of a segment: its good events in order, and what it ends with.
struct Chunk {
    events: Vec<(Revision, Event)>,
    end: RangeEnd,
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
) -> Result<ReadSummary, Corruption> {
    let sql = file::open(path)?;
    // Where not even its last row can be told, it is read as far as it goes.
    let newest = "SELECT coalesce(max(revision), 0) FROM events";
    let newest = sql.query_row(newest, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
    let (clamp, newest) =
        (SegmentHeader::read(&sql)?.clamp(span), Revision(newest.cast_unsigned()));
    let ahead = RevisionRange { upto: clamp.upto.min(newest), ..clamp };
    if ahead.upto.0.saturating_sub(ahead.after.0) < MIN_POSITIONS {
        return event_reader::read(path, span, each);
    }
    let dictionary = Dictionary::read(&sql)?;
    thread::scope(|scope| {
        let readers = (0..READERS).map(|number| {
            let sql = file::open(path).ok()?;
            start(scope, (sql, &dictionary), (ahead, number))
        });
        match readers.collect::<Option<Vec<_>>>() {
            Some(readers) => merge(readers, ahead, each),
            // Without them the file is as good as it was.
            None => event_reader::read(path, span, each),
        }
    })
}

/// A reader on its way, and where its pieces come from.
type Started<'scope> = (Receiver<Chunk>, ScopedJoinHandle<'scope, Result<(), Corruption>>);

/// Starts the reader of this number; `None` when there can be no such thread.
fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    (sql, dictionary): (Connection, &'env Dictionary),
    (span, number): (RevisionRange, usize),
) -> Option<Started<'scope>> {
    let (sender, chunks) = bounded(CHUNKS_PER_READER);
    let reader = thread::Builder::new().name("journal-reader".to_owned());
    let read = move || read_interleaved((&sql, dictionary), (span, number), &sender);
    Some((chunks, reader.spawn_scoped(scope, read).ok()?))
}

/// Reads the pieces of `span` that are for the reader of this number, until nobody wants them any more.
fn read_interleaved(
    (sql, dictionary): (&Connection, &Dictionary),
    (span, number): (RevisionRange, usize),
    sender: &Sender<Chunk>,
) -> Result<(), Corruption> {
    for chunk in chunks(span).skip(number).step_by(READERS) {
        let mut events = Vec::with_capacity(CHUNK_POSITIONS);
        let end = event_reader::rows(sql, dictionary, chunk, |revision, event| {
            events.push((revision, event));
            Ok(())
        })?;
        if sender.send(Chunk { events, end }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Takes the pieces in their order and gives out what is in them.
fn merge(
    mut readers: Vec<Started<'_>>,
    span: RevisionRange,
    mut each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<ReadSummary, Corruption> {
    let mut counter = ReadCounter::after(span.after);
    for (index, chunk) in chunks(span).enumerate() {
        let number = index % READERS;
        let Ok(Chunk { events, end }) = readers[number].0.recv() else {
            let ended = readers.swap_remove(number).1.join();
            ended.unwrap_or_else(|panic| resume_unwind(panic))?;
            return Err(Corruption::Missing(format!("the events after {}", chunk.after)));
        };
        for (revision, event) in events {
            counter.record(revision);
            each(revision, event)?;
        }
        if !counter.end(end) {
            break;
        }
    }
    Ok(counter.read())
}

/// `span` in pieces.
fn chunks(span: RevisionRange) -> impl Iterator<Item = RevisionRange> {
    let begins = (span.after.0..span.upto.0).step_by(CHUNK_POSITIONS);
    begins.map(move |after| {
        let upto = Revision(after + CHUNK_POSITIONS as u64).min(span.upto);
        RevisionRange { after: Revision(after), upto }
    })
}
