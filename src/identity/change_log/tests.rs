//! Tests of what consumers of the change log receive.

use super::*;
use crate::test_support::{address, event_at, expiry_event, name, rules, seconds};
use crate::{Event, Filter, Glob, Kind, Rule, Rules, Table};

/// A table and the log of its changes.
struct Fixture {
    table: Table,
    log: ChangeLog,
    rules: Rules,
    revision: u64,
}

impl Fixture {
    fn new(limits: ChangeLogLimits) -> Self {
        let rules = Rules { logoff_time: Duration::from_secs(600), ..rules() };
        Self { table: Table::default(), log: ChangeLog::new(7, limits), rules, revision: 0 }
    }

    /// Applies an event at the address `10.0.0.<host>` and logs the change, if any.
    fn apply(&mut self, host: u8, event: Event) {
        self.revision += 1;
        let event = Event { address: address(&format!("10.0.0.{host}")), ..event };
        let decision = self.table.apply(Revision(self.revision), &event, &self.rules);
        if let Some(change) = decision.change {
            self.log.apply(&change, event.seen);
        }
    }

    fn read(&self, cursor: Option<Cursor>, filter: &Filter, now: i64) -> (Vec<String>, Page) {
        let request = PageRequest { cursor, since: None, filter, limit: 100, now: seconds(now) };
        let page = self.log.read(&request);
        (page.changes.iter().map(summary).collect(), page)
    }
}

/// `10.0.0.1 alice@corp`, or `10.0.0.1 -alice@corp` for an end, or `10.0.0.1 -` for an end without
/// a name.
fn summary(change: &Change) -> String {
    let user = change.session().and_then(|session| session.principal.as_ref());
    let user = user.map(ToString::to_string).unwrap_or_default();
    let sign = if change.after.is_some() { "" } else { "-" };
    format!("{} {sign}{user}", change.address)
}

fn only(domain: &str) -> Filter {
    Filter { domains: vec![Glob::new(domain).unwrap()], ..Filter::default() }
}

#[test]
fn a_consumer_gets_each_change_once_and_no_extensions() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "bob@corp", 10));
    let (changes, page) = fixture.read(None, &all, 10);
    assert_eq!(changes, ["10.0.0.1 alice@corp", "10.0.0.2 bob@corp"]);
    assert!(page.resync && !page.more);
    fixture.apply(1, event_at(Kind::Rekey, "alice@corp", 20));
    let (changes, page) = fixture.read(Some(page.next), &all, 20);
    assert_eq!(changes, [""; 0]);
    assert_eq!(page.next, Cursor::new(7, Revision(3)), "extensions are known with the rest");
    // A new consumer gets the updated session, at its old position.
    let (_, fresh) = fixture.read(None, &all, 20);
    assert_eq!(fresh.changes[0].revision, Revision(1));
    assert_eq!(fresh.changes[0].after.as_ref().unwrap().expires, seconds(620));
}

#[test]
fn an_alteration_has_its_own_cause_also_after_an_extension() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let (_, page) = fixture.read(None, &all, 10);
    assert_eq!(page.changes[0].cause.rule, Rule::FirstUser);
    fixture.apply(1, event_at(Kind::DeviceSeen, "<pc1>", 15));
    fixture.apply(1, event_at(Kind::Rekey, "alice@corp", 20));
    let (changes, page) = fixture.read(Some(page.next), &all, 20);
    assert_eq!(changes, ["10.0.0.1 alice@corp"]);
    let [Change { effect, cause, after: Some(session), .. }] = &page.changes[..] else {
        panic!("{page:?}")
    };
    assert_eq!((*effect, cause.kind, cause.at), (Effect::Altered, Kind::DeviceSeen, seconds(15)));
    assert_eq!((session.cause.kind, session.confirmed), (Kind::VpnUp, seconds(20)));
    assert_eq!((cause.rule, &session.device), (Rule::Detail, &Some(name("pc1"))));
}

#[test]
fn an_end_is_reported_to_consumers_that_may_hold_the_session() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let (_, page) = fixture.read(None, &all, 10);
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    assert_eq!(fixture.read(Some(page.next), &all, 20).0, ["10.0.0.1 -alice@corp"]);
    assert_eq!(fixture.read(None, &all, 20).0, [""; 0], "who begins now holds nothing");
}

#[test]
fn an_expired_session_is_reported_as_ended() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let begin = Some(Cursor::new(7, Revision(0)));
    assert_eq!(fixture.read(begin, &all, 609).0, ["10.0.0.1 alice@corp"]);
    let (changes, page) = fixture.read(begin, &all, 610);
    assert_eq!(changes, ["10.0.0.1 -alice@corp"]);
    assert_eq!(page.changes[0].cause.rule, Rule::LogoffTime);
    assert_eq!(fixture.log.get(address("10.0.0.1"), seconds(610)), None);
    fixture.apply(1, expiry_event(611));
    assert_eq!(fixture.read(Some(page.next), &all, 611).0, ["10.0.0.1 -alice@corp"]);
}

#[test]
fn an_extension_after_a_reported_end_is_reported_as_a_beginning() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let (_, page) = fixture.read(None, &all, 700);
    // The rekey was received in time, but is committed only now.
    let rekey = Event { address: address("10.0.0.1"), ..event_at(Kind::Rekey, "alice@corp", 600) };
    let decision = fixture.table.apply(Revision(2), &rekey, &fixture.rules);
    fixture.log.apply(&decision.change.unwrap(), seconds(701));
    assert_eq!(fixture.read(Some(page.next), &all, 701).0, ["10.0.0.1 alice@corp"]);
    assert_eq!(fixture.log.len(), 1);
}

#[test]
fn a_user_who_leaves_a_domain_ends_for_consumers_of_that_domain() {
    let mut fixture = Fixture::new(ChangeLogLimits::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "dave@home", 10));
    let (changes, page) = fixture.read(None, &only("corp"), 10);
    assert_eq!(changes, ["10.0.0.1 alice@corp"]);
    fixture.apply(1, event_at(Kind::VpnUp, "bob@lab", 20));
    fixture.apply(2, event_at(Kind::Logout, "dave@home", 20));
    let (changes, _) = fixture.read(Some(page.next), &only("corp"), 20);
    assert_eq!(changes, ["10.0.0.1 -alice@corp"], "and nothing of bob or dave");
    // After two changes of domain, only the fact that the consumer may hold a session is known.
    fixture.apply(1, event_at(Kind::VpnUp, "carol@home", 30));
    fixture.apply(1, event_at(Kind::Logout, "carol@home", 40));
    assert_eq!(fixture.read(Some(page.next), &only("corp"), 40).0, ["10.0.0.1 -"]);
    assert_eq!(fixture.read(None, &only("corp"), 40).0, [""; 0]);
}

#[test]
fn network_filters_apply() {
    let mut fixture = Fixture::new(ChangeLogLimits::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "bob@corp", 10));
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    let filter = Filter { exclude: vec!["10.0.0.1/32".parse().unwrap()], ..Filter::default() };
    let begin = Some(Cursor::new(7, Revision(0)));
    assert_eq!(fixture.read(begin, &filter, 20).0, ["10.0.0.2 bob@corp"]);
}

#[test]
fn a_cursor_that_cannot_be_resumed_gets_a_full_resync() {
    let limits = ChangeLogLimits { tombstone_count: 1, ..ChangeLogLimits::default() };
    let (mut fixture, all) = (Fixture::new(limits), Filter::default());
    for host in 1..=3 {
        fixture.apply(host, event_at(Kind::VpnUp, "alice@corp", 10));
    }
    let (_, page) = fixture.read(None, &all, 10);
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    assert!(!fixture.read(Some(page.next), &all, 20).1.resync);
    fixture.apply(2, event_at(Kind::Logout, "alice@corp", 20));
    let (changes, again) = fixture.read(Some(page.next), &all, 20);
    assert!(again.resync, "the end of the first is forgotten");
    assert_eq!(changes, ["10.0.0.3 alice@corp", "10.0.0.2 -alice@corp"]);
    assert_eq!(fixture.read(None, &all, 20).0, ["10.0.0.3 alice@corp"], "who begins holds nothing");
    assert_eq!(fixture.log.oldest(), Revision(4));
    for foreign in ["8.5", "7.6", "7.0.6"] {
        let cursor = Some(foreign.parse().unwrap());
        assert!(fixture.read(cursor, &all, 20).1.resync, "{foreign}");
    }
    let (changes, page) = fixture.read(Some(Cursor::UNKNOWN), &all, 20);
    assert_eq!((changes.len(), page.resync), (2, true), "and hears who left");
}

#[test]
fn tombstones_expire_and_consumers_away_longer_get_a_full_resync() {
    let limits =
        ChangeLogLimits { tombstones: Duration::from_secs(100), ..ChangeLogLimits::default() };
    let (mut fixture, all) = (Fixture::new(limits), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let (_, before) = fixture.read(None, &all, 10);
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    let (_, after) = fixture.read(Some(before.next), &all, 20);
    // At the last moment, and a second later; the tombstone is dropped with the next change.
    for (host, at, renewed) in [(2, 120, false), (3, 121, true)] {
        fixture.apply(host, event_at(Kind::VpnUp, "bob@corp", at));
        assert_eq!(fixture.read(Some(before.next), &all, at).1.resync, renewed, "at {at}");
        assert!(
            !fixture.read(Some(after.next), &all, at).1.resync,
            "a consumer that received it resumes"
        );
    }
    assert_eq!(fixture.log.oldest(), Revision(2));
}

#[test]
fn a_paged_resync_survives_tombstones_dropped_before_it_started() {
    let limits = ChangeLogLimits { tombstone_count: 0, ..ChangeLogLimits::default() };
    let (mut fixture, all) = (Fixture::new(limits), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "bob@corp", 10));
    fixture.apply(3, event_at(Kind::VpnUp, "carol@corp", 10));
    fixture.apply(3, event_at(Kind::Logout, "carol@corp", 20));
    let request =
        |cursor| PageRequest { cursor, since: None, filter: &all, limit: 1, now: seconds(20) };
    let first = fixture.log.read(&request(None));
    assert!(first.resync && first.more);
    let second = fixture.log.read(&request(Some(first.next.to_string().parse().unwrap())));
    assert_eq!(second.changes.iter().map(summary).collect::<Vec<_>>(), ["10.0.0.2 bob@corp"]);
    assert!(!second.resync);
    // An end that is dropped after the resync started must not be missed.
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 30));
    assert!(fixture.log.read(&request(Some(first.next))).resync);
}

#[test]
fn a_first_request_with_a_time_starts_there() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "bob@corp", 20));
    fixture.apply(2, event_at(Kind::Logout, "bob@corp", 30));
    fixture.apply(3, event_at(Kind::VpnUp, "carol@corp", 40));
    let since = |after| {
        let since = Some(seconds(after));
        let request = PageRequest { cursor: None, since, filter: &all, limit: 9, now: seconds(50) };
        let page = fixture.log.read(&request);
        (page.changes.iter().map(summary).collect::<Vec<_>>(), page.resync)
    };
    let all = ["10.0.0.1 alice@corp", "10.0.0.2 -bob@corp", "10.0.0.3 carol@corp"];
    assert_eq!(since(0), (all.map(String::from).to_vec(), false));
    assert_eq!(since(25), (all[1..].iter().map(|&s| s.into()).collect(), false));
    assert_eq!(since(40), (vec![all[2].into()], false));
    assert_eq!(since(41).0.len(), 1, "up to a second more than was asked for");
}

#[test]
fn a_filter_that_matches_nothing_is_bounded() {
    let mut fixture = Fixture::new(ChangeLogLimits::default());
    let many = ChangeLog::MAX_SCAN as u32 + 10;
    for number in 0..many {
        let place = Address::from(std::net::Ipv4Addr::from(0x0a01_0000 + number));
        let event = Event { address: place, ..event_at(Kind::VpnUp, "alice@corp", 10) };
        let revision = Revision(u64::from(number) + 1);
        let change = fixture.table.apply(revision, &event, &fixture.rules).change.unwrap();
        fixture.log.apply(&change, seconds(10));
    }
    let (changes, page) = fixture.read(None, &only("lab"), 10);
    assert_eq!((changes.len(), page.more), (0, true));
    let (changes, page) = fixture.read(Some(page.next), &only("lab"), 10);
    assert_eq!((changes.len(), page.more), (0, false));
    let found =
        fixture.log.search(Revision(0), 5, seconds(10), |s| s.domain() == Some(&name("lab")));
    assert_eq!((found.sessions.len(), found.next), (0, Some(Revision(ChangeLog::MAX_SCAN as u64))));
    let rest = fixture.log.search(found.next.unwrap(), 5, seconds(10), |_| true);
    assert_eq!(
        (rest.sessions.len(), rest.next),
        (5, Some(Revision(ChangeLog::MAX_SCAN as u64 + 5)))
    );
    let last = fixture.log.search(rest.next.unwrap(), 5, seconds(10), |_| true);
    assert_eq!((last.sessions.len(), last.next), (5, None));
}

#[test]
fn memory_depends_on_sessions_not_on_changes() {
    let mut fixture =
        Fixture::new(ChangeLogLimits { tombstone_count: 10, ..ChangeLogLimits::default() });
    for round in 0..20_000 {
        let user = if round % 2 == 0 { "alice@corp" } else { "bob@corp" };
        fixture.apply((round % 7) as u8, event_at(Kind::VpnUp, user, round));
    }
    assert_eq!(fixture.log.len(), 7);
    assert!(fixture.log.slots.len() <= 7 + COMPACT_FROM + 1);
    assert!(size_of::<Slot>() <= 32);
}

#[test]
fn a_duplicate_change_is_ignored() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    let (_, page) = fixture.read(None, &all, 10);
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    fixture.log.apply(&page.changes[0], seconds(21));
    assert_eq!((fixture.log.len(), fixture.log.newest()), (0, Revision(2)));
}

#[test]
fn a_restored_log_reports_ends_to_consumers_that_resume() {
    let (mut fixture, all) = (Fixture::new(ChangeLogLimits::default()), Filter::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    fixture.apply(2, event_at(Kind::VpnUp, "bob@corp", 10));
    let (_, page) = fixture.read(None, &all, 10);
    fixture.apply(1, event_at(Kind::Logout, "alice@corp", 20));
    let limits = ChangeLogLimits::default();
    fixture.log = ChangeLog::restore(7, limits, fixture.table.snapshot(Revision(3)));
    let (changes, after) = fixture.read(Some(page.next), &all, 20);
    assert_eq!((changes, after.resync), (vec!["10.0.0.1 -alice@corp".to_owned()], false));
    fixture.table.forget_before(seconds(21));
    fixture.log = ChangeLog::restore(7, limits, fixture.table.snapshot(Revision(3)));
    assert!(fixture.read(Some(page.next), &all, 20).1.resync, "its end is forgotten");
    assert!(!fixture.read(Some(after.next), &all, 20).1.resync, "it knows that end already");
}

#[test]
fn an_expired_session_is_in_the_snapshot() {
    let mut fixture = Fixture::new(ChangeLogLimits::default());
    fixture.apply(1, event_at(Kind::VpnUp, "alice@corp", 10));
    assert_eq!(fixture.log.get(address("10.0.0.1"), seconds(700)), None);
    let mut table = Table::restore(fixture.log.snapshot());
    let due =
        table.due_expiries(seconds(700), &crate::test_support::origin(crate::Producer::Cache), 10);
    assert_eq!(due.iter().map(|event| event.address).collect::<Vec<_>>(), [address("10.0.0.1")]);
}
