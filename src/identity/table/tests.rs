//! Tests of the decisions of the table: one case for each rule and each refusal.

mod details;
mod directory;
mod expiry;
mod grants;
mod memory;

use std::collections::HashSet;
use std::time::Duration;

use strum::IntoEnumIterator;

use super::*;
use crate::test_support::{
    address, event_at, expiry_event, membership_event, millis, name, origin, principal, received,
    rules, seconds,
};
use crate::{Authority, Glob, Grant, Kind::*, Precision, Producer, Proof};

const DAY: i64 = 24 * 3600;

/// Applies `events` in order and returns the table and the last decision.
fn apply_all(rules: &Rules, events: &[Event]) -> (Table, Decision) {
    let mut table = Table::default();
    let mut last = None;
    for (position, event) in events.iter().enumerate() {
        last = Some(table.apply(Revision(position as u64 + 1), event, rules));
    }
    (table, last.unwrap())
}

fn present(table: &Table) -> String {
    let Some(session) = table.get(address("10.0.0.7")) else { return "no user".into() };
    let user = session.principal.as_ref().map(ToString::to_string).unwrap_or_default();
    match &session.device {
        Some(device) => format!("{user}<{device}>"),
        None => user,
    }
}

/// Events, the verdict on the last of them, and the user afterwards.
type Case = (Vec<Event>, Verdict, &'static str);

fn cases() -> Vec<Case> {
    use Refusal as No;
    use Verdict::{Applied, Deduplicated, Refused};
    let alice = || event_at(VpnUp, "alice@corp", 10);
    let logins_of =
        |many: i64| (0..many).map(|n| event_at(Login, &format!("user{n}@corp"), n)).collect();
    vec![
        (logins_of(10), Applied(Rule::LaterUser), "user9@corp"),
        (logins_of(11), Applied(Rule::AddressShared), "no user"),
        (logins_of(12), Refused(No::AddressShared), "no user"),
        (vec![alice()], Applied(Rule::FirstUser), "alice@corp"),
        (vec![alice(), event_at(Login, "bob@corp", 20)], Applied(Rule::LaterUser), "bob@corp"),
        (
            vec![alice(), Event { proof: Proof::Connection, ..event_at(Login, "bob@corp", 20) }],
            Refused(No::Weaker),
            "alice@corp",
        ),
        (vec![alice(), event_at(Login, "alice@lab", 20)], Applied(Rule::LaterUser), "alice@lab"),
        (
            vec![event_at(Login, "alice@corp<pc1>", 1), event_at(Login, "bob", 2)],
            Applied(Rule::LaterUser),
            "bob",
        ),
        (vec![alice(), event_at(Login, "alice@corp", 20)], Applied(Rule::SameUser), "alice@corp"),
        (vec![alice(), event_at(Login, "alice", 20)], Applied(Rule::SameUser), "alice@corp"),
        (vec![alice(), event_at(Rekey, "alice@corp", 20)], Applied(Rule::Rekeyed), "alice@corp"),
        (vec![alice(), event_at(Rekey, "", 20)], Applied(Rule::Rekeyed), "alice@corp"),
        (
            vec![alice(), event_at(Refresh, "alice@corp", 20)],
            Applied(Rule::Refreshed),
            "alice@corp",
        ),
        (vec![event_at(Login, "alice", 10), alice()], Applied(Rule::Detail), "alice@corp"),
        (
            vec![alice(), event_at(DeviceSeen, "<pc1>", 20)],
            Applied(Rule::Detail),
            "alice@corp<pc1>",
        ),
        (
            vec![alice(), event_at(Login, "CORP\\pc1$", 20)],
            Applied(Rule::Detail),
            "alice@corp<pc1>",
        ),
        (vec![event_at(DeviceSeen, "<pc1>", 10)], Applied(Rule::DeviceOnly), "<pc1>"),
        (vec![event_at(Login, "<pc1>", 10)], Applied(Rule::DeviceOnly), "<pc1>"),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), event_at(DeviceSeen, "<pc2>", 20)],
            Applied(Rule::DeviceOnly),
            "<pc2>",
        ),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), event_at(DeviceSeen, "<PC1>", 20)],
            Applied(Rule::Refreshed),
            "<pc1>",
        ),
        (
            vec![event_at(DeviceSeen, "<pc1>", 20), alice()],
            Applied(Rule::FirstUser),
            "alice@corp<pc1>",
        ),
        (vec![alice(), event_at(Logout, "alice", 20)], Applied(Rule::LoggedOut), "no user"),
        (
            vec![event_at(Login, "a@corp<pc1>", 10), event_at(Logout, "a@corp", 20)],
            Applied(Rule::LoggedOut),
            "no user",
        ),
        (vec![alice(), event_at(VpnDown, "", 20)], Applied(Rule::LoggedOut), "no user"),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), event_at(Logout, "pc1$", 20)],
            Applied(Rule::LoggedOut),
            "no user",
        ),
        (vec![alice(), expiry_event(10 + DAY)], Applied(Rule::LogoffTime), "no user"),
        // Directory updates.
        (
            vec![alice(), membership_event("alice@corp", "sales", 20)],
            Applied(Rule::Directory),
            "alice@corp",
        ),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), membership_event("<PC1>", "servers", 20)],
            Applied(Rule::Directory),
            "<pc1>",
        ),
        (
            vec![event_at(Login, "alice@corp<pc1>", 10), membership_event("<pc1>", "laptops", 20)],
            Applied(Rule::Directory),
            "alice@corp<pc1>",
        ),
        (
            vec![
                alice(),
                membership_event("alice@corp", "a", 20),
                membership_event("alice@corp", "a", 30),
            ],
            Deduplicated,
            "alice@corp",
        ),
        (
            vec![alice(), membership_event("bob@corp", "a", 20)],
            Refused(No::OtherUser),
            "alice@corp",
        ),
        (vec![alice(), membership_event("alice", "a", 20)], Refused(No::OtherUser), "alice@corp"),
        (vec![alice(), membership_event("<pc1>", "a", 20)], Refused(No::OtherUser), "alice@corp"),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), membership_event("<pc2>", "a", 20)],
            Refused(No::OtherUser),
            "<pc1>",
        ),
        (vec![membership_event("alice@corp", "a", 20)], Refused(No::NoSession), "no user"),
        (
            vec![alice(), event_at(Logout, "alice", 15), membership_event("alice@corp", "a", 20)],
            Refused(No::NoSession),
            "no user",
        ),
        (
            vec![alice(), membership_event("alice@corp", "a", 10 + DAY)],
            Refused(No::NoSession),
            "alice@corp",
        ),
        (
            vec![
                alice(),
                Event {
                    origin: origin(Producer::ActiveDirectory),
                    ..event_at(Logout, "alice@corp", 20)
                },
            ],
            Applied(Rule::LoggedOut),
            "no user",
        ),
        // Duplicates.
        (vec![alice(), alice()], Deduplicated, "alice@corp"),
        (vec![alice(), received(event_at(Login, "alice@corp", 5), 12)], Deduplicated, "alice@corp"),
        (vec![alice(), received(event_at(Rekey, "alice@corp", 5), 12)], Deduplicated, "alice@corp"),
        (
            vec![event_at(Login, "a@corp<pc1>", 10), event_at(DeviceSeen, "<PC1>", 20)],
            Deduplicated,
            "a@corp<pc1>",
        ),
        // Late events.
        (vec![alice(), received(event_at(Login, "bob", 5), 12)], Refused(No::Late), "alice@corp"),
        (
            vec![alice(), received(event_at(Logout, "alice", 5), 12)],
            Refused(No::Late),
            "alice@corp",
        ),
        (
            vec![alice(), received(event_at(DeviceSeen, "<pc1>", 5), 12)],
            Refused(No::Late),
            "alice@corp",
        ),
        (
            vec![
                alice(),
                event_at(Logout, "alice", 20),
                received(event_at(Login, "alice", 15), 21),
            ],
            Refused(No::Late),
            "no user",
        ),
        (
            vec![
                alice(),
                event_at(Logout, "alice", 20),
                received(event_at(DeviceSeen, "<p>", 15), 21),
            ],
            Refused(No::Late),
            "no user",
        ),
        (vec![event_at(Logout, "alice", 20), received(alice(), 21)], Refused(No::Late), "no user"),
        (
            vec![event_at(Logout, "alice", 20), received(event_at(Login, "bob", 15), 21)],
            Applied(Rule::FirstUser),
            "bob",
        ),
        (
            vec![alice(), event_at(Login, "alice", 20), received(event_at(Login, "bob", 15), 21)],
            Refused(No::Late),
            "alice@corp",
        ),
        (
            vec![
                alice(),
                expiry_event(10 + DAY),
                received(event_at(Login, "bob", 9 + DAY), 11 + DAY),
            ],
            Applied(Rule::FirstUser),
            "bob",
        ),
        // Other users, and no session.
        (vec![alice(), event_at(Logout, "bob@corp", 20)], Refused(No::OtherUser), "alice@corp"),
        (vec![alice(), event_at(Rekey, "bob@corp", 20)], Refused(No::OtherUser), "alice@corp"),
        (vec![alice(), event_at(Logout, "pc1$", 20)], Refused(No::OtherUser), "alice@corp"),
        (vec![alice(), event_at(VpnDown, "pc1$", 20)], Refused(No::OtherUser), "alice@corp"),
        (vec![alice(), event_at(Refresh, "pc1$", 20)], Refused(No::OtherUser), "alice@corp"),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), event_at(Logout, "<pc2>", 20)],
            Refused(No::OtherUser),
            "<pc1>",
        ),
        (vec![event_at(Logout, "alice", 10)], Refused(No::NoSession), "no user"),
        (vec![event_at(VpnDown, "", 10)], Refused(No::NoSession), "no user"),
        (vec![event_at(Rekey, "alice@corp", 10)], Refused(No::NoSession), "no user"),
        (vec![event_at(Refresh, "alice@corp", 10)], Refused(No::NoSession), "no user"),
        (
            vec![event_at(DeviceSeen, "<pc1>", 10), event_at(Rekey, "alice", 20)],
            Refused(No::NoSession),
            "<pc1>",
        ),
        (vec![expiry_event(10)], Refused(No::NoSession), "no user"),
        (vec![alice(), event_at(Login, "<pc1>", 20)], Refused(No::NullUser), "alice@corp"),
        (vec![alice(), event_at(Logout, "<pc1>", 20)], Refused(No::NullUser), "alice@corp"),
        (vec![alice(), expiry_event(20)], Refused(No::NotDue), "alice@corp"),
        (
            vec![alice(), event_at(Rekey, "", 20), expiry_event(15 + DAY)],
            Refused(No::NotDue),
            "alice@corp",
        ),
        // Events that are never allowed.
        (vec![event_at(Login, "", 10)], Refused(No::NoSubject), "no user"),
        (vec![event_at(Login, "$", 10)], Refused(No::NoSubject), "no user"),
        (vec![event_at(DeviceSeen, "alice", 10)], Refused(No::NoSubject), "no user"),
        (vec![received(alice(), 10 + 901)], Refused(No::TooOld), "no user"),
        (vec![received(alice(), 10 - 301)], Refused(No::FromFuture), "no user"),
        (
            vec![Event { address: address("127.0.0.1"), ..alice() }],
            Refused(No::AddressUnusable),
            "no user",
        ),
        (
            vec![Event { origin: origin(Producer::Cache), ..alice() }],
            Refused(No::SourceUnknown),
            "no user",
        ),
        (vec![alice(), event_at(Expiry, "", 10 + DAY)], Refused(No::KindNotGranted), "alice@corp"),
        (
            vec![alice(), event_at(Membership, "alice@corp", 20)],
            Refused(No::KindNotGranted),
            "alice@corp",
        ),
        (
            vec![Event { origin: origin(Producer::ActiveDirectory), ..alice() }],
            Refused(No::KindNotGranted),
            "no user",
        ),
    ]
}

/// Rules with a restriction, one event, and the verdict on it.
fn restrictions() -> Vec<(Rules, Event, Verdict)> {
    let granted = |authority: Authority| {
        let mut rules = rules();
        rules.authorities.insert((name("syslog"), name("branch-fw")), authority);
        rules
    };
    let ignoring = |ignore: crate::IgnoreRules| Rules { ignore, ..rules() };
    let glob = |text| vec![Glob::new(text).unwrap()];
    let kinds = vec![Login, VpnDown];
    let domains = vec![name("lab")];
    let lab = Authority::from(Grant { kinds: kinds.clone(), domains, ..Default::default() });
    let networks = vec!["10.1.0.0/16".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let net = Authority::from(Grant { kinds: kinds.clone(), networks, ..Default::default() });
    let no_device = Authority::from(Grant { kinds: vec![DeviceSeen], ..Default::default() });
    let full = Authority { max_sessions: Some(0), ..Authority::unrestricted(kinds.clone()) };
    let max_age = Some(Duration::from_secs(5));
    let quick = Authority { max_age, ..Authority::unrestricted(kinds) };
    let login = |text| event_at(Login, text, 10);
    let v6 = Event { address: address("2001:db8::7"), ..login("alice") };
    use crate::IgnoreRules as Ignore;
    use Refusal as No;
    use Verdict::{Applied, Refused};
    vec![
        (granted(lab.clone()), event_at(VpnUp, "a@lab", 10), Refused(No::KindNotGranted)),
        (granted(lab.clone()), login("a@corp"), Refused(No::DomainNotGranted)),
        (granted(lab.clone()), login("a"), Refused(No::DomainNotGranted)),
        (granted(lab), login("a@lab"), Applied(Rule::FirstUser)),
        (
            Rules { own_addresses: vec![login("a").address], ..rules() },
            login("a"),
            Refused(No::AddressUnusable),
        ),
        (granted(no_device), event_at(DeviceSeen, "<pc1>", 10), Refused(No::DeviceNotGranted)),
        (granted(full), login("a"), Refused(No::SourceQuota)),
        (Rules { max_sessions: 0, ..rules() }, login("a"), Refused(No::SessionLimit)),
        (granted(net.clone()), login("a"), Refused(No::NetworkNotGranted)),
        (granted(net), v6, Applied(Rule::FirstUser)),
        (granted(quick.clone()), received(login("a"), 16), Refused(No::TooOld)),
        (granted(quick), received(login("a"), 15), Applied(Rule::FirstUser)),
        (
            ignoring(Ignore {
                networks: vec!["10.0.0.0/24".parse().unwrap()],
                ..Default::default()
            }),
            login("a"),
            Refused(No::NetworkIgnored),
        ),
        (
            ignoring(Ignore { domains: glob("LAB*"), ..Default::default() }),
            login("a@lab2"),
            Refused(No::DomainIgnored),
        ),
        (
            ignoring(Ignore { users: glob("svc-*").into_iter().collect(), ..Default::default() }),
            login("SVC-backup@corp"),
            Refused(No::UserIgnored),
        ),
        (
            ignoring(Ignore {
                users: glob("admin@corp").into_iter().collect(),
                ..Default::default()
            }),
            login("admin@corp"),
            Refused(No::UserIgnored),
        ),
        (
            ignoring(Ignore {
                users: glob("admin@corp").into_iter().collect(),
                ..Default::default()
            }),
            login("admin@lab"),
            Applied(Rule::FirstUser),
        ),
        (
            ignoring(Ignore { users: glob("pc*$").into_iter().collect(), ..Default::default() }),
            login("pc1$@corp"),
            Refused(No::UserIgnored),
        ),
    ]
}

#[test]
fn every_case_ends_as_expected() {
    for (events, verdict, current) in cases() {
        let (table, decision) = apply_all(&rules(), &events);
        assert_eq!((decision.verdict, &*present(&table)), (verdict, current), "{events:#?}");
        let changed = matches!(decision.verdict, Verdict::Applied(_));
        assert_eq!(decision.change.is_some(), changed, "{events:#?}");
        assert_eq!(table.len(), table.sessions().count());
    }
}

#[test]
fn every_restriction_is_obeyed() {
    for (rules, event, verdict) in restrictions() {
        assert_eq!(
            apply_all(&rules, std::slice::from_ref(&event)).1.verdict,
            verdict,
            "{event:#?}"
        );
    }
}

#[test]
fn every_rule_and_every_refusal_is_reached() {
    let mut reached: HashSet<Verdict> =
        cases().into_iter().map(|(_, verdict, _)| verdict).collect();
    reached.extend(restrictions().into_iter().map(|(_, _, verdict)| verdict));
    // Covered by a test below, under other rules.
    reached.insert(null_user_takes_over().1.verdict);
    let all = Rule::iter().map(Verdict::Applied).chain(Refusal::iter().map(Verdict::Refused));
    let missing: Vec<_> = all.filter(|verdict| !reached.contains(verdict)).collect();
    assert_eq!(missing, []);
}

fn null_user_takes_over() -> (Table, Decision) {
    let rules = Rules { preserve_valid_user: false, ..rules() };
    apply_all(&rules, &[event_at(Login, "alice@corp<pc1>", 10), event_at(Login, "<pc2>", 20)])
}

#[test]
fn a_null_user_takes_over_only_if_allowed() {
    let (table, decision) = null_user_takes_over();
    assert_eq!(decision.verdict, Verdict::Applied(Rule::NullUser));
    assert_eq!(decision.change.unwrap().effect, Effect::Began);
    assert_eq!(present(&table), "<pc2>");
}

#[test]
fn an_ignored_user_can_only_log_out() {
    let ignores = [
        crate::IgnoreRules {
            users: [Glob::new("ali*").unwrap()].into_iter().collect(),
            ..Default::default()
        },
        crate::IgnoreRules { domains: vec![Glob::new("corp").unwrap()], ..Default::default() },
        crate::IgnoreRules { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Default::default() },
    ];
    for ignore in ignores {
        let mut table = Table::default();
        table.apply(Revision(1), &event_at(VpnUp, "alice@corp", 10), &rules());
        let reloaded = Rules { ignore, ..rules() };
        let again = table.apply(Revision(2), &event_at(Rekey, "alice@corp", 20), &reloaded);
        assert!(matches!(again.verdict, Verdict::Refused(_)), "{again:?}");
        let logouts = table.apply(Revision(3), &event_at(Logout, "alice@corp", 30), &reloaded);
        assert_eq!(logouts.verdict, Verdict::Applied(Rule::LoggedOut));
        assert_eq!(present(&table), "no user");
    }
}

#[test]
fn an_end_is_never_too_old_but_must_follow_the_last_confirmation() {
    // The gateway was disconnected from Rollcall for hours and delivers afterwards.
    let hours = 6 * 3600;
    let alice = event_at(VpnUp, "alice", 100);
    let down = received(event_at(VpnDown, "alice", 200), 200 + hours);
    let (table, decision) = apply_all(&rules(), &[alice.clone(), down]);
    assert_eq!(decision.verdict, Verdict::Applied(Rule::LoggedOut));
    assert_eq!(present(&table), "no user");
    let before = received(event_at(VpnDown, "alice", 50), 200 + hours);
    let (table, decision) = apply_all(&rules(), &[alice, before]);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::Late));
    assert_eq!(present(&table), "alice");
}

#[test]
fn a_login_older_than_an_early_logout_is_late() {
    let logouts = [event_at(VpnDown, "alice", 30), event_at(VpnDown, "bob", 31)];
    // An older logout of alice arrives last and changes nothing.
    let older = received(event_at(Logout, "alice", 10), 32);
    for user in ["alice", "bob"] {
        let late = received(event_at(VpnUp, user, 20), 33);
        let (table, decision) =
            apply_all(&rules(), &[logouts[0].clone(), logouts[1].clone(), older.clone(), late]);
        assert_eq!(decision.verdict, Verdict::Refused(Refusal::Late), "{user}");
        assert_eq!(present(&table), "no user");
    }
    let (table, _) = apply_all(
        &rules(),
        &[logouts[0].clone(), logouts[1].clone(), event_at(VpnUp, "alice", 34)],
    );
    assert_eq!(present(&table), "alice", "a login after that is news");
}

#[test]
fn a_device_seen_after_expiry_does_not_make_a_login_late() {
    let rules = Rules { logoff_time: Duration::from_secs(60), ..rules() };
    let device = event_at(DeviceSeen, "<pc1>", 100);
    for user in ["alice", "bob"] {
        let login = received(event_at(Login, user, 90), 101);
        let (table, decision) =
            apply_all(&rules, &[event_at(VpnUp, "alice", 10), device.clone(), login]);
        assert_eq!(decision.verdict, Verdict::Applied(Rule::FirstUser), "{user}");
        assert_eq!(present(&table), format!("{user}<pc1>"));
    }
    // An event older than the last confirmation of alice is still late.
    let late = received(event_at(Login, "bob", 50), 101);
    let events = [
        event_at(VpnUp, "alice", 10),
        event_at(Rekey, "alice", 55),
        event_at(DeviceSeen, "<p>", 120),
    ];
    let [up, rekey, device] = events;
    let (_, decision) = apply_all(&rules, &[up, rekey, device, received(late, 121)]);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::Late));
}

#[test]
fn a_nameless_end_needs_authority_over_the_current_users_domain() {
    let mut table = Table::default();
    table.apply(Revision(1), &event_at(VpnUp, "alice@corp", 10), &rules());
    let mut bound = rules();
    let key = (name("syslog"), name("branch-fw"));
    bound.authorities.get_mut(&key).unwrap().grants[0].domains = vec![name("lab")];
    let decision = table.apply(Revision(2), &event_at(VpnDown, "", 20), &bound);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::DomainNotGranted));
    assert_eq!(present(&table), "alice@corp");
}

#[test]
fn a_domain_alias_is_its_canonical_domain() {
    let mut rules = rules();
    rules.domain_aliases.insert(name("corp"), name("corp.example.com"));
    let (table, decision) = apply_all(
        &rules,
        &[event_at(VpnUp, "CORP\\alice", 10), event_at(Login, "alice@corp.example.com", 20)],
    );
    assert_eq!(decision.verdict, Verdict::Applied(Rule::SameUser));
    assert_eq!(present(&table), "alice@corp.example.com");
    let spellings = table.get(address("10.0.0.7")).unwrap().principal.as_ref().unwrap().spellings;
    assert_eq!(spellings.iter().count(), 2);
}

/// The same tunnel, reported by the gateway's syslog in whole seconds and by its push in
/// milliseconds.
fn reported_twice() -> (Event, Event) {
    let syslog = Event {
        precision: Precision::Second,
        seen: millis(10_600),
        ..event_at(VpnUp, "alice@corp", 10)
    };
    let push = Event {
        at: millis(10_500),
        seen: millis(10_600),
        origin: origin(Producer::Ptim),
        ..event_at(VpnUp, "alice@corp", 10)
    };
    (syslog, push)
}

#[test]
fn one_tunnel_reported_by_two_sources_is_one_session() {
    let (syslog, push) = reported_twice();
    for events in [[syslog.clone(), push.clone()], [push, syslog]] {
        let (table, decision) = apply_all(&rules(), &events);
        assert_eq!(decision.verdict, Verdict::Deduplicated);
        assert_eq!(table.get(address("10.0.0.7")).unwrap().revision, Revision(1));
    }
}

#[test]
fn a_repeated_login_does_not_revive_an_ended_session() {
    let (syslog, push) = reported_twice();
    let down =
        Event { at: millis(10_700), seen: millis(10_700), ..event_at(VpnDown, "alice@corp", 10) };
    let late = Event { seen: millis(11_200), ..syslog };
    let (table, decision) = apply_all(&rules(), &[push.clone(), down.clone(), late.clone()]);
    assert_eq!((decision.verdict, &*present(&table)), (Verdict::Deduplicated, "no user"));
    // From the same source it is a real change: within one second the user left and returned.
    let second = |kind| Event { precision: Precision::Second, ..event_at(kind, "alice@corp", 10) };
    let back = Event { seen: millis(10_900), ..second(VpnUp) };
    let (table, _) = apply_all(&rules(), &[second(VpnUp), second(VpnDown), back]);
    assert_eq!(present(&table), "alice@corp");
}

#[test]
fn a_session_from_the_future_ends_and_blocks_no_login() {
    let cache = origin(Producer::Cache);
    // The clock was years ahead when alice logged in, and was corrected; bob logged in afterwards.
    let years = 4 * 365 * DAY;
    let bob = Event { address: address("10.0.0.8"), ..event_at(Login, "bob", 10) };
    let (table, _) = apply_all(&rules(), &[bob, event_at(Login, "alice", years)]);
    let restored = Table::restore(table.snapshot(Revision(2)));
    let mut asked_before = apply_all(&rules(), &[event_at(Login, "alice", years)]).0;
    assert!(asked_before.due_expiries(seconds(years + 1), &cache, 9).is_empty());
    for mut table in [table, restored, asked_before] {
        let due = table.due_expiries(seconds(20), &cache, 9);
        assert_eq!(due, [Event { origin: cache.clone(), ..expiry_event(20) }]);
        assert!(table.due_expiries(seconds(21), &cache, 9).is_empty(), "not twice within a minute");
        let ended = table.apply(Revision(3), &due[0], &rules());
        assert_eq!(ended.verdict, Verdict::Applied(Rule::LogoffTime));
        table.apply(Revision(4), &event_at(Login, "carol", 30), &rules());
        assert_eq!(present(&table), "carol");
    }
    // Setting the clock back by less than the limit changes nothing.
    let mut table = apply_all(&rules(), &[event_at(Login, "alice", 3600)]).0;
    assert!(table.due_expiries(seconds(10), &cache, 9).is_empty());
    assert_eq!(
        table.apply(Revision(2), &expiry_event(10), &rules()).verdict,
        Verdict::Refused(Refusal::NotDue)
    );
}

#[test]
fn a_login_resent_around_expiry_begins_no_session() {
    // With a maximum age as long as sessions: received during the session, ordered after its
    // expiry.
    let rules = Rules { max_age: Duration::from_secs(2 * 24 * 3600), ..rules() };
    let again = received(event_at(Login, "alice", 10), 9 + DAY);
    let (table, decision) =
        apply_all(&rules, &[event_at(Login, "alice", 10), expiry_event(10 + DAY), again]);
    assert_eq!(decision, Decision::of(Verdict::Deduplicated, None));
    assert_eq!(present(&table), "no user");
    let news = received(event_at(Login, "alice", 9 + DAY), 11 + DAY);
    let (table, _) =
        apply_all(&rules, &[event_at(Login, "alice", 10), expiry_event(10 + DAY), news]);
    assert_eq!(present(&table), "alice");
}

#[test]
fn within_the_source_precision_arrival_decides() {
    let (syslog, push) = reported_twice();
    let bob = Event { principal: Some(principal("bob@corp")), ..syslog };
    // An event received before the push happened before it, whatever its second may mean.
    let earlier = Event { seen: millis(10_400), ..bob.clone() };
    let (_, decision) = apply_all(&rules(), &[push.clone(), earlier]);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::Late));
    let (table, _) = apply_all(&rules(), &[push, bob]);
    let session = table.get(address("10.0.0.7")).unwrap();
    assert_eq!(present(&table), "bob@corp");
    assert_eq!(session.since, millis(10_500), "not before the one who was displaced");
}

#[test]
fn a_source_clock_ahead_does_not_block_an_address() {
    let ahead = received(event_at(Login, "alice@corp", 250), 10);
    let (table, decision) = apply_all(&rules(), &[ahead, event_at(Login, "bob@corp", 20)]);
    assert_eq!(decision.verdict, Verdict::Applied(Rule::LaterUser));
    assert_eq!(table.get(address("10.0.0.7")).unwrap().since, seconds(20));
}
