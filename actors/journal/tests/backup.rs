//! A copy that is made while the journal is written is a journal of its own, and other rules are tried
//! on what is there.

use super::*;
use crate::layout::JournalLayout;
use crate::{back_up, replay};

fn small() -> JournalOptions {
    JournalOptions { segment_events: 8, ..JournalOptions::default() }
}

/// Twenty logins, a second after each other, of five users at five addresses in turn.
fn live(shelf: &Shelf, life: &mut Life) {
    for n in 0..20u8 {
        let user = format!("user{}", n % 5 + n / 5);
        life.commit(&[login(&user, n % 5, i64::from(n) * 1000)], None);
        shelf.pass(Duration::from_secs(1));
        life.tend(shelf.now());
    }
}

fn is_open(path: &std::path::Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".open.db"))
}

#[test]
fn a_copy_is_written_over_nothing_and_names_what_is_damaged() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    live(&shelf, &mut life);
    let error = back_up(shelf.path(), shelf.path()).unwrap_err().to_string();
    assert!(error.contains("no copy is written over another"), "{error}");
    life.journal.close(None);
    drop(life);
    let mut life = shelf.begin();
    life.tend(shelf.now());
    life.journal.close(None);
    let first = shelf.files("events-").remove(0);
    let bytes = fs::read(&first).unwrap();
    fs::remove_file(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() / 3]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let done = back_up(shelf.path(), &folder.path().join("copy.tar")).unwrap();
    assert_eq!(done.problems.len(), 1, "{:?}", done.problems);
    assert!(done.events >= 12, "the others are in it");
}

#[test]
fn other_rules_are_tried_on_the_last_hours_and_what_differs_is_told_with_its_reason() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    live(&shelf, &mut life);
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    let same = replay(shelf.path(), &rules(), hour).unwrap();
    assert_eq!((same.events, same.revision, same.differing.len()), (20, Revision(20), 0));
    assert_eq!(same.notes, Vec::<String>::new());
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user3").unwrap()].into_iter().collect();
    let replayed = replay(shelf.path(), &other, hour).unwrap();
    let told: Vec<_> = replayed
        .differing
        .iter()
        .map(|one| {
            let user = |session: &Arc<Session>| session.principal.as_ref().unwrap().to_string();
            let has = one.has.as_ref().map(user);
            (one.address.to_string(), has, one.would_have.session.as_ref().map(user))
        })
        .collect();
    // At 10.7.0.0 came user0, 1, 2 and 3 in turn.
    let user = |text: &str| Some(text.to_owned());
    assert_eq!(told, [("10.7.0.0".to_owned(), user("user3"), user("user2"))]);
    let why = replayed.differing[0].would_have.to_string();
    assert!(why.contains("a rule ignores this user"), "{why}");
    // Of less than all, only what came since a segment began is folded anew.
    let some = replay(shelf.path(), &other, Duration::from_secs(5)).unwrap();
    assert!(some.events < 20 && some.from > same.from, "{some:?}");
}

#[test]
fn when_the_rules_were_changed_meanwhile_it_is_compared_with_what_was_decided_and_that_is_said() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    live(&shelf, &mut life);
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user9").unwrap()].into_iter().collect();
    life.journal.set_rules(&other);
    // By the new rules, this one came to nobody.
    let ignored = login("user9", 0, 21_000);
    let first = life.journal.append(std::slice::from_ref(&ignored), None).unwrap();
    life.newest = life.journal.commit().unwrap();
    life.table.apply(first, &ignored, &other);
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    // Had the new rules been in force all the time, nothing would differ from what is there.
    let same = replay(shelf.path(), &other, hour).unwrap();
    assert_eq!((same.events, same.differing.len(), same.notes.len()), (21, 0, 1));
    assert!(same.notes[0].starts_with("the rules were changed"), "{:?}", same.notes);
    // By the old ones, whoever is ignored now would be there.
    let old = replay(shelf.path(), &rules(), hour).unwrap();
    let would_have = old.differing[0].would_have.session.as_ref().unwrap();
    assert_eq!(would_have.principal.as_ref().unwrap().user.as_str(), "user9");
    assert_eq!(old.differing.len(), 1);
}

#[test]
fn rules_that_were_changed_and_changed_back_within_a_segment_are_noticed() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let mut other = rules();
    other.ignore.users = [rollcall_identity::Glob::new("user9").unwrap()].into_iter().collect();
    let decide = |life: &mut Life, event: Event, rules: &Rules| {
        shelf.time.store(event.seen.millis(), SeqCst);
        life.journal.set_rules(rules);
        let first = life.journal.append(std::slice::from_ref(&event), None).unwrap();
        life.newest = life.journal.commit().unwrap();
        life.table.apply(first, &event, rules);
    };
    decide(&mut life, login("user1", 1, 0), &rules());
    // To say again what is in force, or to change it twice before anything comes, is no change.
    life.journal.set_rules(&other);
    decide(&mut life, login("user2", 2, 1000), &rules());
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    let hour = Duration::from_secs(3600);
    assert_eq!(replay(shelf.path(), &rules(), hour).unwrap().notes, Vec::<String>::new());
    drop(life);
    let mut life = shelf.begin();
    decide(&mut life, login("user9", 9, 2000), &other);
    decide(&mut life, login("user3", 3, 3000), &rules());
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    let files = shelf.files("events-").iter().filter(|path| is_open(path)).count();
    assert_eq!(files, 1, "all of it is in one segment");
    let replayed = replay(shelf.path(), &rules(), hour).unwrap();
    let differing: Vec<_> = replayed.differing.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(differing, ["10.7.0.9"], "by today's rules user9 would be there");
    let (away, back) = (START + 2000, START + 3000);
    let [away, back] = [away, back].map(|at| Timestamp::from_millis(at).to_string());
    assert_eq!(replayed.notes.len(), 1);
    let note = &replayed.notes[0];
    assert!(note.starts_with("the rules were changed"), "{note}");
    assert!(note.contains(&away) && note.contains(&back), "it says when: {note}");
}

#[test]
fn an_event_whose_folding_panics_by_the_other_rules_is_left_out_and_named() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let events = [login("alice", 1, 0), login("poison", 2, 1000), login("bob", 3, 2000)];
    life.commit(&events, None);
    let last = life.table.snapshot(life.newest);
    life.journal.close(Some(last));
    let folder = JournalLayout::at(shelf.path());
    let fold = super::corruption::poisoned;
    let hour = Duration::from_secs(3600);
    let replayed = replay::replay_by(fold, (&folder, &rules()), hour).unwrap();
    assert_eq!(replayed.events, 2);
    let differing: Vec<_> = replayed.differing.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(differing, ["10.7.0.2"], "everybody else is folded");
    assert!(replayed.notes[0].starts_with("the event at 2 cannot be folded"), "{replayed:?}");
}

#[test]
fn what_is_folded_from_a_turn_of_the_segment_is_decided_as_it_was() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    let commit = |life: &mut Life, event: Event| {
        shelf.time.store(event.seen.millis(), SeqCst);
        life.commit(&[event], None);
        life.tend(shelf.now());
    };
    commit(&mut life, event(Kind::Logout, "bob", 9, 5_000));
    for host in 1..=8 {
        commit(&mut life, login("alice", host, 6_000 + i64::from(host)));
    }
    // In the next segment, bob's login comes, from before his logout.
    let late = Event { at: Timestamp::from_millis(START + 4_000), ..login("bob", 9, 20_000) };
    commit(&mut life, late);
    for host in 11..=20 {
        commit(&mut life, login("carol", host, 21_000 + i64::from(host)));
    }
    // That one is sealed, too, and the snapshot that it began with is gone.
    let is_sealed =
        |shelf: &Shelf| shelf.files("events-").iter().filter(|path| !is_open(path)).count() >= 2;
    // A keeper that is busy leaves what it is told for another time.
    for _ in 0..200 {
        shelf.pass(Duration::from_secs(3600));
        life.tend(shelf.now());
        if is_sealed(&shelf) {
            break;
        }
        std::thread::yield_now();
    }
    let last = life.table.snapshot(life.newest);
    assert!(last.sessions.iter().all(|one| one.session.address != login("bob", 9, 0).address));
    life.journal.close(Some(last));
    assert!(is_sealed(&shelf));
    let replayed = replay(shelf.path(), &rules(), Duration::from_secs(10)).unwrap();
    assert!(replayed.events > 10 && replayed.events < 19, "from the second segment: {replayed:?}");
    assert_eq!(replayed.differing.len(), 0, "{:?}", replayed.differing);
}
