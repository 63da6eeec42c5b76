//! Property tests of the table against independent models, for any events in any order.

use std::collections::{BTreeMap, HashMap as StdMap};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_support::{
    address, event_at, groups, millis, name, origin, principal, rules, seconds,
};
use crate::{
    AddressTimeline, ChangeLog, ChangeLogLimits, Glob, Grant, Membership, Posture, Precision,
    Principal, Producer, Proof, SessionInterval, SharedAddressRule,
};

/// Few addresses and few users, so that they interact.
const ADDRESSES: [&str; 3] = ["10.0.0.7", "10.0.0.8", "2001:db8::7"];
const USERS: [&str; 7] =
    ["alice", "alice@corp", "alice@lab", "bob@corp", "carol", "pc1$@corp", "svc-backup@corp"];

/// The logoff time of these tests, in seconds: short, so that sessions expire.
const LOGOFF: i64 = 120;

/// The weaker proof delay, in seconds: shorter than the logoff time, so that it has an effect.
const WAITS: i64 = 50;

fn short_rules() -> Rules {
    let mut rules = rules();
    rules.logoff_time = Duration::from_secs(LOGOFF as u64);
    rules.max_age = Duration::from_secs(60);
    rules.weaker_proof_delay = Duration::from_secs(WAITS as u64);
    rules
}

/// The same rules with a restriction of every kind.
fn strict_rules() -> Rules {
    let mut rules = short_rules();
    rules.ignore.users = [Glob::new("svc-*").unwrap()].into_iter().collect();
    rules.ignore.networks = vec!["2001:db8::/64".parse().unwrap()];
    rules.preserve_valid_user = false;
    let lab = Grant {
        kinds: vec![Kind::Login, Kind::Logout, Kind::VpnDown],
        domains: vec![name("lab")],
        ..Grant::default()
    };
    rules.authorities.insert((name("ptim"), name("branch-fw")), lab.into());
    rules
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Login,
        Kind::VpnUp,
        Kind::Logout,
        Kind::VpnDown,
        Kind::Rekey,
        Kind::Refresh,
        Kind::DeviceSeen,
        Kind::Membership,
        Kind::Expiry,
    ])
}

fn proof() -> impl Strategy<Value = Proof> {
    prop::sample::select(vec![Proof::HostName, Proof::Connection, Proof::Ticket, Proof::Logon])
}

/// Any membership of a user and a device.
fn any_membership() -> impl Strategy<Value = Membership> {
    let some = || prop::option::of(prop::sample::select(vec!["", "sales", "sales staff"]));
    let groups = |names: Option<&str>| names.map(groups);
    (some(), some())
        .prop_map(move |(user, device)| Membership { user: groups(user), device: groups(device) })
}

/// Any event, received up to 70 seconds late or 10 seconds early.
fn any_event() -> impl Strategy<Value = Event> {
    let user = prop::option::of(prop::sample::select(USERS.to_vec()));
    let device = prop::option::of(prop::sample::select(vec!["pc1", "PC1", "pc2"]));
    let place = prop::sample::select(ADDRESSES.to_vec());
    let posture = prop::option::of(Just(Posture::Healthy));
    let times = (0..400_000_i64, -10_000..70_000_i64, any::<bool>());
    let formerly = prop::option::of(prop::sample::select(USERS.to_vec()));
    let membership_event = (any_membership(), formerly);
    (kind(), place, user, (device, posture), membership_event, (times, proof())).prop_map(
        |(kind, place, user, (device, posture), membership_event, ((seen, age, coarse), proof))| {
            let (mut membership, formerly) = membership_event;
            if user.is_some_and(|user| user.contains('$')) {
                // A computer's account has no user groups.
                membership.user = None;
            }
            let at = millis(seen - age);
            let by = match (kind, coarse) {
                (Kind::Expiry, _) => Producer::Cache,
                (Kind::Membership, _) => Producer::ActiveDirectory,
                (_, true) => Producer::Syslog,
                (_, false) => Producer::Ptim,
            };
            let whole = Timestamp::from_millis(at.millis().div_euclid(1000) * 1000);
            Event {
                address: address(place),
                principal: user.map(principal),
                device: device.map(name),
                posture,
                proof,
                membership,
                renamed_from: formerly
                    .filter(|_| kind == Kind::Membership)
                    .map(|name| Box::new(principal(name))),
                at: if coarse { whole } else { at },
                precision: if coarse { Precision::Second } else { Precision::Millisecond },
                seen: millis(seen),
                origin: origin(by),
                ..event_at(kind, "", 0)
            }
        },
    )
}

/// Events in the order of reception.
fn arrivals(most: usize) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(any_event(), 1..most).prop_map(|mut events| {
        events.sort_by_key(|event| event.seen);
        events
    })
}

fn held(table: &Table) -> BTreeMap<Address, Arc<Session>> {
    table.sessions().map(|session| (session.address, session.clone())).collect()
}

/// An operation of one user, in time.
#[derive(Debug, Clone, Copy)]
enum Action {
    Login,
    Logout,
    Rekey,
}

/// The user at `now`, from the whole history of an address: the last login, unless that user logged
/// out since or was not seen for the logoff time.
fn owner_by_history(history: &[(i64, Action, usize)], now: i64) -> Option<usize> {
    let last = history.iter().rposition(|(_, action, _)| matches!(action, Action::Login))?;
    let (_, _, user) = history[last];
    let logged_out =
        |(_, action, who): &(i64, Action, usize)| matches!(action, Action::Logout) && *who == user;
    if history[last..].iter().any(logged_out) {
        return None;
    }
    let sightings = history[last..].iter().filter(|(_, _, who)| *who == user).map(|(at, ..)| *at);
    let sightings: Vec<i64> = sightings.chain([now]).collect();
    let silent = sightings.windows(2).any(|pair| pair[1] - pair[0] >= LOGOFF);
    (!silent).then_some(user)
}

/// The user, the proof and the time last seen, after `actions` in the order of time.
fn holder_by_weight(actions: &[(i64, Action, usize, Proof)]) -> Option<(usize, Proof, i64)> {
    actions.iter().fold(None, |current_session, &(now, action, user, proof)| {
        let Some((holder, strongest, seen)) = current_session else {
            return matches!(action, Action::Login).then_some((user, proof, now));
        };
        let held = proof < strongest && now < seen + WAITS;
        match action {
            Action::Login | Action::Rekey if holder == user => {
                Some((holder, strongest.max(proof), now))
            }
            Action::Login if !held => Some((user, proof, now)),
            Action::Logout if holder == user && !held => None,
            _ => current_session,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn in_order_the_user_matches_the_proof_model(
        actions in prop::collection::vec((1..40_i64, 0..4_u8, 0..3_usize, proof()), 1..40),
    ) {
        let names = ["alice@corp", "bob@corp", "carol@lab"];
        let rules = Rules { logoff_time: Duration::from_secs(86_400), ..short_rules() };
        let (mut table, mut done, mut now) = (Table::default(), Vec::new(), 0);
        for (revision, (pause, action, user, proof)) in actions.into_iter().enumerate() {
            now += pause;
            let (kind, action) = match action {
                0 | 1 => (Kind::Login, Action::Login),
                2 => (Kind::Logout, Action::Logout),
                _ => (Kind::Refresh, Action::Rekey),
            };
            done.push((now, action, user, proof));
            let event = Event { proof, ..event_at(kind, names[user], now) };
            table.apply(Revision(revision as u64 + 1), &event, &rules);
            let current_session = table.get(address("10.0.0.7")).map(|session| {
                (session.principal.as_ref().unwrap().to_string(), session.proof, session.confirmed)
            });
            let expected = holder_by_weight(&done);
            let expected = expected.map(|(user, proof, at)| (names[user].to_owned(), proof, seconds(at)));
            prop_assert_eq!(current_session, expected);
        }
    }

    #[test]
    fn a_weaker_proof_never_displaces_an_active_user(events in arrivals(60)) {
        let rules = short_rules();
        let mut table = Table::default();
        for (position, event) in events.iter().enumerate() {
            let change = table.apply(Revision(position as u64 + 1), event, &rules).change;
            let Some(Change { before: Some(before), effect, after, cause, .. }) = change else {
                continue;
            };
            let another = effect == Effect::Began && after.is_some_and(|s| s.principal.is_some());
            let logged_out = matches!(cause.rule, Rule::LoggedOut);
            if before.principal.is_some() && before.is_active_at(event.seen) && (another || logged_out) {
                let silent = event.at.min(event.seen) >= before.confirmed + rules.weaker_proof_delay;
                prop_assert!(event.proof >= before.proof || silent, "{:?} {:?}", event, before);
            }
        }
    }

    #[test]
    fn a_logon_and_a_connection_may_arrive_in_either_order(
        (logon, proof) in (1..40_000_i64, proof()),
        connection in 1..40_000_i64,
    ) {
        prop_assume!(logon != connection);
        let login = |at, user, proof| {
            Event { at: millis(at), proof, seen: seconds(40), ..event_at(Kind::Login, user, 0) }
        };
        let current_session = login(0, "bob@corp", Proof::Connection);
        let alice = login(logon, "alice@corp", proof);
        let bob = login(connection, "bob@corp", Proof::Connection);
        let owner = |events: [&Event; 3]| {
            let mut table = Table::default();
            for (position, event) in events.into_iter().enumerate() {
                table.apply(Revision(position as u64 + 1), event, &short_rules());
            }
            table.get(address("10.0.0.7")).map(|current_session| current_session.principal.clone().unwrap())
        };
        prop_assert_eq!(owner([&current_session, &alice, &bob]), owner([&current_session, &bob, &alice]));
        let first = (proof, logon) > (Proof::Connection, connection);
        let expected = if first { alice.principal.clone() } else { bob.principal.clone() };
        prop_assert_eq!(owner([&current_session, &alice, &bob]), expected);
    }

    #[test]
    fn replaying_the_changes_gives_the_table(events in arrivals(60), strict: bool) {
        let rules = if strict { strict_rules() } else { short_rules() };
        let (mut table, mut replayed) = (Table::default(), BTreeMap::new());
        for (position, event) in events.iter().enumerate() {
            let revision = Revision(position as u64 + 1);
            let Decision { verdict, change, .. } = table.apply(revision, event, &rules);
            prop_assert_eq!(change.is_some(), matches!(verdict, Verdict::Applied(_)));
            if let Some(change) = change {
                prop_assert_eq!(change.revision, revision);
                let before = match &change.after {
                    Some(after) => replayed.insert(change.address, after.clone()),
                    None => replayed.remove(&change.address),
                };
                prop_assert_eq!(before, change.before);
            }
            prop_assert_eq!(&replayed, &held(&table));
        }
        prop_assert_eq!(table.len(), replayed.len());
    }

    #[test]
    fn a_directory_changes_only_names_and_groups(events in arrivals(60)) {
        let (rules, mut table) = (short_rules(), Table::default());
        for (position, event) in events.iter().enumerate() {
            let before = held(&table);
            let change = table.apply(Revision(position as u64 + 1), event, &rules).change;
            let Some(change) = change.filter(|_| event.kind == Kind::Membership) else { continue };
            prop_assert_eq!(change.effect, Effect::Altered);
            let after = held(&table);
            prop_assert_eq!(before.len(), after.len());
            let (before, after) = (&before[&event.address], &after[&event.address]);
            prop_assert!(before.is_active_at(event.seen));
            let mut expected = Session { revision: change.revision, ..before.as_ref().clone() };
            if let (Some(user), Some(shown)) = (&mut expected.principal, &event.principal) {
                let formerly = event.renamed_from.as_deref().filter(|name| name.has_same_name(user));
                prop_assert!(formerly.is_some() || shown.has_same_name(user));
                (user.user, user.domain) = (shown.user.clone(), shown.domain.clone());
                expected.membership.user = event.membership.user.clone();
            }
            if event.device.as_ref().is_some_and(|device| before.has_device(device)) {
                expected.membership.device = event.membership.device.clone();
            }
            prop_assert_eq!(&expected, after.as_ref());
        }
    }

    #[test]
    fn refused_events_do_not_affect_sessions(events in arrivals(60)) {
        let rules = strict_rules();
        let mut table = Table::default();
        // A directory may rename an allowed user.
        let as_sent = events.iter().filter(|event| event.renamed_from.is_none());
        for (position, event) in as_sent.enumerate() {
            table.apply(Revision(position as u64 + 1), event, &rules);
            for session in table.sessions() {
                prop_assert_ne!(session.address, address("2001:db8::7"));
                let user = session.principal.as_ref().map(ToString::to_string).unwrap_or_default();
                prop_assert!(!user.starts_with("svc-") && !user.contains('$'));
                if session.cause.origin.kind == Producer::Ptim && session.principal.is_some() {
                    prop_assert_eq!(session.domain(), Some(&name("lab")));
                }
                prop_assert!(session.cause.seen.since(session.cause.at) <= rules.max_age);
            }
        }
    }

    #[test]
    fn no_session_outlives_its_logoff_time(events in arrivals(60), lose in 0..4_usize) {
        let (rules, cache) = (short_rules(), origin(Producer::Cache));
        let mut table = Table::default();
        let mut revision = 0;
        for event in &events {
            revision += 1;
            table.apply(Revision(revision), event, &rules);
            for session in table.sessions() {
                prop_assert!(session.confirmed <= event.seen);
                prop_assert!(session.since <= session.confirmed);
                prop_assert!(session.expires <= event.seen + rules.logoff_time);
            }
        }
        // A proposed expiry may be lost several times; the session ends nevertheless.
        let mut now = seconds(400 + LOGOFF);
        for _ in 0..lose {
            table.due_expiries(now, &cache, usize::MAX);
            now = now + RETRY_INTERVAL;
        }
        for event in table.due_expiries(now, &cache, usize::MAX) {
            revision += 1;
            let decision = table.apply(Revision(revision), &event, &rules);
            prop_assert_eq!(decision.verdict, Verdict::Applied(Rule::LogoffTime));
        }
        prop_assert!(table.is_empty());
        table.due_expiries(now + RETRY_INTERVAL, &cache, usize::MAX);
        prop_assert_eq!(table.next_due(), None);
        table.forget_before(now + RETRY_INTERVAL);
        prop_assert!(table.entries.is_empty(), "nothing is remembered for ever");
    }

    #[test]
    fn a_table_restored_from_a_snapshot_decides_and_explains_as_before(
        events in arrivals(60),
        from in 0..60_usize,
        strict: bool,
        users in 1..4_usize,
        forget in prop::option::of(0..60_usize),
    ) {
        let mut rules = if strict { strict_rules() } else { short_rules() };
        rules.shared_addresses = SharedAddressRule { max_users_per_minute: users, quiet_period: Duration::from_secs(90), ..rules.shared_addresses };
        let (mut lost, mut rebuilt) = (Table::default(), Table::default());
        let last = events.last().map_or(seconds(0), |event| event.seen);
        for (position, event) in events.iter().enumerate() {
            let revision = Revision(position as u64 + 1);
            let decision = lost.apply(revision, event, &rules);
            if position == from {
                rebuilt = Table::restore(lost.snapshot(revision));
            }
            if position > from {
                prop_assert_eq!(rebuilt.apply(revision, event, &rules), decision);
            }
            if Some(position) == forget {
                let before = event.seen - Duration::from_secs(30);
                lost.forget_before(before);
                rebuilt.forget_before(before);
            }
        }
        if from < events.len() {
            prop_assert_eq!(held(&rebuilt), held(&lost));
            for place in ADDRESSES.map(address) {
                let [lost, rebuilt] = [&lost, &rebuilt].map(|table| table.explain(place, last));
                prop_assert_eq!(format!("{lost:#?}"), format!("{rebuilt:#?}"));
            }
        }
    }

    #[test]
    fn a_table_restored_from_the_log_rejects_late_logins(events in arrivals(60), from in 0..60_usize) {
        let rules = short_rules();
        let (mut table, mut log) = (Table::default(), ChangeLog::new(7, ChangeLogLimits::default()));
        for (position, event) in events.iter().enumerate() {
            if position == from {
                table = Table::restore(log.snapshot());
            }
            let change = table.apply(Revision(position as u64 + 1), event, &rules).change;
            change.iter().for_each(|change| log.apply(change, event.seen));
        }
        let mut restored = Table::restore(log.snapshot());
        prop_assert_eq!(held(&restored), held(&table));
        let now = events.iter().map(|event| event.seen).max().unwrap();
        let ended = table.entries.values().filter_map(|entry| entry.memory.as_ref()?.ended.as_ref());
        let late: Vec<_> = ended
            .filter(|ended| ended.session.principal.is_some())
            .map(|ended| Event {
                address: ended.session.address,
                principal: ended.session.principal.clone(),
                at: ended.at - Duration::from_millis(1),
                seen: now,
                ..event_at(Kind::Login, "", 0)
            })
            .collect();
        for login in late {
            let before = table.apply(Revision(100), &login, &rules);
            let after = restored.apply(Revision(100), &login, &rules);
            prop_assert_eq!(before.change.is_some(), after.change.is_some(), "{:?}", login);
        }
    }

    #[test]
    fn the_newest_login_wins_in_whatever_order_they_arrive(
        logins in prop::collection::btree_map(0..59_000_i64, (0..3_usize, 0..4_usize), 1..40),
        order: Vec<u16>,
    ) {
        let mut newest = StdMap::new();
        for (place, user) in logins.values() {
            newest.insert(address(ADDRESSES[*place]), *user);
        }
        let mut arriving: Vec<_> = logins.into_iter().collect();
        for (from, to) in order.iter().enumerate() {
            let many = arriving.len();
            arriving.swap(from % many, usize::from(*to) % many);
        }
        let names = ["alice@corp", "alice@lab", "bob@corp", "carol@corp"];
        let mut table = Table::default();
        for (position, (at, (place, user))) in arriving.into_iter().enumerate() {
            let at = millis(at);
            let place = address(ADDRESSES[place]);
            let login = Event { address: place, at, seen: seconds(60), ..event_at(Kind::Login, names[user], 0) };
            table.apply(Revision(position as u64 + 1), &login, &short_rules());
        }
        let owners: StdMap<_, _> = table
            .sessions()
            .map(|s| (s.address, s.principal.as_ref().unwrap().to_string()))
            .collect();
        let expected: StdMap<_, _> =
            newest.into_iter().map(|(place, user)| (place, names[user].to_owned())).collect();
        prop_assert_eq!(owners, expected);
    }

    #[test]
    fn in_order_the_user_matches_the_history(
        actions in prop::collection::vec((1..90_i64, 0..3_u8, 0..3_usize), 1..40),
        silence in 0..2 * LOGOFF,
    ) {
        let names = ["alice@corp", "bob@corp", "carol@lab"];
        let (mut table, mut history, mut now) = (Table::default(), Vec::new(), 0);
        for (revision, (pause, action, user)) in actions.into_iter().enumerate() {
            now += pause;
            let (kind, action) = match action {
                0 => (Kind::VpnUp, Action::Login),
                1 => (Kind::VpnDown, Action::Logout),
                _ => (Kind::Rekey, Action::Rekey),
            };
            history.push((now, action, user));
            table.apply(Revision(revision as u64 + 1), &event_at(kind, names[user], now), &short_rules());
            let current_session = |at| {
                let held = table.get(address("10.0.0.7")).filter(|s| s.is_active_at(seconds(at)));
                held.map(|s| s.principal.as_ref().unwrap().to_string())
            };
            for at in [now, now + silence] {
                let expected = owner_by_history(&history, at).map(|user| names[user].to_owned());
                prop_assert_eq!(current_session(at), expected);
            }
        }
    }

    /// The history of an address, computed from its events alone, equals what the table showed at
    /// every time, including the explanation.
    #[test]
    fn the_timeline_equals_the_table_at_every_time(
        events in arrivals(60),
        strict: bool,
    ) {
        let rules = if strict { strict_rules() } else { short_rules() };
        let place = address(ADDRESSES[0]);
        let (mut table, mut intervals, mut shown) = (Table::default(), Vec::new(), Vec::new());
        let mut timeline = AddressTimeline::from_snapshot(place, crate::TableSnapshot::default());
        for (index, event) in events.iter().enumerate() {
            let revision = Revision(index as u64 + 1);
            table.apply(revision, event, &rules);
            intervals.extend(timeline.apply(revision, event, &rules));
            if events.get(index + 1).is_some_and(|next| next.seen == event.seen) {
                continue;
            }
            for at in [event.seen, event.seen + Duration::from_secs(LOGOFF as u64 / 2)] {
                let (mine, whole) = (timeline.explain(at).unwrap(), table.explain(place, at));
                prop_assert_eq!(mine.to_string(), whole.to_string());
                prop_assert_eq!(&mine.session, &whole.session);
                prop_assert_eq!(mine.competed, whole.competed);
                let current_session = timeline.current(at).map(|interval| &interval.session);
                prop_assert_eq!(current_session, whole.session.as_ref());
            }
            let owner = |session: &Arc<Session>| (session.principal.clone(), session.since);
            shown.push((event.seen, table.explain(place, event.seen).session.as_ref().map(owner)));
        }
        intervals.extend(timeline.finish(seconds(1000)));
        for (at, current_session) in shown {
            let covers = |interval: &&SessionInterval| {
                interval.start <= at && interval.end.as_ref().is_none_or(|end| at < end.at)
            };
            let reported: Vec<_> = intervals.iter().filter(covers).collect();
            prop_assert!(reported.len() <= 1, "two at once: {:?}", reported);
            let since = reported.first().map(|interval| interval.session.since);
            prop_assert_eq!(since, current_session.as_ref().map(|(_, since)| *since));
            let user = |who: &Option<Principal>| who.as_ref().map(|who| who.user.clone());
            let reported = reported.first().map(|interval| user(&interval.session.principal));
            prop_assert_eq!(reported, current_session.map(|(who, _)| user(&who)));
        }
    }
}
