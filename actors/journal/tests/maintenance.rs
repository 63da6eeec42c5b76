//! Segments are sealed, listed, read with SQLite, and thrown away in their time.

use rusqlite::Connection;

use super::*;
use crate::layout::JournalLayout;
use crate::manifest::{Manifest, digest};

/// Small segments.
fn small() -> JournalOptions {
    JournalOptions { segment_events: 10, ..JournalOptions::default() }
}

/// Writes `rounds` segments of ten logins, each a second after the one before.
fn fill(shelf: &Shelf, life: &mut Life, rounds: u8) {
    for _ in 0..rounds {
        for host in 0..10 {
            let at = shelf.now().millis() - START;
            life.commit(&[login(&format!("user{host}"), host, at)], None);
            shelf.pass(Duration::from_secs(1));
        }
        life.tend(shelf.now());
    }
}

fn manifest(shelf: &Shelf) -> Manifest {
    Manifest::load(&JournalLayout::make(shelf.path()).unwrap()).unwrap()
}

#[test]
fn a_full_segment_is_sealed_with_its_sessions_and_indexes_and_listed() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    fill(&shelf, &mut life, 3);
    let before = life.state();
    life.journal.close(None);
    drop(life);
    // Whatever the first process did not come to, the next one does.
    let mut life = shelf.begin();
    assert_eq!(life.state(), before);
    life.tend(shelf.now());
    life.journal.close(None);
    drop(life);
    let segments = manifest(&shelf).segments;
    let spans: Vec<_> =
        segments.iter().map(|one| (one.first.0, one.last.0, one.sessions)).collect();
    assert_eq!(spans, [(1, 10, Some(0)), (11, 20, Some(10)), (21, 30, Some(10))]);
    for sealed in &segments {
        let path = shelf.path().join(&sealed.file);
        assert_eq!(digest(&path).unwrap(), sealed.sha256);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o440);
        let sql = Connection::open(&path).unwrap();
        let who = "SELECT user FROM history WHERE address = '10.7.0.3' ORDER BY revision";
        assert_eq!(sql.query_row(who, [], |row| row.get::<_, String>(0)).unwrap(), "user3");
        let plan = "EXPLAIN QUERY PLAN SELECT * FROM events WHERE address = ? AND seen <= ?";
        let plan: String = sql.query_row(plan, ["", ""], |row| row.get(3)).unwrap();
        assert!(plan.contains("events_by_address"), "{plan}");
    }
    assert_eq!(shelf.files("events-").iter().filter(|f| f.ends_with(".open.db")).count(), 0);
    assert_eq!(shelf.begin().state(), before);
}

#[test]
fn an_old_segment_is_sealed_before_it_is_full() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    shelf.pass(Duration::from_secs(3601));
    life.tend(shelf.now());
    life.journal.close(None);
    assert_eq!(manifest(&shelf).segments.len(), 1);
}

#[test]
fn retention_takes_whole_segments_and_never_what_a_start_needs() {
    let month = Duration::from_secs(30 * 24 * 3600);
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    fill(&shelf, &mut life, 3);
    shelf.pass(month * 2);
    life.tend(shelf.now());
    fill(&shelf, &mut life, 1);
    let before = life.state();
    life.journal.close(None);
    drop(life);
    let mut life = shelf.begin();
    life.tend(shelf.now());
    life.journal.close(None);
    drop(life);
    let kept: Vec<u64> = manifest(&shelf).segments.iter().map(|one| one.first.0).collect();
    assert_eq!(kept, [31], "the rest is two months old");
    assert_eq!(shelf.begin().state(), before);
}

#[test]
fn retention_by_size_keeps_the_newest() {
    let shelf = Shelf::new(JournalOptions { retention_bytes: 1, ..small() });
    let mut life = shelf.begin();
    fill(&shelf, &mut life, 4);
    let before = life.state();
    life.journal.close(None);
    drop(life);
    let mut life = shelf.begin();
    life.tend(shelf.now());
    life.journal.close(None);
    drop(life);
    assert!(manifest(&shelf).segments.len() <= 1);
    assert_eq!(shelf.begin().state(), before);
}

#[test]
fn a_lost_manifest_is_made_anew() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    fill(&shelf, &mut life, 2);
    life.journal.close(None);
    drop(life);
    let mut life = shelf.begin();
    life.tend(shelf.now());
    life.journal.close(None);
    drop(life);
    let before = manifest(&shelf);
    assert_eq!(before.segments.len(), 2);
    fs::write(shelf.path().join("manifest.json"), b"{").unwrap();
    let mut life = shelf.begin();
    life.tend(shelf.now());
    life.journal.close(None);
    assert_eq!(manifest(&shelf), before);
}
