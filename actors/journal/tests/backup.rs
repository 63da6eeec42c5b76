//! A backup of a running journal is a complete journal, and a replay by other rules uses the stored
//! events.

use super::*;
use crate::layout::JournalLayout;
use crate::segment_log::SegmentLog;
use crate::{back_up, replay};

fn small() -> JournalOptions {
    JournalOptions { segment_events: 8, ..JournalOptions::default() }
}

/// Twenty logins, one per second, of five users at five addresses in turn.
fn run(folder: &TestFolder, journal: &mut RunningJournal) {
    for n in 0..20u8 {
        let user = format!("user{}", n % 5 + n / 5);
        journal.commit(&[login(&user, n % 5, i64::from(n) * 1000)], None);
        folder.advance(Duration::from_secs(1));
        journal.maintain(folder.now());
    }
}

fn is_open(path: &std::path::Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".open.db"))
}

#[test]
fn a_backup_overwrites_nothing_and_reports_damaged_segments() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    run(&folder, &mut journal);
    let error = back_up(folder.path(), folder.path()).unwrap_err().to_string();
    assert!(error.contains("a backup does not overwrite a file"), "{error}");
    journal.journal.close(None);
    drop(journal);
    let mut journal = folder.start();
    journal.maintain(folder.now());
    journal.journal.close(None);
    let first = folder.files("events-").remove(0);
    let bytes = fs::read(&first).unwrap();
    fs::remove_file(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() / 3]).unwrap();
    let target = tempfile::tempdir().unwrap();
    let done = back_up(folder.path(), &target.path().join("copy.tar")).unwrap();
    assert_eq!(done.problems.len(), 1, "{:?}", done.problems);
    assert!(done.events >= 12, "the other segments are copied");
}

#[test]
fn a_replay_by_other_rules_reports_the_differences_with_reasons() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    run(&folder, &mut journal);
    let last = journal.table.snapshot(journal.newest);
    journal.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    let same = replay(folder.path(), &rules(), hour).unwrap();
    assert_eq!((same.events, same.revision, same.differing.len()), (20, Revision(20), 0));
    assert_eq!(same.notes, Vec::<String>::new());
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user3").unwrap()].into_iter().collect();
    let replayed = replay(folder.path(), &other, hour).unwrap();
    let told: Vec<_> = replayed
        .differing
        .iter()
        .map(|one| {
            let user = |session: &Arc<Session>| session.principal.as_ref().unwrap().to_string();
            let has = one.has.as_ref().map(user);
            (one.address.to_string(), has, one.would_have.session.as_ref().map(user))
        })
        .collect();
    // The users at 10.7.0.0 were user0, 1, 2 and 3 in turn.
    let user = |text: &str| Some(text.to_owned());
    assert_eq!(told, [("10.7.0.0".to_owned(), user("user3"), user("user2"))]);
    let why = replayed.differing[0].would_have.to_string();
    assert!(why.contains("a rule ignores this user"), "{why}");
    // For a shorter period, only the events since the beginning of a segment are applied.
    let some = replay(folder.path(), &other, Duration::from_secs(5)).unwrap();
    assert!(some.events < 20 && some.from > same.from, "{some:?}");
}

#[test]
fn a_replay_compares_with_the_decided_table_and_notes_rule_changes() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    run(&folder, &mut journal);
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user9").unwrap()].into_iter().collect();
    journal.journal.set_rules(&other);
    // By the new rules, this event creates no session.
    let ignored = login("user9", 0, 21_000);
    let first = journal.journal.append(std::slice::from_ref(&ignored), None).unwrap();
    journal.newest = journal.journal.commit().unwrap();
    journal.table.apply(first, &ignored, &other);
    let last = journal.table.snapshot(journal.newest);
    journal.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    // If the new rules had always been effective, nothing would differ.
    let same = replay(folder.path(), &other, hour).unwrap();
    assert_eq!((same.events, same.differing.len(), same.notes.len()), (21, 0, 1));
    assert!(same.notes[0].starts_with("the rules changed"), "{:?}", same.notes);
    // By the old rules, the user that is ignored now has a session.
    let old = replay(folder.path(), &rules(), hour).unwrap();
    let would_have = old.differing[0].would_have.session.as_ref().unwrap();
    assert_eq!(would_have.principal.as_ref().unwrap().user.as_str(), "user9");
    assert_eq!(old.differing.len(), 1);
}

#[test]
fn rules_that_change_and_change_back_within_a_segment_are_noted() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user9").unwrap()].into_iter().collect();
    let decide = |journal: &mut RunningJournal, event: Event, rules: &Rules| {
        folder.time.store(event.seen.millis(), SeqCst);
        journal.journal.set_rules(rules);
        let first = journal.journal.append(std::slice::from_ref(&event), None).unwrap();
        journal.newest = journal.journal.commit().unwrap();
        journal.table.apply(first, &event, rules);
    };
    decide(&mut journal, login("user1", 1, 0), &rules());
    // Setting the same rules, or changing them twice before an event, is no change.
    journal.journal.set_rules(&other);
    decide(&mut journal, login("user2", 2, 1000), &rules());
    let last = journal.table.snapshot(journal.newest);
    journal.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    assert_eq!(replay(folder.path(), &rules(), hour).unwrap().notes, Vec::<String>::new());
    drop(journal);
    let mut journal = folder.start();
    decide(&mut journal, login("user9", 9, 2000), &other);
    decide(&mut journal, login("user3", 3, 3000), &rules());
    let last = journal.table.snapshot(journal.newest);
    journal.journal.close(Some(last));
    let files = folder.files("events-").iter().filter(|path| is_open(path)).count();
    assert_eq!(files, 1, "all of it is in one segment");
    let replayed = replay(folder.path(), &rules(), hour).unwrap();
    let differing: Vec<_> = replayed.differing.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(differing, ["10.7.0.9"], "by the current rules user9 would have a session");
    let (away, back) = (START + 2000, START + 3000);
    let [away, back] = [away, back].map(|at| Timestamp::from_millis(at).to_string());
    assert_eq!(replayed.notes.len(), 1);
    let note = &replayed.notes[0];
    assert!(note.starts_with("the rules changed"), "{note}");
    assert!(note.contains(&away) && note.contains(&back), "the note has the times: {note}");
}

#[test]
fn an_event_that_panics_in_a_replay_is_skipped_and_noted() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let events = [login("alice", 1, 0), login("poison", 2, 1000), login("bob", 3, 2000)];
    journal.commit(&events, None);
    let last = journal.table.snapshot(journal.newest);
    journal.journal.close(Some(last));
    let log = SegmentLog::of(&JournalLayout::open_at(folder.path()));
    let apply = super::corruption::apply_with_bug;
    let hour = Duration::from_secs(3600);
    let replayed = replay::replay_by(apply, (&log, &rules()), hour).unwrap();
    assert_eq!(replayed.events, 2);
    let differing: Vec<_> = replayed.differing.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(differing, ["10.7.0.2"], "all others are applied");
    assert!(replayed.notes[0].starts_with("the event at 2 cannot be applied"), "{replayed:?}");
}

#[test]
fn a_replay_from_a_segment_boundary_repeats_the_decisions() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    let commit = |journal: &mut RunningJournal, event: Event| {
        folder.time.store(event.seen.millis(), SeqCst);
        journal.commit(&[event], None);
        journal.maintain(folder.now());
    };
    commit(&mut journal, event(Kind::Logout, "bob", 9, 5_000));
    for host in 1..=8 {
        commit(&mut journal, login("alice", host, 6_000 + i64::from(host)));
    }
    // In the next segment, a login of bob arrives that is older than his logout.
    let late = Event { at: Timestamp::from_millis(START + 4_000), ..login("bob", 9, 20_000) };
    commit(&mut journal, late);
    for host in 11..=20 {
        commit(&mut journal, login("carol", host, 21_000 + i64::from(host)));
    }
    // That segment is sealed, too, and the snapshot at its beginning is removed.
    let is_sealed = |folder: &TestFolder| {
        folder.files("events-").iter().filter(|path| !is_open(path)).count() >= 2
    };
    // A busy maintenance thread skips a request.
    for _ in 0..200 {
        folder.advance(Duration::from_secs(3600));
        journal.maintain(folder.now());
        if is_sealed(&folder) {
            break;
        }
        std::thread::yield_now();
    }
    let last = journal.table.snapshot(journal.newest);
    assert!(last.sessions.iter().all(|one| one.session.address != login("bob", 9, 0).address));
    journal.journal.close(Some(last));
    assert!(is_sealed(&folder));
    let replayed = replay(folder.path(), &rules(), Duration::from_secs(10)).unwrap();
    assert!(replayed.events > 10 && replayed.events < 19, "from the second segment: {replayed:?}");
    assert_eq!(replayed.differing.len(), 0, "{:?}", replayed.differing);
}
