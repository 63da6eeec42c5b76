//! What must hold for any events in any order, against models that know nothing of the table.

use std::collections::{BTreeMap, HashMap as StdMap};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::test_support::{
    address, event_at, groups, millis, name, origin, principal, rules, seconds,
};
use crate::{
    AddressTimeline, Authority, ChangeLog, ChangeLogLimits, Glob, Membership, Posture, Precision,
    Principal, Producer, Proof, SessionInterval, SharedAddressRule,
};

/// Few addresses and few users, so that they meet.
const ADDRESSES: [&str; 3] = ["10.0.0.7", "10.0.0.8", "2001:db8::7"];
const USERS: [&str; 7] =
    ["alice", "alice@corp", "alice@lab", "bob@corp", "carol", "pc1$@corp", "svc-backup@corp"];

/// The logoff time of these tests, in seconds: short, so that sessions end by it.
const LOGOFF: i64 = 120;

/// How long a weaker proof waits, in seconds: shorter, so that it does not wait in vain.
const WAITS: i64 = 50;

fn short_rules() -> Rules {
    let mut rules = rules();
    rules.logoff_time = Duration::from_secs(LOGOFF as u64);
    rules.max_age = Duration::from_secs(60);
    rules.weaker_proof_delay = Duration::from_secs(WAITS as u64);
    rules
}

/// The same, with something forbidden in every way there is.
fn strict_rules() -> Rules {
    let mut rules = short_rules();
    rules.ignore.users = [Glob::new("svc-*").unwrap()].into_iter().collect();
    rules.ignore.networks = vec!["2001:db8::/64".parse().unwrap()];
    rules.preserve_valid_user = false;
    let lab = Authority {
        kinds: vec![Kind::Login, Kind::Logout, Kind::VpnDown],
        domains: vec![name("lab")],
        ..Authority::default()
    };
    rules.authorities.insert((name("ptim"), name("branch-fw")), lab);
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

/// What directories may say of a user and a device.
fn any_membership() -> impl Strategy<Value = Membership> {
    let some = || prop::option::of(prop::sample::select(vec!["", "sales", "sales staff"]));
    let groups = |names: Option<&str>| names.map(groups);
    (some(), some())
        .prop_map(move |(user, device)| Membership { user: groups(user), device: groups(device) })
}

/// Any event, received so many seconds after the start and up to 70 seconds old or 10 ahead.
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
                // A computer's account has no user's groups.
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

/// Events in the order in which they are received.
fn arrivals(most: usize) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(any_event(), 1..most).prop_map(|mut events| {
        events.sort_by_key(|event| event.seen);
        events
    })
}

fn held(table: &Table) -> BTreeMap<Address, Arc<Session>> {
    table.sessions().map(|session| (session.address, session.clone())).collect()
}

/// What one user did in time; nothing is late.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Login,
    Logout,
    Rekey,
}

/// Who is there at `now`, from the whole history of an address: whoever logged in last, unless
/// that user logged out since, or was not heard of for the logoff time.
fn owner_by_history(history: &[(i64, Deed, usize)], now: i64) -> Option<usize> {
    let last = history.iter().rposition(|(_, deed, _)| matches!(deed, Deed::Login))?;
    let (_, _, user) = history[last];
    let left = |(_, deed, who): &(i64, Deed, usize)| matches!(deed, Deed::Logout) && *who == user;
    if history[last..].iter().any(left) {
        return None;
    }
    let heard = history[last..].iter().filter(|(_, _, who)| *who == user).map(|(at, ..)| *at);
    let heard: Vec<i64> = heard.chain([now]).collect();
    let silent = heard.windows(2).any(|pair| pair[1] - pair[0] >= LOGOFF);
    (!silent).then_some(user)
}

/// Who is there by what proof, and when they were last seen, after `deeds` in the order of time.
fn holder_by_weight(deeds: &[(i64, Deed, usize, Proof)]) -> Option<(usize, Proof, i64)> {
    deeds.iter().fold(None, |there, &(now, deed, user, proof)| {
        let Some((holder, strongest, seen)) = there else {
            return matches!(deed, Deed::Login).then_some((user, proof, now));
        };
        let held = proof < strongest && now < seen + WAITS;
        match deed {
            Deed::Login | Deed::Rekey if holder == user => {
                Some((holder, strongest.max(proof), now))
            }
            Deed::Login if !held => Some((user, proof, now)),
            Deed::Logout if holder == user && !held => None,
            _ => there,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn in_order_the_owner_is_the_one_whom_the_weights_leave(
        deeds in prop::collection::vec((1..40_i64, 0..4_u8, 0..3_usize, proof()), 1..40),
    ) {
        let names = ["alice@corp", "bob@corp", "carol@lab"];
        let rules = Rules { logoff_time: Duration::from_secs(86_400), ..short_rules() };
        let (mut table, mut done, mut now) = (Table::default(), Vec::new(), 0);
        for (revision, (pause, deed, user, proof)) in deeds.into_iter().enumerate() {
            now += pause;
            let (kind, deed) = match deed {
                0 | 1 => (Kind::Login, Deed::Login),
                2 => (Kind::Logout, Deed::Logout),
                _ => (Kind::Refresh, Deed::Rekey),
            };
            done.push((now, deed, user, proof));
            let event = Event { proof, ..event_at(kind, names[user], now) };
            table.apply(Revision(revision as u64 + 1), &event, &rules);
            let there = table.get(address("10.0.0.7")).map(|session| {
                (session.principal.as_ref().unwrap().to_string(), session.proof, session.confirmed)
            });
            let expected = holder_by_weight(&done);
            let expected = expected.map(|(user, proof, at)| (names[user].to_owned(), proof, seconds(at)));
            prop_assert_eq!(there, expected);
        }
    }

    #[test]
    fn in_no_order_does_the_weaker_displace_who_is_seen(events in arrivals(60)) {
        let rules = short_rules();
        let mut table = Table::default();
        for (position, event) in events.iter().enumerate() {
            let change = table.apply(Revision(position as u64 + 1), event, &rules).change;
            let Some(Change { before: Some(before), effect, after, cause, .. }) = change else {
                continue;
            };
            let another = effect == Effect::Began && after.is_some_and(|s| s.principal.is_some());
            let left = matches!(cause.rule, Rule::LoggedOut);
            if before.principal.is_some() && before.is_active_at(event.seen) && (another || left) {
                let silent = event.at.min(event.seen) >= before.confirmed + rules.weaker_proof_delay;
                prop_assert!(event.proof >= before.proof || silent, "{:?} {:?}", event, before);
            }
        }
    }

    #[test]
    fn two_servers_may_tell_of_a_logon_and_a_connection_in_either_order(
        (logon, proof) in (1..40_000_i64, proof()),
        connection in 1..40_000_i64,
    ) {
        prop_assume!(logon != connection);
        let login = |at, user, proof| {
            Event { at: millis(at), proof, seen: seconds(40), ..event_at(Kind::Login, user, 0) }
        };
        let there = login(0, "bob@corp", Proof::Connection);
        let alice = login(logon, "alice@corp", proof);
        let bob = login(connection, "bob@corp", Proof::Connection);
        let owner = |events: [&Event; 3]| {
            let mut table = Table::default();
            for (position, event) in events.into_iter().enumerate() {
                table.apply(Revision(position as u64 + 1), event, &short_rules());
            }
            table.get(address("10.0.0.7")).map(|there| there.principal.clone().unwrap())
        };
        prop_assert_eq!(owner([&there, &alice, &bob]), owner([&there, &bob, &alice]));
        let first = (proof, logon) > (Proof::Connection, connection);
        let expected = if first { alice.principal.clone() } else { bob.principal.clone() };
        prop_assert_eq!(owner([&there, &alice, &bob]), expected);
    }

    #[test]
    fn replaying_the_changes_gives_the_table(events in arrivals(60), strict: bool) {
        let rules = if strict { strict_rules() } else { short_rules() };
        let (mut table, mut replayed) = (Table::default(), BTreeMap::new());
        for (position, event) in events.iter().enumerate() {
            let revision = Revision(position as u64 + 1);
            let Decision { verdict, change } = table.apply(revision, event, &rules);
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
    fn a_directory_alters_only_what_somebody_is_called_and_their_groups(events in arrivals(60)) {
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
            if let (Some(user), Some(said)) = (&mut expected.principal, &event.principal) {
                let formerly = event.renamed_from.as_deref().filter(|name| name.has_same_name(user));
                prop_assert!(formerly.is_some() || said.has_same_name(user));
                (user.user, user.domain) = (said.user.clone(), said.domain.clone());
                expected.membership.user = event.membership.user.clone();
            }
            if event.device.as_ref().is_some_and(|device| before.has_device(device)) {
                expected.membership.device = event.membership.device.clone();
            }
            prop_assert_eq!(&expected, after.as_ref());
        }
    }

    #[test]
    fn what_is_forbidden_leaves_no_trace_in_any_session(events in arrivals(60)) {
        let rules = strict_rules();
        let mut table = Table::default();
        // A directory may say that somebody who is allowed is called otherwise from now on.
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
        // Whatever was proposed may have been lost some times; the end comes nevertheless.
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
    fn a_table_that_is_handed_over_decides_and_explains_as_before(
        events in arrivals(60),
        from in 0..60_usize,
        strict: bool,
        users in 1..4_usize,
        forget in prop::option::of(0..60_usize),
    ) {
        let mut rules = if strict { strict_rules() } else { short_rules() };
        rules.sharing = SharedAddressRule { users, quiet: Duration::from_secs(90), ..rules.sharing };
        let (mut lost, mut anew) = (Table::default(), Table::default());
        let last = events.last().map_or(seconds(0), |event| event.seen);
        for (position, event) in events.iter().enumerate() {
            let revision = Revision(position as u64 + 1);
            let decision = lost.apply(revision, event, &rules);
            if position == from {
                anew = Table::restore(lost.snapshot(revision));
            }
            if position > from {
                prop_assert_eq!(anew.apply(revision, event, &rules), decision);
            }
            if Some(position) == forget {
                let before = event.seen - Duration::from_secs(30);
                lost.forget_before(before);
                anew.forget_before(before);
            }
        }
        if from < events.len() {
            prop_assert_eq!(held(&anew), held(&lost));
            for place in ADDRESSES.map(address) {
                let [lost, anew] = [&lost, &anew].map(|table| table.explain(place, last));
                prop_assert_eq!(format!("{lost:#?}"), format!("{anew:#?}"));
            }
        }
    }

    #[test]
    fn a_table_from_the_log_lets_no_late_login_in(events in arrivals(60), from in 0..60_usize) {
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
    fn in_order_the_owner_is_the_one_that_history_tells(
        deeds in prop::collection::vec((1..90_i64, 0..3_u8, 0..3_usize), 1..40),
        silence in 0..2 * LOGOFF,
    ) {
        let names = ["alice@corp", "bob@corp", "carol@lab"];
        let (mut table, mut history, mut now) = (Table::default(), Vec::new(), 0);
        for (revision, (pause, deed, user)) in deeds.into_iter().enumerate() {
            now += pause;
            let (kind, deed) = match deed {
                0 => (Kind::VpnUp, Deed::Login),
                1 => (Kind::VpnDown, Deed::Logout),
                _ => (Kind::Rekey, Deed::Rekey),
            };
            history.push((now, deed, user));
            table.apply(Revision(revision as u64 + 1), &event_at(kind, names[user], now), &short_rules());
            let there = |at| {
                let held = table.get(address("10.0.0.7")).filter(|s| s.is_active_at(seconds(at)));
                held.map(|s| s.principal.as_ref().unwrap().to_string())
            };
            for at in [now, now + silence] {
                let expected = owner_by_history(&history, at).map(|user| names[user].to_owned());
                prop_assert_eq!(there(at), expected);
            }
        }
    }

    /// History folds the events of one address alone, and says of every moment what the whole table
    /// said then, and why.
    #[test]
    fn the_history_of_an_address_is_what_the_table_said_at_every_moment(
        events in arrivals(60),
        strict: bool,
    ) {
        let rules = if strict { strict_rules() } else { short_rules() };
        let place = address(ADDRESSES[0]);
        let (mut table, mut stays, mut said) = (Table::default(), Vec::new(), Vec::new());
        let mut timeline = AddressTimeline::from_snapshot(place, crate::TableSnapshot::default());
        for (index, event) in events.iter().enumerate() {
            let revision = Revision(index as u64 + 1);
            table.apply(revision, event, &rules);
            stays.extend(timeline.apply(revision, event, &rules));
            if events.get(index + 1).is_some_and(|next| next.seen == event.seen) {
                continue;
            }
            for at in [event.seen, event.seen + Duration::from_secs(LOGOFF as u64 / 2)] {
                let (mine, whole) = (timeline.explain(at).unwrap(), table.explain(place, at));
                prop_assert_eq!(mine.to_string(), whole.to_string());
                prop_assert_eq!(&mine.session, &whole.session);
                prop_assert_eq!(mine.competed, whole.competed);
                let there = timeline.current(at).map(|stay| &stay.session);
                prop_assert_eq!(there, whole.session.as_ref());
            }
            let owner = |session: &Arc<Session>| (session.principal.clone(), session.since);
            said.push((event.seen, table.explain(place, event.seen).session.as_ref().map(owner)));
        }
        stays.extend(timeline.finish(seconds(1000)));
        for (at, there) in said {
            let covers = |stay: &&SessionInterval| {
                stay.start <= at && stay.end.as_ref().is_none_or(|end| at < end.at)
            };
            let told: Vec<_> = stays.iter().filter(covers).collect();
            prop_assert!(told.len() <= 1, "two at once: {:?}", told);
            let since = told.first().map(|stay| stay.session.since);
            prop_assert_eq!(since, there.as_ref().map(|(_, since)| *since));
            let user = |who: &Option<Principal>| who.as_ref().map(|who| who.user.clone());
            let told = told.first().map(|stay| user(&stay.session.principal));
            prop_assert_eq!(told, there.map(|(who, _)| user(&who)));
        }
    }
}
