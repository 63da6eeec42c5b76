//! Reads many events of a segment with threads that read and verify chunks ahead, while earlier
//! chunks are applied. This bounds the start time.

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

/// The minimum number of positions that justifies threads.
const MIN_POSITIONS: u64 = 20_000;

/// The number of positions in a chunk.
const CHUNK_POSITIONS: usize = 4096;

/// The number of reading threads: two keep the applying thread busy.
const READERS: usize = 2;

/// The maximum number of waiting chunks per thread, which bounds memory.
const CHUNKS_PER_READER: usize = 2;

/// A chunk of a segment: its valid events in order, and its end.
struct Chunk {
    events: Vec<(Revision, Event)>,
    end: RangeEnd,
}

/// Calls `each` for each valid event of the segment at `path` within `span`, in order, like
/// [`event_reader::read`].
///
/// # Errors
/// If the file cannot be read at all, or `each` fails.
pub(super) fn read(
    path: &Path,
    span: RevisionRange,
    each: impl FnMut(Revision, Event) -> Result<(), Corruption>,
) -> Result<ReadSummary, Corruption> {
    let sql = file::open(path)?;
    // If the last row cannot be determined, the file is read as far as possible.
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
            // Without threads, this thread reads the file.
            None => event_reader::read(path, span, each),
        }
    })
}

/// The chunks of a started thread, and its handle.
type Started<'scope> = (Receiver<Chunk>, ScopedJoinHandle<'scope, Result<(), Corruption>>);

/// Starts the thread with this number; `None` if a thread cannot be started.
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

/// Reads the chunks of `span` for the thread with this number, until the receiver is dropped.
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

/// Passes on the events of the chunks in order.
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

/// Splits `span` into chunks.
fn chunks(span: RevisionRange) -> impl Iterator<Item = RevisionRange> {
    let begins = (span.after.0..span.upto.0).step_by(CHUNK_POSITIONS);
    begins.map(move |after| {
        let upto = Revision(after + CHUNK_POSITIONS as u64).min(span.upto);
        RevisionRange { after: Revision(after), upto }
    })
}
