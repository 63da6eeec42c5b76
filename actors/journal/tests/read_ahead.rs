//! Reading ahead with several threads gives the same result as one thread.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use rollcall_identity::RevisionRange;
use rusqlite::Connection;

use super::*;
use crate::corruption::Corruption;
use crate::event_reader::ReadSummary;
use crate::{event_reader, read_ahead};

/// More events than one thread reads.
const MANY: u32 = 30_000;

/// A closed folder with this number of events in one segment.
fn folder() -> (TestFolder, PathBuf) {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let events: Vec<_> =
        (0..MANY).map(|n| login(&format!("user{n}"), n as u8, i64::from(n))).collect();
    journal.commit(&events, None);
    journal.journal.close(None);
    drop(journal);
    let mut segments = folder.files("events-");
    segments.retain(|file| file.extension().is_some_and(|end| end == "db"));
    (folder, segments.remove(0))
}

/// The result of a read and the events it gave, up to the failure.
fn told(
    read: impl FnOnce(
        &mut dyn FnMut(Revision, Event) -> Result<(), Corruption>,
    ) -> Result<ReadSummary, Corruption>,
    fails_at: Option<u64>,
) -> (String, Vec<(Revision, Event)>) {
    let mut given = Vec::new();
    let came_to = read(&mut |revision, event| {
        given.push((revision, event));
        if Some(revision.0) == fails_at { Err(Corruption::WrongFormat) } else { Ok(()) }
    });
    (format!("{came_to:?}"), given)
}

/// Reads `span` in both ways and compares them.
fn agree(path: &Path, (after, upto): (u64, u64), fails_at: Option<u64>) -> Vec<(Revision, Event)> {
    let span = RevisionRange { after: Revision(after), upto: Revision(upto) };
    let (one, given) = told(|each| event_reader::read(path, span, each), fails_at);
    let (ahead, given_ahead) = told(|each| read_ahead::read(path, span, each), fails_at);
    assert_eq!(ahead, one);
    assert!(given == given_ahead, "{} and {} events", given.len(), given_ahead.len());
    given
}

#[test]
fn reading_ahead_gives_the_same_events() {
    let (_shelf, segment) = folder();
    let all = agree(&segment, (0, u64::MAX), None);
    assert!(all.iter().map(|(revision, _)| revision.0).eq(1..=u64::from(MANY)));
    assert_eq!(agree(&segment, (1, 29_999), None).len(), 29_998);
    assert_eq!(agree(&segment, (7, 25_000), None).len(), 24_993);
    assert_eq!(agree(&segment, (0, u64::MAX), Some(17_000)).len(), 17_000);
}

#[test]
fn reading_ahead_reports_the_same_damage() {
    let (_shelf, segment) = folder();
    let sql = Connection::open(&segment).unwrap();
    // In the middle of a chunk, more than a chunk, the boundary of two, and the end.
    sql.execute_batch(
        "UPDATE events SET user = 'mallory' WHERE revision IN (100, 4096, 4097, 29999, 30000);
         UPDATE events SET seen = 0 WHERE revision BETWEEN 8000 AND 13000;
         DELETE FROM events WHERE revision BETWEEN 20000 AND 20010;",
    )
    .unwrap();
    sql.close().unwrap();
    assert_eq!(agree(&segment, (0, u64::MAX), None).len(), 30_000 - 5 - 5001 - 11);
    let bytes = fs::metadata(&segment).unwrap().len();
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    let page = bytes / 2 / 4096 * 4096;
    file.write_all_at(&[0xff; 4096], page).unwrap();
    let given = agree(&segment, (0, u64::MAX), None).len();
    assert!((1..30_000 - 5017).contains(&given), "{given}");
}
