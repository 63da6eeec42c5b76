//! Segments are sealed, listed, readable with SQLite, and removed after their retention.

use rusqlite::Connection;

use super::*;
use crate::layout::JournalLayout;
use crate::manifest::{Manifest, digest};

fn small() -> JournalOptions {
    JournalOptions { segment_events: 10, ..JournalOptions::default() }
}

/// Writes `rounds` segments of ten logins, one per second.
fn fill(folder: &TestFolder, journal: &mut RunningJournal, rounds: u8) {
    for _ in 0..rounds {
        for host in 0..10 {
            let at = folder.now().millis() - START;
            journal.commit(&[login(&format!("user{host}"), host, at)], None);
            folder.advance(Duration::from_secs(1));
        }
        journal.maintain(folder.now());
    }
}

fn manifest(folder: &TestFolder) -> Manifest {
    Manifest::load(&JournalLayout::make(folder.path()).unwrap()).unwrap()
}

#[test]
fn a_full_segment_is_sealed_with_sessions_and_indexes_and_listed() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    fill(&folder, &mut journal, 3);
    let before = journal.state();
    journal.journal.close(None);
    drop(journal);
    // The next process finishes the work of the first one.
    let mut journal = folder.start();
    assert_eq!(journal.state(), before);
    journal.maintain(folder.now());
    journal.journal.close(None);
    drop(journal);
    let segments = manifest(&folder).segments;
    let spans: Vec<_> =
        segments.iter().map(|one| (one.first.0, one.last.0, one.sessions)).collect();
    assert_eq!(spans, [(1, 10, Some(0)), (11, 20, Some(10)), (21, 30, Some(10))]);
    for sealed in &segments {
        let path = folder.path().join(&sealed.file);
        assert_eq!(digest(&path).unwrap(), sealed.sha256);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o440);
        let sql = Connection::open(&path).unwrap();
        let principal_cells =
            "SELECT user FROM history WHERE address = '10.7.0.3' ORDER BY revision";
        assert_eq!(
            sql.query_row(principal_cells, [], |row| row.get::<_, String>(0)).unwrap(),
            "user3"
        );
        let plan = "EXPLAIN QUERY PLAN SELECT * FROM events WHERE address = ? AND seen <= ?";
        let plan: String = sql.query_row(plan, ["", ""], |row| row.get(3)).unwrap();
        assert!(plan.contains("events_by_address"), "{plan}");
    }
    assert_eq!(folder.files("events-").iter().filter(|f| f.ends_with(".open.db")).count(), 0);
    assert_eq!(folder.start().state(), before);
}

#[test]
fn an_old_segment_is_sealed_before_it_is_full() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    folder.advance(Duration::from_secs(3601));
    journal.maintain(folder.now());
    journal.journal.close(None);
    assert_eq!(manifest(&folder).segments.len(), 1);
}

#[test]
fn retention_removes_whole_segments_that_a_start_does_not_need() {
    let month = Duration::from_secs(30 * 24 * 3600);
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    fill(&folder, &mut journal, 3);
    folder.advance(month * 2);
    journal.maintain(folder.now());
    fill(&folder, &mut journal, 1);
    let before = journal.state();
    journal.journal.close(None);
    drop(journal);
    let mut journal = folder.start();
    journal.maintain(folder.now());
    journal.journal.close(None);
    drop(journal);
    let kept: Vec<u64> = manifest(&folder).segments.iter().map(|one| one.first.0).collect();
    assert_eq!(kept, [31], "the rest is two months old");
    assert_eq!(folder.start().state(), before);
}

#[test]
fn retention_by_size_keeps_the_newest() {
    let folder = TestFolder::new(JournalOptions { retention_bytes: 1, ..small() });
    let mut journal = folder.start();
    fill(&folder, &mut journal, 4);
    let before = journal.state();
    journal.journal.close(None);
    drop(journal);
    let mut journal = folder.start();
    journal.maintain(folder.now());
    journal.journal.close(None);
    drop(journal);
    assert!(manifest(&folder).segments.len() <= 1);
    assert_eq!(folder.start().state(), before);
}

#[test]
fn a_lost_manifest_is_rebuilt() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    fill(&folder, &mut journal, 2);
    journal.journal.close(None);
    drop(journal);
    let mut journal = folder.start();
    journal.maintain(folder.now());
    journal.journal.close(None);
    drop(journal);
    let before = manifest(&folder);
    assert_eq!(before.segments.len(), 2);
    fs::write(folder.path().join("manifest.json"), b"{").unwrap();
    let mut journal = folder.start();
    journal.maintain(folder.now());
    journal.journal.close(None);
    assert_eq!(manifest(&folder), before);
}
