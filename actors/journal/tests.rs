//! The journal on disk is written, cut, mangled and read again: what was acknowledged is there, and
//! nothing that never was.

mod backup;
mod corruption;
mod maintenance;
mod read_ahead;
mod writer;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use proptest::prelude::*;
use rollcall_identity::{
    Event, Journal, Kind, ReadPosition, Revision, Rules, Session, Table, Timestamp,
};

use super::{DurableJournal, JournalOptions};
use crate::test_support::*;
use rollcall_runtime::clock::Clock;

#[test]
fn what_was_committed_is_there_after_a_crash_and_goes_on_in_the_same_epoch() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let epoch = life.journal.epoch();
    life.commit(&[login("alice", 1, 0), login("bob", 2, 1)], None);
    life.commit(&[event(Kind::Logout, "bob", 2, 2000)], Some(&read(b"<Bookmark 7/>")));
    // Appended and not committed: it was never acknowledged.
    life.journal.append(&[login("mallory", 3, 3000)], Some(&read(b"too far"))).unwrap();
    let before = life.state();
    for file in shelf.files("events-") {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: who was where is nobody else's", file.display());
    }
    drop(life);
    let mut life = shelf.begin();
    assert_eq!(life.state(), before);
    assert_eq!(life.journal.epoch(), epoch);
    let place = life.journal.read_position(&read(b"").source);
    assert_eq!(place.as_deref(), Some(&b"<Bookmark 7/>"[..]));
    assert_eq!(life.commit(&[login("carol", 4, 4000)], None), Revision(4));
}

#[test]
fn other_rules_than_those_that_told_begin_a_new_epoch_and_a_clean_stop_does_not() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let epoch = life.journal.epoch();
    drop(life);
    // Alice was told, and by these rules she never came.
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    let mut journal = shelf.open();
    let (table, newest) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), newest), (0, Revision(1)));
    assert!(journal.epoch() > epoch);
    let epoch = journal.epoch();
    journal.close(Some(table.snapshot(newest)));
    drop(journal);
    assert_eq!(shelf.begin().journal.epoch(), epoch, "nothing is folded by other rules");
}

#[test]
fn rules_that_change_while_it_runs_are_written_down_with_the_table() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    life.journal.set_rules(&strict);
    life.tend(shelf.now());
    let epoch = life.journal.epoch();
    life.journal.close(None);
    drop(life);
    let mut journal = shelf.open();
    let (table, _) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), journal.epoch()), (1, epoch), "what is, stays");
}

#[test]
fn what_other_rules_told_before_a_crash_begins_a_new_epoch_although_they_are_changed_back() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let epoch = life.journal.epoch();
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.2/32".parse().unwrap());
    life.journal.set_rules(&strict);
    // By these, nobody was told of bob; the process ends before the table is written down.
    life.commit(&[login("bob", 2, 1)], None);
    drop(life);
    let life = shelf.begin();
    assert_eq!(life.table.len(), 2);
    assert!(life.journal.epoch() > epoch, "a firewall that goes on would never hear of bob");
}

#[test]
fn a_clean_stop_leaves_a_snapshot_and_nothing_to_fold() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let (before, last) = (life.state(), life.table.snapshot(life.newest));
    life.journal.close(Some(last));
    drop(life);
    assert_eq!(shelf.files("snapshot-").len(), 1);
    assert_eq!(shelf.begin().state(), before);
}

#[test]
fn two_processes_never_write_one_journal() {
    let shelf = Shelf::new(JournalOptions::default());
    let _life = shelf.begin();
    let clock = Clock::system();
    let error = DurableJournal::open(shelf.path(), JournalOptions::default(), clock).err().unwrap();
    assert_eq!(error.to_string(), "another process writes there");
}

#[test]
fn an_empty_batch_may_carry_how_far_was_read() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[], Some(&read(b"1")));
    life.commit(&[], Some(&read(b"2")));
    drop(life);
    let place = shelf.begin().journal.read_position(&read(b"").source);
    assert_eq!(place.as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_read_position_beyond_all_measure_is_refused_and_the_journal_goes_on() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let huge = read(&vec![0; ReadPosition::LIMIT + 1]);
    assert!(life.journal.append(&[login("alice", 1, 0)], Some(&huge)).is_err());
    assert!(life.journal.write_error().is_none());
    assert_eq!(life.commit(&[login("alice", 1, 0)], None), Revision(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every event is read back as it was written, whatever it holds: the fold is the same.
    #[test]
    fn a_start_folds_to_what_was_there(
        events in arbitrary_events(80),
        // Some take a whole statement of rows, and more.
        sizes in prop::collection::vec(prop_oneof![4 => 1usize..6, 1 => 15usize..40], 80),
        stop in 0..20_usize,
    ) {
        let shelf = Shelf::new(JournalOptions::default());
        let mut life = shelf.begin();
        let mut rest = &events[..];
        for (turn, size) in sizes.into_iter().enumerate() {
            if turn == stop {
                let last = life.table.snapshot(life.newest);
                life.journal.close(Some(last));
                drop(life);
                life = shelf.begin();
            }
            let (batch, after) = rest.split_at(size.min(rest.len()));
            life.commit(batch, None);
            rest = after;
        }
        let before = life.state();
        drop(life);
        let after = shelf.begin().state();
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(after, folded(&events, events.len() as u64));
    }
}
