//! Questions about the past: whatever is asked, at whatever moment, the answer is what the table was
//! then, from segments that are written, sealed, damaged or gone.

use rollcall_identity::Principal;
use rollcall_identity::{AddressTimeline, SessionInterval};

use super::*;
use crate::{
    AddressIntervals, DiffKind, HistoryError, IntervalsPage, PointInTime, PointInTimeAnswer,
    Question, Reader, SessionDiff, UserIntervals,
};
use rollcall_journal::archive_reader::Archive;

fn small() -> JournalOptions {
    JournalOptions { segment_events: 8, ..JournalOptions::default() }
}

fn place(host: u8) -> Address {
    Address::from(std::net::Ipv4Addr::new(10, 7, 0, host))
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// Asks a library of the folder that `shelf` holds.
fn ask<Q: Question>(
    (shelf, library): (&Shelf, &mut Archive),
    question: &Q,
) -> Result<Q::Answer, HistoryError> {
    let now = shelf.now();
    let clock = Clock::from_fn(move || now);
    Reader::new(library, Arc::new(rules()), &clock).answer(question)
}

fn at(shelf: &Shelf, host: u8, millis: i64) -> Result<PointInTimeAnswer, HistoryError> {
    let moment = PointInTime { address: place(host), at: after(millis) };
    ask((shelf, &mut Archive::new(shelf.path())), &moment)
}

fn stays(
    shelf: &Shelf,
    host: u8,
    (from, to): (i64, i64),
) -> Result<IntervalsPage<Revision>, HistoryError> {
    let (from, to) = (Some(after(from)), Some(after(to)));
    let question = AddressIntervals { address: place(host), from, to, after: None, limit: 100 };
    ask((shelf, &mut Archive::new(shelf.path())), &question)
}

fn user_of(told: &PointInTimeAnswer) -> Option<String> {
    let session = told.explanation.session.as_ref()?;
    session.principal.as_ref().map(ToString::to_string)
}

/// Everybody who was at `host` by all of `events`, one after the other, as it stood at `now`.
fn lived(events: &[Event], host: u8, now: Timestamp) -> Vec<SessionInterval> {
    let mut chronicle = AddressTimeline::from_snapshot(place(host), TableSnapshot::default());
    let mut stays = Vec::new();
    for (event, position) in events.iter().zip(1..) {
        stays.extend(chronicle.apply(Revision(position), event, &rules()));
    }
    stays.extend(chronicle.finish(now));
    stays
}

/// The session at `host` after all of `events` that were received by `millis`.
fn held(events: &[Event], host: u8, millis: i64) -> Option<Session> {
    let mut table = Table::default();
    let until = events.iter().zip(1..).take_while(|(event, _)| event.seen <= after(millis));
    for (event, position) in until {
        table.apply(Revision(position), event, &rules());
    }
    let session = table.get(place(host)).filter(|session| session.is_active_at(after(millis)));
    session.map(|session| (**session).clone())
}

/// How many segments of the folder are sealed, and how many are not yet.
fn segments(shelf: &Shelf) -> (usize, usize) {
    let files = shelf.files("events-");
    let ending =
        |suffix| files.iter().filter(|file| file.to_str().unwrap().ends_with(suffix)).count();
    (ending(".db") - ending(".open.db"), ending(".open.db"))
}

/// Who was there, and why, two sealed segments tell at most; how it ended, one more. Those that are
/// not sealed yet come to that. Which one holds the end is found by halving.
fn reads_few(
    told: &PointInTimeAnswer,
    (sealed, unsealed): (usize, usize),
) -> Result<(), TestCaseError> {
    let is_ended_elsewhere = told.stay.is_some();
    let most = 2 + usize::from(is_ended_elsewhere) + unsealed;
    let read = &told.sources.segments;
    prop_assert!(read.len() <= most, "{} of {}: {:?}", read.len(), most, read);
    let halving = usize::try_from((sealed + unsealed).ilog2()).unwrap() + 1;
    let looked_up = told.sources.looked_up;
    prop_assert!(looked_up <= halving + 2 + unsealed, "{looked_up} of {sealed} and {unsealed}");
    Ok(())
}

fn agrees(shelf: &Shelf, events: &[Event]) -> Result<(), TestCaseError> {
    let mut library = Archive::new(shelf.path());
    for index in 0..events.len() {
        for (host, late) in [(1, 0), (2, 700), (3, 1499)] {
            let millis = i64::try_from(index).unwrap() * 1500 + late;
            let moment = PointInTime { address: place(host), at: after(millis) };
            // The keeper goes on sealing meanwhile, and none is unsealed again.
            let there_are = segments(shelf);
            let told = ask((shelf, &mut library), &moment).unwrap();
            reads_few(&told, there_are)?;
            let session = told.explanation.session.as_deref();
            let held = held(events, host, millis);
            prop_assert_eq!(session, held.as_ref(), "{} {}", host, millis);
            prop_assert_eq!(&told.sources.notes, &Vec::<String>::new());
            let stay = told.stay.as_ref().map(|stay| stay.session.since);
            prop_assert_eq!(stay, session.map(|session| session.since));
            let Some(stay) = told.stay else { continue };
            // Until when, in however late a segment that stands.
            let lived = lived(events, host, shelf.now());
            let is_meant = |lived: &&SessionInterval| {
                lived.start <= told.at && lived.overlaps(told.at, told.at)
            };
            let end = lived.iter().rfind(is_meant).and_then(|lived| lived.end.clone());
            prop_assert_eq!(stay.end, end, "{} {}", host, millis);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// While it is written and sealed, when nobody writes, and when everything is sealed.
    #[test]
    fn at_every_moment_it_is_told_what_the_table_was_then(events in arbitrary_events(40)) {
        let shelf = Shelf::new(small());
        let mut life = shelf.begin();
        life.live(&shelf, &events);
        shelf.pass(Duration::from_secs(10));
        agrees(&shelf, &events)?;
        // It ends without a word, and the next life goes on.
        life.journal.close(None);
        drop(life);
        agrees(&shelf, &events)?;
        shelf.begin().end(&shelf);
        agrees(&shelf, &events)?;
    }

    /// The stays of an address, of a user and the differences between two moments are all of one
    /// story.
    #[test]
    fn stays_users_and_differences_tell_one_story(
        events in arbitrary_events(40),
        (one, other) in (0..60_000_i64, 0..60_000_i64),
    ) {
        let shelf = Shelf::new(small());
        let mut life = shelf.begin();
        life.live(&shelf, &events);
        life.end(&shelf);
        let mut library = Archive::new(shelf.path());
        let (from, to) = (one.min(other), one.max(other));
        let difference = SessionDiff {
            from: after(from),
            to: Some(after(to)),
            place: Arc::new(|_| true),
            meant: Arc::new(|_| true),
            asked: serde_json::Value::Null,
            after: None,
            limit: 100,
        };
        let told = ask((&shelf, &mut library), &difference).unwrap();
        let mut of_alice = Vec::new();
        for host in 1..6 {
            let (before, now) = (held(&events, host, from), held(&events, host, to));
            let differs = told.found.iter().find(|found| found.address == place(host));
            let sides = differs.map(|found| (found.before.as_deref(), found.after.as_deref()));
            let revision = |session: &Option<Session>| session.as_ref().map(|s| s.revision);
            if revision(&before) == revision(&now) {
                prop_assert!(sides.is_none(), "{:?}", sides);
            } else {
                prop_assert_eq!(sides, Some((before.as_ref(), now.as_ref())));
            }
            let listed = stays(&shelf, host, (from, to)).unwrap().stays;
            let last = listed.last().filter(|stay| stay.end.is_none());
            prop_assert_eq!(last.map(|stay| &*stay.session), now.as_ref());
            let alice = |stay: &rollcall_identity::SessionInterval| {
                stay.session.principal.as_ref().is_some_and(|who| who.user.as_str() == "alice")
            };
            of_alice.extend(listed.into_iter().filter(alice));
        }
        of_alice.sort_by_key(|stay| stay.start);
        let user = Principal::parse("ALICE", None).unwrap();
        let (from, to) = (Some(after(from)), Some(after(to)));
        let question = UserIntervals { user, from, to, after: None, limit: 100 };
        let told = ask((&shelf, &mut library), &question).unwrap();
        prop_assert_eq!(told.stays, of_alice);
    }
}

#[test]
fn a_later_end_a_restart_and_a_turn_of_the_segment_are_told() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    life.live(&shelf, &[login("alice", 1, 0)]);
    // Enough of others to turn to the next segment.
    let others: Vec<Event> = (0..9).map(|n| login("bob", 2, 1000 + n * 1000)).collect();
    life.live(&shelf, &others);
    drop(life);
    let mut life = shelf.begin();
    life.live(&shelf, &[event(Kind::Logout, "alice", 1, 60_000)]);
    shelf.pass(Duration::from_secs(1));
    for _ in 0..2 {
        let told = at(&shelf, 1, 30_000).unwrap();
        assert_eq!(user_of(&told).as_deref(), Some("alice"));
        let listed = stays(&shelf, 1, (30_000, 60_500)).unwrap();
        assert_eq!(listed.stays.len(), 1);
        let stay = &listed.stays[0];
        assert_eq!((stay.start, stay.end.as_ref().unwrap().at), (after(0), after(60_000)));
        let gone = at(&shelf, 1, 60_000).unwrap();
        assert_eq!(user_of(&gone), None);
        assert!(
            gone.explanation.to_string().starts_with("no session at 10.7.0.1; the last was alice")
        );
    }
    life.end(&shelf);
    assert_eq!(user_of(&at(&shelf, 1, 30_000).unwrap()).as_deref(), Some("alice"));
}

#[test]
fn what_is_before_the_journal_or_has_not_come_is_not_told_as_nobody() {
    let shelf = Shelf::new(small());
    assert!(matches!(at(&shelf, 1, 0), Err(HistoryError::NotKnown { .. })), "nothing is there");
    let mut life = shelf.begin();
    life.live(&shelf, &[login("alice", 1, 5000)]);
    let before = at(&shelf, 1, -60_000).unwrap_err();
    assert!(before.to_string().contains("the journal reaches back to"), "{before}");
    let told = at(&shelf, 2, 5000).unwrap();
    assert_eq!(told.explanation.to_string(), "no session at 10.7.0.2");
    assert!(matches!(at(&shelf, 1, 3_600_000), Err(HistoryError::Unreasonable(_))));
    assert!(matches!(stays(&shelf, 1, (4000, 3000)), Err(HistoryError::Unreasonable(_))));
}

#[test]
fn a_segment_that_is_missing_leaves_a_gap_and_not_an_answer() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    let events: Vec<Event> = (0..24u8)
        .map(|n| match n {
            10 => event(Kind::Logout, "alice", 1, 10_000),
            n => login(if n == 0 { "alice" } else { "bob" }, 1 + n.min(1), i64::from(n) * 1000),
        })
        .collect();
    life.live(&shelf, &events);
    life.end(&shelf);
    let sealed = shelf.files("events-");
    assert!(sealed.len() >= 3, "{sealed:?}");
    assert_eq!(user_of(&at(&shelf, 1, 20_000).unwrap()), None);
    fs::remove_file(&sealed[1]).unwrap();
    let listed = stays(&shelf, 1, (0, 23_000)).unwrap();
    let notes = listed.sources.notes.join("; ");
    assert!(notes.contains("is missing"), "{notes}");
    assert_eq!(listed.stays.len(), 1, "alice, until the journal knows more");
    assert_eq!(user_of(&at(&shelf, 1, 20_000).unwrap()), None, "the third segment knows");
}

#[test]
fn a_sealed_segment_that_is_mangled_while_it_is_asked_makes_nobody_of_nobody() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    let events: Vec<Event> = (0..24u8)
        .map(|n| {
            let user = if n < 12 { "alice" } else { "bob" };
            login(user, 1 + n % 2, i64::from(n) * 1000)
        })
        .collect();
    life.live(&shelf, &events);
    life.end(&shelf);
    let sealed = shelf.files("events-");
    assert_eq!(user_of(&at(&shelf, 1, 10_000).unwrap()).as_deref(), Some("alice"));
    for whole in [false, true] {
        // First the pages behind the first few, then the file.
        let mut bytes = fs::read(&sealed[1]).unwrap();
        let kept = if whole { 0 } else { 8 * 4096 };
        bytes.iter_mut().skip(kept).for_each(|byte| *byte = 0x5a);
        fs::remove_file(&sealed[1]).unwrap();
        fs::write(&sealed[1], bytes).unwrap();
        let unknown = at(&shelf, 1, 10_000).unwrap_err();
        let HistoryError::NotKnown { notes, .. } = unknown else { panic!("{unknown}") };
        assert!(notes.join("; ").contains("is damaged"), "{notes:?}");
        assert_eq!(user_of(&at(&shelf, 1, 3000).unwrap()).as_deref(), Some("alice"));
        assert_eq!(user_of(&at(&shelf, 1, 23_000).unwrap()).as_deref(), Some("bob"));
        let listed = stays(&shelf, 1, (0, 23_000)).unwrap();
        let notes = listed.sources.notes.join("; ");
        assert!(notes.contains("is damaged") && notes.contains("somebody's end"), "{notes}");
        let users: Vec<_> = listed
            .stays
            .iter()
            .map(|stay| stay.session.principal.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(users, ["alice", "bob"]);
    }
}

#[test]
fn a_damaged_row_and_other_rules_are_said() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    life.live(&shelf, &[login("alice", 1, 0), login("bob", 1, 1000)]);
    let file = shelf.files("events-").into_iter().find(|file| file.extension().unwrap() == "db");
    let sql = rusqlite::Connection::open(file.unwrap()).unwrap();
    sql.execute("UPDATE events SET user = 'mallory' WHERE revision = 2", []).unwrap();
    drop(sql);
    let told = at(&shelf, 1, 1000).unwrap();
    assert_eq!(user_of(&told).as_deref(), Some("alice"), "a row that was changed is no event");
    assert!(told.sources.notes[0].contains("1 events of"), "{:?}", told.sources.notes);
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    let (now, mut library) = (shelf.now(), Archive::new(shelf.path()));
    let clock = Clock::from_fn(move || now);
    let mut reader = Reader::new(&mut library, Arc::new(strict), &clock);
    let told = PointInTime { address: place(1), at: after(1000) }.answer(&mut reader).unwrap();
    assert_eq!(user_of(&told), None);
    assert!(told.sources.notes.iter().any(|note| note.contains("other rules were in force")));
}

/// Folds like everybody, but for whom it takes for an error of ours.
fn poisoned(
    chronicle: &mut AddressTimeline,
    revision: Revision,
    event: &Event,
    rules: &Rules,
) -> Option<SessionInterval> {
    let ended = chronicle.apply(revision, event, rules);
    let user = event.principal.as_ref().map(|who| who.user.as_str());
    assert_ne!(user, Some("poison"), "a bug that this event finds");
    ended
}

#[test]
fn an_event_whose_folding_panics_is_left_out_of_every_answer_and_named() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    let users = ["alice", "poison", "bob", "poison", "carol"];
    let come = users.iter().zip(0..).map(|(user, second)| login(user, 1, second * 1000));
    life.live(&shelf, &come.collect::<Vec<_>>());
    let (now, mut library) = (shelf.now(), Archive::new(shelf.path()));
    let clock = Clock::from_fn(move || now);
    let rules = Arc::new(rules());
    let mut reader = Reader::folding(poisoned, (&mut library, Arc::clone(&rules)), &clock);
    let told = reader.answer(&PointInTime { address: place(1), at: after(1500) }).unwrap();
    assert_eq!(user_of(&told).as_deref(), Some("alice"), "as when the server had set it aside");
    let end = told.stay.unwrap().end.unwrap();
    assert_eq!(end.at, after(2000), "until bob came");
    let named =
        |notes: &[String], at: u64| notes.iter().any(|n| n.contains(&format!("event at {at} ")));
    assert!(named(&told.sources.notes, 2) && !named(&told.sources.notes, 5), "{:?}", told.sources);
    let (from, to) = (Some(after(0)), Some(after(4500)));
    let all = AddressIntervals { address: place(1), from, to, after: None, limit: 100 };
    let told = reader.answer(&all).unwrap();
    let users = told.stays.iter().map(|stay| stay.session.principal.as_ref().unwrap().to_string());
    assert_eq!(users.collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert!(named(&told.sources.notes, 2) && named(&told.sources.notes, 4), "{:?}", told.sources);
    assert_eq!(library.poison().len(), 2, "it is not tried again with every question");
    // Rules by which nothing panics fold them all.
    let mut other = (*rules).clone();
    other.logoff_time = Duration::from_secs(60);
    let told = Reader::new(&mut library, Arc::new(other), &clock).answer(&all).unwrap();
    assert_eq!(told.stays.len(), 5);
}

#[test]
fn of_each_moment_it_is_said_whether_other_rules_decided_it() {
    let shelf = Shelf::new(JournalOptions::default());
    let mut life = shelf.begin();
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.2/32".parse().unwrap());
    life.live(&shelf, &[login("alice", 1, 0)]);
    // Other rules, and back again: none of it at a turn of the segment.
    life.journal.set_rules(&strict);
    life.live(&shelf, &[login("bob", 1, 1000)]);
    life.journal.set_rules(&rules());
    life.live(&shelf, &[login("carol", 1, 2000), login("alice", 3, 3000)]);
    let said = || {
        let notes = |host, millis| at(&shelf, host, millis).unwrap().sources.notes;
        assert!(notes(1, 1500)[0].contains("other rules were in force"));
        assert_eq!(notes(1, 500).len(), 1, "how it ended, they decided: {:?}", notes(1, 500));
        assert_eq!(notes(3, 3000), Vec::<String>::new(), "of this one they decided nothing");
        assert_eq!(stays(&shelf, 1, (0, 900)).unwrap().sources.notes, Vec::<String>::new());
    };
    said();
    life.end(&shelf);
    assert_eq!(segments(&shelf), (1, 1));
    said();
}

#[test]
fn without_a_beginning_it_is_told_of_a_day_as_far_as_the_journal_reaches_back() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    life.live(&shelf, &[login("alice", 1, 0), login("bob", 1, 1000)]);
    let asked =
        |address, limit| AddressIntervals { address, from: None, to: None, after: None, limit };
    let all = ask((&shelf, &mut Archive::new(shelf.path())), &asked(place(1), 9)).unwrap();
    assert_eq!(all.stays.len(), 2, "it reaches back to the first of them: {}", all.from);
    life.live(&shelf, &[login("carol", 1, 26 * 3_600_000)]);
    let day = ask((&shelf, &mut Archive::new(shelf.path())), &asked(place(1), 9)).unwrap();
    assert_eq!((day.from, day.stays.len()), (after(2 * 3_600_000), 2), "alice had gone before");
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let shelf = Shelf::new(small());
    let mut life = shelf.begin();
    let users = ["alice", "bob", "carol"];
    let events: Vec<Event> =
        (0..20).map(|n: u8| login(users[usize::from(n % 3)], 1, i64::from(n) * 70_000)).collect();
    life.live(&shelf, &events);
    let mut library = Archive::new(shelf.path());
    let (mut next, mut told) = (None, Vec::new());
    loop {
        let question = AddressIntervals {
            address: place(1),
            from: Some(after(0)),
            to: None,
            after: next,
            limit: 7,
        };
        let page = ask((&shelf, &mut library), &question).unwrap();
        assert!(page.stays.len() <= 7);
        told.extend(page.stays.iter().map(|stay| stay.start));
        match page.next {
            Some(place) => next = Some(place),
            None => break,
        }
    }
    let expected: Vec<Timestamp> = events.iter().map(|event| event.seen).collect();
    assert_eq!(told, expected);
    let difference = |after: Option<Address>| SessionDiff {
        from: self::after(0),
        to: None,
        place: Arc::new(|_| true),
        meant: Arc::new(|_| true),
        asked: serde_json::Value::Null,
        after,
        limit: 1,
    };
    let page = ask((&shelf, &mut library), &difference(None)).unwrap();
    assert_eq!((page.found.len(), page.found[0].what), (1, DiffKind::Replaced));
    assert_eq!(page.next, None);
    let behind = ask((&shelf, &mut library), &difference(Some(place(1)))).unwrap();
    assert!(behind.found.is_empty());
}
