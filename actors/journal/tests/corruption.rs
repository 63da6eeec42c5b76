//! Files are cut and mangled at any place.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::*;

/// Writes each event as a commit of its own, and tells how long the write-ahead log was after it.
fn written(shelf: &Shelf, events: &[Event]) -> Vec<u64> {
    let mut life = shelf.begin();
    let log = |shelf: &Shelf| {
        let files = shelf.files("events-");
        let log = files.iter().find(|file| file.to_str().unwrap().ends_with("-wal"));
        log.map_or(0, |log| fs::metadata(log).unwrap().len())
    };
    let commits = events.iter().map(|event| {
        life.commit(std::slice::from_ref(event), None);
        log(shelf)
    });
    commits.collect()
}

fn the_file(shelf: &Shelf, suffix: &str) -> PathBuf {
    let mut files = shelf.files("");
    files.retain(|file| file.to_str().unwrap().ends_with(suffix));
    files.pop().unwrap_or_else(|| panic!("no {suffix}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A write-ahead log that ends anywhere: the commits that are whole are there, in their order,
    /// and nothing else.
    #[test]
    fn a_log_cut_anywhere_gives_the_commits_before_the_cut(
        events in arbitrary_events(12),
        cut in any::<prop::sample::Index>(),
    ) {
        let shelf = Shelf::new(JournalOptions::default());
        let lengths = written(&shelf, &events);
        let copy = shelf.copy();
        let log = the_file(&copy, "-wal");
        let at = cut.index(usize::try_from(lengths.last().unwrap() + 1).unwrap()) as u64;
        OpenOptions::new().write(true).open(log).unwrap().set_len(at).unwrap();
        let whole = lengths.iter().filter(|length| **length <= at).count() as u64;
        prop_assert_eq!(copy.begin().state(), folded(&events, whole));
    }

    /// A byte of the log or of the file that is not what it was: what is read is what was written,
    /// or is known to be damaged, and firewalls begin anew. The start never fails.
    #[test]
    fn a_mangled_byte_never_makes_a_session(
        events in arbitrary_events(12),
        place in any::<prop::sample::Index>(),
        flip in 1u8..,
        in_log: bool,
    ) {
        let shelf = Shelf::new(JournalOptions::default());
        written(&shelf, &events);
        let copy = shelf.copy();
        let path = the_file(&copy, if in_log { "-wal" } else { ".open.db" });
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = place.index(usize::try_from(file.metadata().unwrap().len()).unwrap()) as u64;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ flip], at).unwrap();
        drop(file);
        let mut life = copy.begin();
        // A session that is there is one that was there once, to the last detail.
        let states: Vec<State> = (0..=events.len() as u64).map(|n| folded(&events, n)).collect();
        for session in life.state().present {
            let known = states.iter().any(|state| state.present.contains(&session));
            prop_assert!(known, "from nowhere: {session:?}");
        }
        // And it goes on, at the latest when the first write has shown that this file takes none (byte
        // 18 of it says so, and is in no sum): then in a new one.
        let newest = life.newest;
        let again = login("alice", 9, 1_000_000);
        if life.journal.append(std::slice::from_ref(&again), None).is_err()
            || life.journal.commit().is_err()
        {
            copy.pass(Duration::from_secs(2));
            life.tend(copy.now());
        }
        let next = life.commit(&[again], None);
        prop_assert!(next > newest);
    }
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_one_before_it_serves() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    for round in 0..2 {
        life.commit(&[login("alice", round, i64::from(round))], None);
        shelf.pass(Duration::from_secs(600));
        life.tend(shelf.now());
    }
    life.commit(&[login("bob", 7, 9000)], None);
    let (before, epoch) = (life.state(), life.journal.epoch());
    life.journal.close(None);
    drop(life);
    let snapshots = shelf.files("snapshot-");
    assert_eq!(snapshots.len(), 2);
    let file = OpenOptions::new().write(true).open(&snapshots[1]).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let life = shelf.begin();
    assert_eq!((life.state(), life.journal.epoch()), (before, epoch));
    let names: Vec<String> =
        shelf.files("snapshot-").iter().map(|file| file.display().to_string()).collect();
    assert!(names.iter().any(|name| name.contains(".damaged-")), "{names:?}");
}

#[test]
fn a_segment_that_cannot_be_read_is_set_aside_and_positions_begin_anew() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    shelf.pass(Duration::from_secs(600));
    life.tend(shelf.now());
    let (before, epoch) = (life.state(), life.journal.epoch());
    life.commit(&[login("bob", 2, 1000)], None);
    life.journal.close(None);
    drop(life);
    fs::write(the_file(&shelf, ".open.db"), b"no database").unwrap();
    let mut life = shelf.begin();
    assert_eq!(life.state(), before, "what the snapshot holds still serves");
    assert!(life.journal.epoch() > epoch, "bob was acknowledged, and nobody knows him any more");
    life.commit(&[login("bob", 2, 2000)], None);
    let (before, epoch) = (life.state(), life.journal.epoch());
    drop(life);
    let life = shelf.begin();
    assert_eq!((life.state(), life.journal.epoch()), (before, epoch));
}

/// Folds like everybody, but for whom it takes for an error of ours.
pub(super) fn poisoned(table: &mut Table, revision: Revision, event: &Event, rules: &Rules) {
    let user = event.principal.as_ref().map(|who| who.user.as_str());
    table.apply(revision, event, rules);
    assert_ne!(user, Some("poison"), "a bug that this event finds");
}

#[test]
fn an_event_whose_folding_panics_is_set_aside_and_everybody_else_is_there() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let events = [login("alice", 1, 0), login("poison", 2, 1), login("bob", 3, 2)];
    life.commit(&events, None);
    life.commit(&[login("poison", 4, 3), login("carol", 5, 4)], None);
    let epoch = life.journal.epoch();
    life.journal.close(None);
    drop(life);
    let folder = crate::layout::JournalLayout::at(shelf.path());
    let restored = crate::recovery::restore_by(poisoned, (&folder, &rules()), shelf.now());
    let restored = restored.unwrap();
    let users = restored.table.sessions().map(|session| session.principal.clone().unwrap().user);
    let mut users: Vec<String> = users.map(|user| user.to_string()).collect();
    users.sort();
    assert_eq!(users, ["alice", "bob", "carol"]);
    assert_eq!((restored.newest, restored.epoch), (Revision(5), Some(epoch)));
}

#[test]
fn where_whatever_is_folded_panics_the_start_says_so() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let events: Vec<Event> = (0..70_u8).map(|n| login("poison", n, i64::from(n))).collect();
    life.commit(&events, None);
    life.journal.close(None);
    drop(life);
    let folder = crate::layout::JournalLayout::at(shelf.path());
    let restored = crate::recovery::restore_by(poisoned, (&folder, &rules()), shelf.now());
    let error = restored.err().unwrap().to_string();
    assert!(error.contains("folding it fails"), "{error}");
}
