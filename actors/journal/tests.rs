//! The journal on disk is written, truncated, damaged and read again: acknowledged events survive,
//! and others never appear.

mod backup;
mod corruption;
mod maintenance;
mod read_ahead;
mod shared_log;
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
fn committed_events_survive_a_crash_in_the_same_epoch() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let epoch = journal.journal.epoch();
    journal.commit(&[login("alice", 1, 0), login("bob", 2, 1)], None);
    journal.commit(&[event(Kind::Logout, "bob", 2, 2000)], Some(&read(b"<Bookmark 7/>")));
    // Appended and not committed, so never acknowledged.
    journal.journal.append(&[login("mallory", 3, 3000)], Some(&read(b"too far"))).unwrap();
    let before = journal.state();
    for file in folder.files("events-") {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: the file is private", file.display());
    }
    drop(journal);
    let mut journal = folder.start();
    assert_eq!(journal.state(), before);
    assert_eq!(journal.journal.epoch(), epoch);
    let position = journal.journal.read_position(&read(b"").source);
    assert_eq!(position.as_deref(), Some(&b"<Bookmark 7/>"[..]));
    assert_eq!(journal.commit(&[login("carol", 4, 4000)], None), Revision(4));
}

#[test]
fn a_start_with_other_rules_begins_a_new_epoch_unless_the_stop_was_clean() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    let epoch = journal.journal.epoch();
    drop(journal);
    // Alice was published, and by these rules has no session.
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    let mut journal = folder.open();
    let (table, newest) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), newest), (0, Revision(1)));
    assert!(journal.epoch() > epoch);
    let epoch = journal.epoch();
    journal.close(Some(table.snapshot(newest)));
    drop(journal);
    assert_eq!(folder.start().journal.epoch(), epoch, "no event was applied by other rules");
}

#[test]
fn a_rule_change_at_run_time_is_stored_with_the_next_snapshot() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    journal.journal.set_rules(&strict);
    journal.maintain(folder.now());
    let epoch = journal.journal.epoch();
    journal.journal.close(None);
    drop(journal);
    let mut journal = folder.open();
    let (table, _) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), journal.epoch()), (1, epoch), "existing sessions stay");
}

#[test]
fn events_decided_by_other_rules_before_a_crash_cause_a_new_epoch_after_the_rules_are_changed_back()
{
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    let epoch = journal.journal.epoch();
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.2/32".parse().unwrap());
    journal.journal.set_rules(&strict);
    // By these rules bob was not published. The process ends before the next snapshot.
    journal.commit(&[login("bob", 2, 1)], None);
    drop(journal);
    let journal = folder.start();
    assert_eq!(journal.table.len(), 2);
    assert!(journal.journal.epoch() > epoch, "a firewall that resumes would never get bob");
}

#[test]
fn a_clean_stop_leaves_a_snapshot_of_the_last_revision() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    let (before, last) = (journal.state(), journal.table.snapshot(journal.newest));
    journal.journal.close(Some(last));
    drop(journal);
    assert_eq!(folder.files("snapshot-").len(), 1);
    assert_eq!(folder.start().state(), before);
}

#[test]
fn a_second_process_cannot_open_the_journal() {
    let folder = TestFolder::new(JournalOptions::default());
    let _life = folder.start();
    let clock = Clock::system();
    let error =
        DurableJournal::open(folder.path(), JournalOptions::default(), clock).err().unwrap();
    assert_eq!(error.to_string(), "another process uses the journal");
}

#[test]
fn an_empty_batch_can_carry_a_read_position() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[], Some(&read(b"1")));
    journal.commit(&[], Some(&read(b"2")));
    drop(journal);
    let position = folder.start().journal.read_position(&read(b"").source);
    assert_eq!(position.as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_read_position_above_the_limit_is_refused_and_the_journal_stays_writable() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let huge = read(&vec![0; ReadPosition::LIMIT + 1]);
    assert!(journal.journal.append(&[login("alice", 1, 0)], Some(&huge)).is_err());
    assert!(journal.journal.write_error().is_none());
    assert_eq!(journal.commit(&[login("alice", 1, 0)], None), Revision(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every event is read back unchanged, so that the table is the same.
    #[test]
    fn a_start_recovers_the_table(
        events in arbitrary_events(80),
        // Some batches fill a whole INSERT statement, and more.
        sizes in prop::collection::vec(prop_oneof![4 => 1usize..6, 1 => 15usize..40], 80),
        stop in 0..20_usize,
    ) {
        let folder = TestFolder::new(JournalOptions::default());
        let mut journal = folder.start();
        let mut rest = &events[..];
        for (turn, size) in sizes.into_iter().enumerate() {
            if turn == stop {
                let last = journal.table.snapshot(journal.newest);
                journal.journal.close(Some(last));
                drop(journal);
                journal = folder.start();
            }
            let (batch, after) = rest.split_at(size.min(rest.len()));
            journal.commit(batch, None);
            rest = after;
        }
        let before = journal.state();
        drop(journal);
        let after = folder.start().state();
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(after, applied(&events, events.len() as u64));
    }
}
