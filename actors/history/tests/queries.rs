//! History queries: every answer equals the table of that time, from segments that are open,
//! sealed, damaged or missing.

use rollcall_identity::Principal;
use rollcall_identity::{AddressTimeline, SessionInterval};

use super::*;
use crate::{
    AddressIntervals, DiffKind, HistoryError, HistoryQuery, IntervalsPage, PointInTime,
    PointInTimeAnswer, Reader, SessionDiff, UserIntervals,
};
use rollcall_journal::archive_reader::Archive;

fn small() -> JournalOptions {
    JournalOptions { segment_events: 8, ..JournalOptions::default() }
}

fn address(host: u8) -> Address {
    Address::from(std::net::Ipv4Addr::new(10, 7, 0, host))
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// Queries the journal in `folder`.
fn ask<Q: HistoryQuery>(
    (folder, archive): (&TestFolder, &mut Archive),
    question: &Q,
) -> Result<Q::Answer, HistoryError> {
    let now = folder.now();
    let clock = Clock::from_fn(move || now);
    Reader::new(archive, Arc::new(rules()), &clock).answer(question)
}

fn at(folder: &TestFolder, host: u8, millis: i64) -> Result<PointInTimeAnswer, HistoryError> {
    let query = PointInTime { address: address(host), at: after(millis) };
    ask((folder, &mut Archive::new(folder.path())), &query)
}

fn intervals_of(
    folder: &TestFolder,
    host: u8,
    (from, to): (i64, i64),
) -> Result<IntervalsPage<Revision>, HistoryError> {
    let (from, to) = (Some(after(from)), Some(after(to)));
    let question = AddressIntervals { address: address(host), from, to, after: None, limit: 100 };
    ask((folder, &mut Archive::new(folder.path())), &question)
}

fn user_of(answer: &PointInTimeAnswer) -> Option<String> {
    let session = answer.explanation.session.as_ref()?;
    session.principal.as_ref().map(ToString::to_string)
}

/// All sessions at `host` after all of `events`, in order, as of `now`.
fn expected_intervals(events: &[Event], host: u8, now: Timestamp) -> Vec<SessionInterval> {
    let mut timeline = AddressTimeline::from_snapshot(address(host), TableSnapshot::default());
    let mut intervals_of = Vec::new();
    for (event, position) in events.iter().zip(1..) {
        intervals_of.extend(timeline.apply(Revision(position), event, &rules()));
    }
    intervals_of.extend(timeline.finish(now));
    intervals_of
}

/// The session at `host` after all of `events` that were received by `millis`.
fn expected_session(events: &[Event], host: u8, millis: i64) -> Option<Session> {
    let mut table = Table::default();
    let until = events.iter().zip(1..).take_while(|(event, _)| event.seen <= after(millis));
    for (event, position) in until {
        table.apply(Revision(position), event, &rules());
    }
    let session = table.get(address(host)).filter(|session| session.is_active_at(after(millis)));
    session.map(|session| (**session).clone())
}

/// The numbers of sealed segments and of others.
fn segments(folder: &TestFolder) -> (usize, usize) {
    let files = folder.files("events-");
    let ending =
        |suffix| files.iter().filter(|file| file.to_str().unwrap().ends_with(suffix)).count();
    (ending(".db") - ending(".open.db"), ending(".open.db"))
}

/// The session and its cause need at most two sealed segments, its end one more, and the unsealed
/// ones. A binary search finds the segment with the end.
fn reads_few(
    answer: &PointInTimeAnswer,
    (sealed, unsealed): (usize, usize),
) -> Result<(), TestCaseError> {
    let is_ended_elsewhere = answer.interval.is_some();
    let most = 2 + usize::from(is_ended_elsewhere) + unsealed;
    let read = &answer.sources.segments;
    prop_assert!(read.len() <= most, "{} of {}: {:?}", read.len(), most, read);
    let halving = usize::try_from((sealed + unsealed).ilog2()).unwrap() + 1;
    let looked_up = answer.sources.looked_up;
    prop_assert!(looked_up <= halving + 2 + unsealed, "{looked_up} of {sealed} and {unsealed}");
    Ok(())
}

fn agrees(folder: &TestFolder, events: &[Event]) -> Result<(), TestCaseError> {
    let mut archive = Archive::new(folder.path());
    for index in 0..events.len() {
        for (host, late) in [(1, 0), (2, 700), (3, 1499)] {
            let millis = i64::try_from(index).unwrap() * 1500 + late;
            let query = PointInTime { address: address(host), at: after(millis) };
            // Maintenance may seal further segments meanwhile, and none becomes unsealed.
            let there_are = segments(folder);
            let answer = ask((folder, &mut archive), &query).unwrap();
            reads_few(&answer, there_are)?;
            let session = answer.explanation.session.as_deref();
            let expected_session = expected_session(events, host, millis);
            prop_assert_eq!(session, expected_session.as_ref(), "{} {}", host, millis);
            prop_assert_eq!(&answer.sources.notes, &Vec::<String>::new());
            let interval = answer.interval.as_ref().map(|interval| interval.session.since);
            prop_assert_eq!(interval, session.map(|session| session.since));
            let Some(interval) = answer.interval else { continue };
            // The end, in whichever later segment it is.
            let expected_intervals = expected_intervals(events, host, folder.now());
            let is_meant = |expected_intervals: &&SessionInterval| {
                expected_intervals.start <= answer.at
                    && expected_intervals.overlaps(answer.at, answer.at)
            };
            let end = expected_intervals
                .iter()
                .rfind(is_meant)
                .and_then(|expected_intervals| expected_intervals.end.clone());
            prop_assert_eq!(interval.end, end, "{} {}", host, millis);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// While segments are written and sealed, after a crash, and when everything is sealed.
    #[test]
    fn a_point_in_time_query_gives_the_table_of_that_time(events in arbitrary_events(40)) {
        let folder = TestFolder::new(small());
        let mut journal = folder.start();
        journal.run(&folder, &events);
        folder.advance(Duration::from_secs(10));
        agrees(&folder, &events)?;
        // It ends without a final snapshot, and the next process continues.
        journal.journal.close(None);
        drop(journal);
        agrees(&folder, &events)?;
        folder.start().shut_down(&folder);
        agrees(&folder, &events)?;
    }

    /// The intervals of an address, of a user, and the differences between two times agree.
    #[test]
    fn intervals_users_and_differences_agree(
        events in arbitrary_events(40),
        (one, other) in (0..60_000_i64, 0..60_000_i64),
    ) {
        let folder = TestFolder::new(small());
        let mut journal = folder.start();
        journal.run(&folder, &events);
        journal.shut_down(&folder);
        let mut archive = Archive::new(folder.path());
        let (from, to) = (one.min(other), one.max(other));
        let difference = SessionDiff {
            from: after(from),
            to: Some(after(to)),
            address_filter: Arc::new(|_| true),
            session_filter: Arc::new(|_| true),
            audited: serde_json::Value::Null,
            after: None,
            limit: 100,
        };
        let answer = ask((&folder, &mut archive), &difference).unwrap();
        let mut of_alice = Vec::new();
        for host in 1..6 {
            let (before, now) = (expected_session(&events, host, from), expected_session(&events, host, to));
            let differs = answer.found.iter().find(|found| found.address == address(host));
            let sides = differs.map(|found| (found.before.as_deref(), found.after.as_deref()));
            let revision = |session: &Option<Session>| session.as_ref().map(|s| s.revision);
            if revision(&before) == revision(&now) {
                prop_assert!(sides.is_none(), "{:?}", sides);
            } else {
                prop_assert_eq!(sides, Some((before.as_ref(), now.as_ref())));
            }
            let listed = intervals_of(&folder, host, (from, to)).unwrap().intervals;
            let last = listed.last().filter(|interval| interval.end.is_none());
            prop_assert_eq!(last.map(|interval| &*interval.session), now.as_ref());
            let alice = |interval: &rollcall_identity::SessionInterval| {
                interval.session.principal.as_ref().is_some_and(|who| who.user.as_str() == "alice")
            };
            of_alice.extend(listed.into_iter().filter(alice));
        }
        of_alice.sort_by_key(|interval| interval.start);
        let user = Principal::parse("ALICE", None).unwrap();
        let (from, to) = (Some(after(from)), Some(after(to)));
        let question = UserIntervals { user, from, to, after: None, limit: 100 };
        let answer = ask((&folder, &mut archive), &question).unwrap();
        prop_assert_eq!(answer.intervals, of_alice);
    }
}

#[test]
fn a_later_end_a_restart_and_a_new_segment_are_reported() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    journal.run(&folder, &[login("alice", 1, 0)]);
    // Enough other events to begin the next segment.
    let others: Vec<Event> = (0..9).map(|n| login("bob", 2, 1000 + n * 1000)).collect();
    journal.run(&folder, &others);
    drop(journal);
    let mut journal = folder.start();
    journal.run(&folder, &[event(Kind::Logout, "alice", 1, 60_000)]);
    folder.advance(Duration::from_secs(1));
    for _ in 0..2 {
        let answer = at(&folder, 1, 30_000).unwrap();
        assert_eq!(user_of(&answer).as_deref(), Some("alice"));
        let listed = intervals_of(&folder, 1, (30_000, 60_500)).unwrap();
        assert_eq!(listed.intervals.len(), 1);
        let interval = &listed.intervals[0];
        assert_eq!((interval.start, interval.end.as_ref().unwrap().at), (after(0), after(60_000)));
        let after_logout = at(&folder, 1, 60_000).unwrap();
        assert_eq!(user_of(&after_logout), None);
        assert!(
            after_logout
                .explanation
                .to_string()
                .starts_with("no session at 10.7.0.1; the last was alice")
        );
    }
    journal.shut_down(&folder);
    assert_eq!(user_of(&at(&folder, 1, 30_000).unwrap()).as_deref(), Some("alice"));
}

#[test]
fn a_time_outside_the_journal_is_unknown() {
    let folder = TestFolder::new(small());
    assert!(matches!(at(&folder, 1, 0), Err(HistoryError::Unknown { .. })), "the journal is empty");
    let mut journal = folder.start();
    journal.run(&folder, &[login("alice", 1, 5000)]);
    let before = at(&folder, 1, -60_000).unwrap_err();
    assert!(before.to_string().contains("the journal reaches back to"), "{before}");
    let answer = at(&folder, 2, 5000).unwrap();
    assert_eq!(answer.explanation.to_string(), "no session at 10.7.0.2");
    assert!(matches!(at(&folder, 1, 3_600_000), Err(HistoryError::Invalid(_))));
    assert!(matches!(intervals_of(&folder, 1, (4000, 3000)), Err(HistoryError::Invalid(_))));
}

#[test]
fn a_missing_segment_leaves_a_gap() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    let events: Vec<Event> = (0..24u8)
        .map(|n| match n {
            10 => event(Kind::Logout, "alice", 1, 10_000),
            n => login(if n == 0 { "alice" } else { "bob" }, 1 + n.min(1), i64::from(n) * 1000),
        })
        .collect();
    journal.run(&folder, &events);
    journal.shut_down(&folder);
    let sealed = folder.files("events-");
    assert!(sealed.len() >= 3, "{sealed:?}");
    assert_eq!(user_of(&at(&folder, 1, 20_000).unwrap()), None);
    fs::remove_file(&sealed[1]).unwrap();
    let listed = intervals_of(&folder, 1, (0, 23_000)).unwrap();
    let notes = listed.sources.notes.join("; ");
    assert!(notes.contains("is missing"), "{notes}");
    assert_eq!(listed.intervals.len(), 1, "alice, until the gap");
    assert_eq!(
        user_of(&at(&folder, 1, 20_000).unwrap()),
        None,
        "the third segment contains the state"
    );
}

#[test]
fn a_segment_damaged_during_queries_gives_unknown() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    let events: Vec<Event> = (0..24u8)
        .map(|n| {
            let user = if n < 12 { "alice" } else { "bob" };
            login(user, 1 + n % 2, i64::from(n) * 1000)
        })
        .collect();
    journal.run(&folder, &events);
    journal.shut_down(&folder);
    let sealed = folder.files("events-");
    assert_eq!(user_of(&at(&folder, 1, 10_000).unwrap()).as_deref(), Some("alice"));
    for whole in [false, true] {
        // First the pages after the first few, then the whole file.
        let mut bytes = fs::read(&sealed[1]).unwrap();
        let kept = if whole { 0 } else { 8 * 4096 };
        bytes.iter_mut().skip(kept).for_each(|byte| *byte = 0x5a);
        fs::remove_file(&sealed[1]).unwrap();
        fs::write(&sealed[1], bytes).unwrap();
        let unknown = at(&folder, 1, 10_000).unwrap_err();
        let HistoryError::Unknown { notes, .. } = unknown else { panic!("{unknown}") };
        assert!(notes.join("; ").contains("is damaged"), "{notes:?}");
        assert_eq!(user_of(&at(&folder, 1, 3000).unwrap()).as_deref(), Some("alice"));
        assert_eq!(user_of(&at(&folder, 1, 23_000).unwrap()).as_deref(), Some("bob"));
        let listed = intervals_of(&folder, 1, (0, 23_000)).unwrap();
        let notes = listed.sources.notes.join("; ");
        assert!(notes.contains("is damaged") && notes.contains("the end of a session"), "{notes}");
        let users: Vec<_> = listed
            .intervals
            .iter()
            .map(|interval| interval.session.principal.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(users, ["alice", "bob"]);
    }
}

#[test]
fn a_damaged_row_and_other_rules_are_noted() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    journal.run(&folder, &[login("alice", 1, 0), login("bob", 1, 1000)]);
    let file = folder.files("events-").into_iter().find(|file| file.extension().unwrap() == "db");
    let sql = rusqlite::Connection::open(file.unwrap()).unwrap();
    sql.execute("UPDATE events SET user = 'mallory' WHERE revision = 2", []).unwrap();
    drop(sql);
    let answer = at(&folder, 1, 1000).unwrap();
    assert_eq!(user_of(&answer).as_deref(), Some("alice"), "a damaged row is skipped");
    assert!(answer.sources.notes[0].contains("1 events of"), "{:?}", answer.sources.notes);
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    let (now, mut archive) = (folder.now(), Archive::new(folder.path()));
    let clock = Clock::from_fn(move || now);
    let mut reader = Reader::new(&mut archive, Arc::new(strict), &clock);
    let answer = PointInTime { address: address(1), at: after(1000) }.answer(&mut reader).unwrap();
    assert_eq!(user_of(&answer), None);
    assert!(answer.sources.notes.iter().any(|note| note.contains("other rules were effective")));
}

/// Applies events, but panics for one user, as a bug would.
fn apply_with_bug(
    timeline: &mut AddressTimeline,
    revision: Revision,
    event: &Event,
    rules: &Rules,
) -> Option<SessionInterval> {
    let ended = timeline.apply(revision, event, rules);
    let user = event.principal.as_ref().map(|who| who.user.as_str());
    assert_ne!(user, Some("poison"), "a bug that this event finds");
    ended
}

#[test]
fn an_event_that_panics_is_skipped_in_every_answer_and_noted() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    let users = ["alice", "poison", "bob", "poison", "carol"];
    let come = users.iter().zip(0..).map(|(user, second)| login(user, 1, second * 1000));
    journal.run(&folder, &come.collect::<Vec<_>>());
    let (now, mut archive) = (folder.now(), Archive::new(folder.path()));
    let clock = Clock::from_fn(move || now);
    let rules = Arc::new(rules());
    let mut reader = Reader::applying(apply_with_bug, (&mut archive, Arc::clone(&rules)), &clock);
    let answer = reader.answer(&PointInTime { address: address(1), at: after(1500) }).unwrap();
    assert_eq!(user_of(&answer).as_deref(), Some("alice"), "the event is skipped as in a recovery");
    let end = answer.interval.unwrap().end.unwrap();
    assert_eq!(end.at, after(2000), "until the login of bob");
    let named =
        |notes: &[String], at: u64| notes.iter().any(|n| n.contains(&format!("event at {at} ")));
    assert!(
        named(&answer.sources.notes, 2) && !named(&answer.sources.notes, 5),
        "{:?}",
        answer.sources
    );
    let (from, to) = (Some(after(0)), Some(after(4500)));
    let all = AddressIntervals { address: address(1), from, to, after: None, limit: 100 };
    let answer = reader.answer(&all).unwrap();
    let users = answer
        .intervals
        .iter()
        .map(|interval| interval.session.principal.as_ref().unwrap().to_string());
    assert_eq!(users.collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert!(
        named(&answer.sources.notes, 2) && named(&answer.sources.notes, 4),
        "{:?}",
        answer.sources
    );
    assert_eq!(archive.quarantined().len(), 2, "it is not retried with every query");
    // Rules by which nothing panics apply all events.
    let mut other = (*rules).clone();
    other.logoff_time = Duration::from_secs(60);
    let answer = Reader::new(&mut archive, Arc::new(other), &clock).answer(&all).unwrap();
    assert_eq!(answer.intervals.len(), 5);
}

#[test]
fn answers_note_other_rules_only_for_the_events_they_decided() {
    let folder = TestFolder::new(JournalOptions::default());
    let mut journal = folder.start();
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.2/32".parse().unwrap());
    journal.run(&folder, &[login("alice", 1, 0)]);
    // Other rules, and back again, within one segment.
    journal.journal.set_rules(&strict);
    journal.run(&folder, &[login("bob", 1, 1000)]);
    journal.journal.set_rules(&rules());
    journal.run(&folder, &[login("carol", 1, 2000), login("alice", 3, 3000)]);
    let check = || {
        let notes = |host, millis| at(&folder, host, millis).unwrap().sources.notes;
        assert!(notes(1, 1500)[0].contains("other rules were effective"));
        assert_eq!(notes(1, 500).len(), 1, "how it ended, they decided: {:?}", notes(1, 500));
        assert_eq!(notes(3, 3000), Vec::<String>::new(), "they did not decide this address");
        assert_eq!(intervals_of(&folder, 1, (0, 900)).unwrap().sources.notes, Vec::<String>::new());
    };
    check();
    journal.shut_down(&folder);
    assert_eq!(segments(&folder), (1, 1));
    check();
}

#[test]
fn without_from_the_period_is_a_day_within_the_journal() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    journal.run(&folder, &[login("alice", 1, 0), login("bob", 1, 1000)]);
    let query =
        |address, limit| AddressIntervals { address, from: None, to: None, after: None, limit };
    let all = ask((&folder, &mut Archive::new(folder.path())), &query(address(1), 9)).unwrap();
    assert_eq!(all.intervals.len(), 2, "it reaches back to the first of them: {}", all.from);
    journal.run(&folder, &[login("carol", 1, 26 * 3_600_000)]);
    let day = ask((&folder, &mut Archive::new(folder.path())), &query(address(1), 9)).unwrap();
    assert_eq!(
        (day.from, day.intervals.len()),
        (after(2 * 3_600_000), 2),
        "the session of alice had ended before"
    );
}

#[test]
fn pages_cover_the_whole_period() {
    let folder = TestFolder::new(small());
    let mut journal = folder.start();
    let users = ["alice", "bob", "carol"];
    let events: Vec<Event> =
        (0..20).map(|n: u8| login(users[usize::from(n % 3)], 1, i64::from(n) * 70_000)).collect();
    journal.run(&folder, &events);
    let mut archive = Archive::new(folder.path());
    let (mut next, mut answer) = (None, Vec::new());
    loop {
        let question = AddressIntervals {
            address: address(1),
            from: Some(after(0)),
            to: None,
            after: next,
            limit: 7,
        };
        let page = ask((&folder, &mut archive), &question).unwrap();
        assert!(page.intervals.len() <= 7);
        answer.extend(page.intervals.iter().map(|interval| interval.start));
        match page.next {
            Some(address) => next = Some(address),
            None => break,
        }
    }
    let expected: Vec<Timestamp> = events.iter().map(|event| event.seen).collect();
    assert_eq!(answer, expected);
    let difference = |after: Option<Address>| SessionDiff {
        from: self::after(0),
        to: None,
        address_filter: Arc::new(|_| true),
        session_filter: Arc::new(|_| true),
        audited: serde_json::Value::Null,
        after,
        limit: 1,
    };
    let page = ask((&folder, &mut archive), &difference(None)).unwrap();
    assert_eq!((page.found.len(), page.found[0].kind), (1, DiffKind::Replaced));
    assert_eq!(page.next, None);
    let behind = ask((&folder, &mut archive), &difference(Some(address(1)))).unwrap();
    assert!(behind.found.is_empty());
}
