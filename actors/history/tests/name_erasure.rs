//! Erased names are gone from the files, and the events stay.

use rollcall_identity::ReadSource;
use rollcall_identity::directory::{Guid, KnownMembersPart};

use super::*;
use crate::{HistoryError, HistoryQuery, PointInTime, Reader};
use rollcall_journal::archive_reader::Archive;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A folder with a sealed segment of alice and one that begins a day later.
fn two_days(names_retention: Option<Duration>) -> TestFolder {
    let shelf = TestFolder::new(JournalOptions {
        segment_events: 2,
        names_retention,
        ..JournalOptions::default()
    });
    let mut life = shelf.start();
    let of_alice = [login("alice", 1, 0), event(Kind::Logout, "alice", 1, 1000)];
    // A directory knew alice, too.
    let part = KnownMembersPart::of(Guid([7; 16])).source();
    let roster = ReadPosition {
        source: ReadSource { producer: name("corp"), name: part },
        position: Arc::from(b"alice".as_slice()),
    };
    life.commit(&of_alice, Some(&roster));
    shelf.advance(DAY);
    life.maintain(shelf.now());
    life.commit(&[login("bob", 2, i64::try_from(DAY.as_millis()).unwrap())], None);
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    drop(life);
    // Maintenance that was not finished runs at the next start.
    let mut life = shelf.start();
    life.maintain(shelf.now());
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    shelf
}

fn ask(shelf: &TestFolder, millis: i64) -> Result<Option<String>, HistoryError> {
    let (now, mut archive) = (shelf.now(), Archive::new(shelf.path()));
    let clock = Clock::from_fn(move || now);
    let at = Timestamp::from_millis(START + millis);
    let address = Address::from(std::net::Ipv4Addr::new(10, 7, 0, 1));
    let mut reader = Reader::new(&mut archive, Arc::new(rules()), &clock);
    let answer = PointInTime { address, at }.answer(&mut reader)?;
    Ok(answer.explanation.session.and_then(|session| Some(session.principal.as_ref()?.to_string())))
}

#[test]
fn erased_names_are_gone_and_event_counts_stay() {
    let shelf = two_days(Some(DAY / 2));
    let segments = sealed_segments(shelf.path());
    let first = &segments[0];
    assert!(first.nameless && first.events == 2, "{segments:?}");
    let path = shelf.path().join(&first.file);
    assert_eq!(digest_of(&path), first.sha256);
    let bytes = fs::read(&path).unwrap();
    let is_there = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(is_there(b"10.7.0.1") && is_there(b"relay"), "addresses and origins stay");
    assert!(!is_there(b"alice"), "the name is nowhere in the file");
    let sql = rusqlite::Connection::open(&path).unwrap();
    let count = "SELECT count(*) FROM history WHERE kind = 'login' AND user IS NULL";
    assert_eq!(sql.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    let error = ask(&shelf, 500).unwrap_err().to_string();
    assert!(error.contains("reaches back to"), "{error}");
    let mut problems = Vec::new();
    rollcall_journal::inspect(shelf.path(), |found| {
        problems.extend(found.problems);
        Ok::<(), rollcall_journal::Corruption>(())
    })
    .unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn without_names_retention_names_stay() {
    let shelf = two_days(None);
    assert_eq!(ask(&shelf, 500).unwrap().as_deref(), Some("alice"));
}

#[test]
fn a_start_without_snapshots_does_not_apply_events_without_names() {
    let shelf = two_days(Some(DAY / 2));
    let epoch = shelf.start().journal.epoch();
    for snapshot in shelf.files("snapshot-") {
        fs::remove_file(snapshot).unwrap();
    }
    let life = shelf.start();
    assert!(life.journal.epoch() > epoch, "events are missing, so consumers need a full resync");
    let there: Vec<_> = life.table.sessions().map(|session| session.address.to_string()).collect();
    assert_eq!(there, ["10.7.0.2"]);
}
