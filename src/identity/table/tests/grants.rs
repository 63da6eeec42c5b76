//! Tests of grants: what an event changes if its source is not granted all that the event contains.

use proptest::prelude::*;

use super::*;
use crate::{Posture, RoleGrant, Roles};

const SENDER: &str = "udp-sender";

/// The rules of the branch firewall, and a sender that is granted `grant`.
fn rules_with(grant: Grant) -> Rules {
    let mut rules = rules();
    rules.authorities.insert((name("syslog"), name(SENDER)), grant.into());
    rules
}

/// The default of a sender that is not authenticated.
fn end_and_extend() -> Grant {
    Grant { kinds: vec![Logout, VpnDown, Rekey, Refresh], ..Grant::default() }
}

/// The event, from the sender.
fn sent(event: Event) -> Event {
    let (kind, producer, form) = (Producer::Syslog, name("syslog"), name("junos-vpn"));
    let origin = Origin { kind, producer, client: name(SENDER), form };
    Event { origin: Arc::new(origin), ..event }
}

fn roles(names: &[&str]) -> Roles {
    Some(names.iter().map(|text| name(text)).collect())
}

fn session(table: &Table) -> &Session {
    table.get(address("10.0.0.7")).unwrap()
}

#[test]
fn a_source_that_may_not_begin_sessions_sets_no_role_domain_device_or_posture() {
    let rules = rules_with(Grant {
        roles: RoleGrant::All,
        device: true,
        posture: true,
        ..end_and_extend()
    });
    let begun =
        Event { posture: Some(Posture::Quarantine), ..event_at(VpnUp, "administrator<pc1>", 10) };
    let forged = Event {
        roles: roles(&["Domain Admins"]),
        posture: Some(Posture::Healthy),
        ..sent(event_at(Refresh, "administrator@hq<pc2>", 20))
    };
    let (table, decision) = apply_all(&rules, &[begun, forged]);
    assert_eq!(decision.verdict, Verdict::Applied(Rule::Refreshed));
    assert_eq!(decision.change.unwrap().effect, Effect::Extended);
    let all = UngrantedDetails { roles: true, device: true, posture: true };
    assert_eq!(decision.ungranted, all);
    assert_eq!(present(&table), "administrator<pc1>");
    let held = session(&table);
    assert_eq!((held.roles.as_ref(), held.posture), (None, Some(Posture::Quarantine)));
    assert_eq!((held.confirmed, held.proved), (seconds(20), seconds(10)));
}

#[test]
fn roles_that_are_not_granted_are_ignored() {
    let matching = RoleGrant::Matching(vec![Glob::new("vpn-*").unwrap()]);
    let cases = [
        (RoleGrant::None, None, true),
        (matching, roles(&["vpn-users"]), true),
        (RoleGrant::All, roles(&["vpn-users", "Domain Admins"]), false),
    ];
    for (granted, expected, is_ungranted) in cases {
        let rules = rules_with(Grant { kinds: vec![Login], roles: granted, ..Grant::default() });
        let roles = roles(&["vpn-users", "Domain Admins"]);
        let login = Event { roles, ..sent(event_at(Login, "alice@corp", 10)) };
        let (table, decision) = apply_all(&rules, &[login]);
        assert_eq!(session(&table).roles, expected);
        assert_eq!(decision.ungranted.roles, is_ungranted);
    }
}

#[test]
fn only_a_source_that_is_granted_postures_lifts_a_quarantine() {
    let grant = Grant { kinds: vec![Login, DeviceSeen], device: true, ..Grant::default() };
    let quarantined =
        Event { posture: Some(Posture::Quarantine), ..event_at(Login, "alice@corp<pc1>", 10) };
    let renames = [event_at(DeviceSeen, "<pc2>", 20), event_at(Login, "alice@corp<pc2>", 20)];
    for renamed in renames {
        let healthy = Event { posture: Some(Posture::Healthy), ..sent(renamed.clone()) };
        let (table, _) = apply_all(&rules_with(grant.clone()), &[quarantined.clone(), healthy]);
        assert_eq!(present(&table), "alice@corp<pc2>");
        assert_eq!(session(&table).posture, Some(Posture::Quarantine));
        let granted = Grant { posture: true, ..grant.clone() };
        let (table, _) = apply_all(&rules_with(granted), &[quarantined.clone(), sent(renamed)]);
        assert_eq!(session(&table).posture, None, "the posture of another device");
    }
    let unknown =
        Event { posture: Some(Posture::Healthy), ..event_at(Login, "alice@corp<pc1>", 10) };
    let renamed = sent(event_at(DeviceSeen, "<pc2>", 20));
    let (table, _) = apply_all(&rules_with(grant), &[unknown, renamed]);
    assert_eq!(session(&table).posture, None, "healthy is not inherited by another device");
}

#[test]
fn a_session_without_proof_ends_after_the_maximum_lifetime() {
    let hour = 3600;
    let mut rules = rules_with(end_and_extend());
    rules.max_lifetime = Duration::from_secs(30 * hour as u64);
    let refresh = |after| sent(event_at(Refresh, "alice@corp", after));
    let mut events = vec![event_at(VpnUp, "alice@corp", 0)];
    events.extend([10, 20, 28].map(|hours| refresh(hours * hour)));
    let (mut table, _) = apply_all(&rules, &events);
    assert_eq!(session(&table).expires, seconds(30 * hour));
    let proof = event_at(Rekey, "alice@corp", 29 * hour);
    table.apply(Revision(5), &proof, &rules);
    assert_eq!(session(&table).expires, seconds((29 + 24) * hour), "a proof renews it");
    table.apply(Revision(6), &refresh(50 * hour), &rules);
    assert_eq!(session(&table).expires, seconds((29 + 30) * hour));
}

#[test]
fn a_proof_that_arrives_after_a_later_refresh_counts() {
    let rules = rules_with(end_and_extend());
    let events = [
        event_at(VpnUp, "alice@corp", 0),
        sent(event_at(Refresh, "alice@corp", 7200)),
        received(event_at(Rekey, "alice@corp", 7190), 7201),
    ];
    let (table, decision) = apply_all(&rules, &events);
    assert_eq!(decision.verdict, Verdict::Applied(Rule::Rekeyed));
    assert_eq!((session(&table).proved, session(&table).confirmed), (seconds(7190), seconds(7200)));
}

#[test]
fn explain_names_the_source_of_each_detail() {
    let grant =
        Grant { kinds: vec![Login], roles: RoleGrant::All, posture: true, ..Grant::default() };
    let begun = Event { roles: roles(&["staff"]), ..event_at(Login, "alice@corp<pc1>", 10) };
    let posture = Some(Posture::Healthy);
    let detailed = Event { posture, ..sent(event_at(Login, "alice@corp", 20)) };
    let (table, _) = apply_all(&rules_with(grant), &[begun, detailed]);
    let held = session(&table);
    let client = |source: Option<&Arc<Origin>>| source.unwrap().client.to_string();
    assert_eq!(client(held.roles_source()), "branch-fw");
    assert_eq!(client(held.device_source()), "branch-fw");
    assert_eq!(client(held.posture_source()), SENDER);
    let text = table.explain(address("10.0.0.7"), seconds(21)).to_string();
    let first = text.lines().next().unwrap();
    assert!(first.ends_with("; posture from syslog/udp-sender (junos-vpn)"), "{first}");
}

#[test]
fn a_source_at_its_quota_still_extends_ends_and_replaces_its_own_sessions() {
    let mut rules = rules();
    let quota = Authority { max_sessions: Some(2), ..Authority::unrestricted([Login, Logout]) };
    rules.authorities.insert((name("syslog"), name(SENDER)), quota);
    let mut table = Table::default();
    let mut apply =
        |revision, event: Event| table.apply(Revision(revision), &event, &rules).verdict;
    let at =
        |host: u8, event: Event| Event { address: address(&format!("10.0.1.{host}")), ..event };
    let login = |host, user, after| at(host, sent(event_at(Login, user, after)));
    apply(1, login(1, "alice", 10));
    apply(2, login(2, "bob", 10));
    assert_eq!(apply(3, login(3, "carol", 10)), Verdict::Refused(Refusal::SourceQuota));
    apply(4, at(3, event_at(Login, "carol", 20)));
    assert_eq!(apply(5, login(3, "dave", 30)), Verdict::Refused(Refusal::SourceQuota));
    assert_eq!(apply(6, login(3, "carol", 30)), Verdict::Applied(Rule::SameUser));
    assert_eq!(apply(7, login(1, "alice", 40)), Verdict::Applied(Rule::SameUser));
    assert_eq!(apply(8, login(1, "erin", 50)), Verdict::Applied(Rule::LaterUser));
    let logout = at(1, sent(event_at(Logout, "erin", 60)));
    assert_eq!(apply(9, logout), Verdict::Applied(Rule::LoggedOut));
    assert_eq!(apply(10, login(4, "frank", 70)), Verdict::Applied(Rule::FirstUser));
    let counted = |table: &Table| {
        let of = |client| table.source_sessions().find(|source| source.1.as_str() == client);
        [SENDER, "branch-fw"].map(|client| of(client).map_or(0, |source| source.2))
    };
    assert_eq!(counted(&table), [2, 1]);
    assert_eq!(counted(&Table::restore(table.snapshot(Revision(10)))), [2, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_source_that_may_not_begin_sessions_only_ends_and_extends(
        events in prop::collection::vec(
            (
                prop::sample::select(vec![
                    Login, VpnUp, Logout, VpnDown, Rekey, Refresh, DeviceSeen,
                ]),
                prop::sample::select(vec![
                    "", "alice", "alice@corp", "alice@lab", "bob<pc1>", "<pc1>", "<pc2>", "PC2$",
                ]),
                0..100_i64,
                prop::option::of(prop::sample::select(vec!["staff", "Domain Admins"])),
                prop::option::of(prop::sample::select(vec![
                    Posture::Quarantine, Posture::Healthy,
                ])),
                any::<bool>(),
            ),
            1..40,
        ),
    ) {
        let all = Grant { roles: RoleGrant::All, device: true, posture: true, ..end_and_extend() };
        let rules = rules_with(all);
        let mut table = Table::default();
        for (position, (kind, text, after, role, posture, is_sender)) in events.into_iter().enumerate() {
            let roles = role.map(|role| [name(role)].into());
            let event = received(Event { roles, posture, ..event_at(kind, text, after) }, 100);
            let event = if is_sender { sent(event) } else { event };
            let before = table.get(event.address).cloned();
            table.apply(Revision(position as u64 + 1), &event, &rules);
            let after = table.get(event.address).cloned();
            if let (true, Some(after)) = (is_sender, after) {
                let before = before.expect("the sender begins no session");
                let expected = Session {
                    confirmed: after.confirmed,
                    precision: after.precision,
                    expires: after.expires,
                    ..(*before).clone()
                };
                prop_assert_eq!(&expected, &*after);
            }
        }
    }
}
