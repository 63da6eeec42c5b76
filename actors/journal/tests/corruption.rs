//! Files are truncated and damaged at any position.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::*;

/// Commits each event separately and returns the length of the write-ahead log after each.
fn written(folder: &TestFolder, events: &[Event]) -> Vec<u64> {
    let mut journal = folder.start();
    let log = |folder: &TestFolder| {
        let files = folder.files("events-");
        let log = files.iter().find(|file| file.to_str().unwrap().ends_with("-wal"));
        log.map_or(0, |log| fs::metadata(log).unwrap().len())
    };
    let commits = events.iter().map(|event| {
        journal.commit(std::slice::from_ref(event), None);
        log(folder)
    });
    commits.collect()
}

fn the_file(folder: &TestFolder, suffix: &str) -> PathBuf {
    let mut files = folder.files("");
    files.retain(|file| file.to_str().unwrap().ends_with(suffix));
    files.pop().unwrap_or_else(|| panic!("no {suffix}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// With a write-ahead log of any length, exactly the complete commits are there, in order.
    #[test]
    fn a_wal_truncated_anywhere_gives_the_commits_before_the_cut(
        events in arbitrary_events(12),
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = TestFolder::new(JournalOptions::default());
        let lengths = written(&folder, &events);
        let copy = folder.copy();
        let log = the_file(&copy, "-wal");
        let at = cut.index(usize::try_from(lengths.last().unwrap() + 1).unwrap()) as u64;
        OpenOptions::new().write(true).open(log).unwrap().set_len(at).unwrap();
        let whole = lengths.iter().filter(|length| **length <= at).count() as u64;
        prop_assert_eq!(copy.start().state(), applied(&events, whole));
    }

    /// After a flipped byte in the log or the file, events are read back unchanged, or the damage
    /// is detected and a new epoch begins. The start never fails.
    #[test]
    fn a_flipped_byte_never_creates_a_session(
        events in arbitrary_events(12),
        position in any::<prop::sample::Index>(),
        flip in 1u8..,
        in_log: bool,
    ) {
        let folder = TestFolder::new(JournalOptions::default());
        written(&folder, &events);
        let copy = folder.copy();
        let path = the_file(&copy, if in_log { "-wal" } else { ".open.db" });
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = position.index(usize::try_from(file.metadata().unwrap().len()).unwrap()) as u64;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ flip], at).unwrap();
        drop(file);
        let mut journal = copy.start();
        // Every session existed once with the same content.
        let states: Vec<State> = (0..=events.len() as u64).map(|n| applied(&events, n)).collect();
        for session in journal.state().present {
            let known = states.iter().any(|state| state.present.contains(&session));
            prop_assert!(known, "a session that never existed: {session:?}");
        }
        // The journal continues, at the latest after the first write shows that this file accepts
        // none (byte 18 of the file says so and is in no checksum): then in a new segment.
        let newest = journal.newest;
        let again = login("alice", 9, 1_000_000);
        if journal.journal.append(std::slice::from_ref(&again), None).is_err()
            || journal.journal.commit().is_err()
        {
            copy.advance(Duration::from_secs(2));
            journal.maintain(copy.now());
        }
        let next = journal.commit(&[again], None);
        prop_assert!(next > newest);
    }
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_previous_one_is_used() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    for round in 0..2 {
        journal.commit(&[login("alice", round, i64::from(round))], None);
        folder.advance(Duration::from_secs(600));
        journal.maintain(folder.now());
    }
    journal.commit(&[login("bob", 7, 9000)], None);
    let (before, epoch) = (journal.state(), journal.journal.epoch());
    journal.journal.close(None);
    drop(journal);
    let snapshots = folder.files("snapshot-");
    assert_eq!(snapshots.len(), 2);
    let file = OpenOptions::new().write(true).open(&snapshots[1]).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let journal = folder.start();
    assert_eq!((journal.state(), journal.journal.epoch()), (before, epoch));
    let names: Vec<String> =
        folder.files("snapshot-").iter().map(|file| file.display().to_string()).collect();
    assert!(names.iter().any(|name| name.contains(".damaged-")), "{names:?}");
}

#[test]
fn an_unreadable_segment_is_set_aside_and_a_new_epoch_begins() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    journal.commit(&[login("alice", 1, 0)], None);
    folder.advance(Duration::from_secs(600));
    journal.maintain(folder.now());
    let (before, epoch) = (journal.state(), journal.journal.epoch());
    journal.commit(&[login("bob", 2, 1000)], None);
    journal.journal.close(None);
    drop(journal);
    fs::write(the_file(&folder, ".open.db"), b"no database").unwrap();
    let mut journal = folder.start();
    assert_eq!(journal.state(), before, "the sessions of the snapshot are recovered");
    assert!(journal.journal.epoch() > epoch, "bob was acknowledged and is lost");
    journal.commit(&[login("bob", 2, 2000)], None);
    let (before, epoch) = (journal.state(), journal.journal.epoch());
    drop(journal);
    let journal = folder.start();
    assert_eq!((journal.state(), journal.journal.epoch()), (before, epoch));
}

/// Applies events, but panics for one user, as a bug would.
pub(super) fn apply_with_bug(table: &mut Table, revision: Revision, event: &Event, rules: &Rules) {
    let user = event.principal.as_ref().map(|principal_cells| principal_cells.user.as_str());
    table.apply(revision, event, rules);
    assert_ne!(user, Some("poison"), "a bug that this event finds");
}

#[test]
fn an_event_that_panics_is_quarantined_and_all_others_are_applied() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let events = [login("alice", 1, 0), login("poison", 2, 1), login("bob", 3, 2)];
    journal.commit(&events, None);
    journal.commit(&[login("poison", 4, 3), login("carol", 5, 4)], None);
    let epoch = journal.journal.epoch();
    journal.journal.close(None);
    drop(journal);
    let layout = crate::layout::JournalLayout::open_at(folder.path());
    let restored = crate::recovery::restore_by(apply_with_bug, (&layout, &rules()), folder.now());
    let restored = restored.unwrap();
    let users = restored.table.sessions().map(|session| session.principal.clone().unwrap().user);
    let mut users: Vec<String> = users.map(|user| user.to_string()).collect();
    users.sort();
    assert_eq!(users, ["alice", "bob", "carol"]);
    assert_eq!((restored.newest, restored.epoch), (Revision(5), Some(epoch)));
}

#[test]
fn a_start_fails_when_too_many_events_panic() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let events: Vec<Event> = (0..70_u8).map(|n| login("poison", n, i64::from(n))).collect();
    journal.commit(&events, None);
    journal.journal.close(None);
    drop(journal);
    let layout = crate::layout::JournalLayout::open_at(folder.path());
    let restored = crate::recovery::restore_by(apply_with_bug, (&layout, &rules()), folder.now());
    let error = restored.err().unwrap().to_string();
    assert!(error.contains("applying them fails"), "{error}");
}
