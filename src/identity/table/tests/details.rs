//! Tests of session details besides the user: groups, device, posture.

use super::*;
use crate::Posture::{self, Healthy, Quarantine};

/// The event, with this posture.
fn found(posture: Posture, event: Event) -> Event {
    Event { posture: Some(posture), ..event }
}

/// The posture of the session.
fn posture(table: &Table) -> Option<Posture> {
    table.get(address("10.0.0.7")).unwrap().posture
}

#[test]
fn details_are_reported_once_and_group_order_is_ignored() {
    let roles = |names: &[&str]| Some(names.iter().map(|text| name(text)).collect());
    let login = |roles, after| Event { roles, ..event_at(Login, "alice@corp", after) };
    let healthy = found(Healthy, event_at(Refresh, "alice@corp", 40));
    let (table, decision) = apply_all(
        &rules(),
        &[login(roles(&["a", "b"]), 10), login(roles(&["b", "a"]), 20), login(None, 30), healthy],
    );
    assert_eq!(decision.verdict, Verdict::Applied(Rule::Detail));
    let session = table.get(address("10.0.0.7")).unwrap();
    assert_eq!(session.revision, Revision(4), "only the posture was news");
    assert_eq!(session.roles, roles(&["a", "b"]));
    assert_eq!(session.since, seconds(10));
    assert_eq!(session.cause.rule, Rule::FirstUser);
}

#[test]
fn a_quarantined_device_stays_quarantined_after_a_login() {
    let quarantined = found(Quarantine, event_at(DeviceSeen, "<pc1>", 10));
    for login in ["alice@corp", "alice@corp<PC1>"] {
        let (table, _) = apply_all(&rules(), &[quarantined.clone(), event_at(Login, login, 20)]);
        assert_eq!(posture(&table), Some(Quarantine), "{login}");
    }
    let elsewhere = event_at(Login, "alice@corp<pc2>", 20);
    let (table, _) = apply_all(&rules(), &[quarantined.clone(), elsewhere]);
    assert_eq!(posture(&table), None, "that was another device");
    let better = found(Healthy, event_at(Login, "alice@corp", 20));
    let (table, _) = apply_all(&rules(), &[quarantined, better]);
    assert_eq!(posture(&table), Some(Healthy), "the latest report");
}

#[test]
fn the_posture_of_one_device_does_not_apply_to_another() {
    let healthy = found(Healthy, event_at(Login, "alice@corp<pc1>", 10));
    for (device, expected) in [("<pc1>", Some(Healthy)), ("<pc2>", None)] {
        let (table, _) = apply_all(&rules(), &[healthy.clone(), event_at(DeviceSeen, device, 20)]);
        assert_eq!(posture(&table), expected, "{device}");
    }
    // The source of the posture named no device, so it applies to the device that is named now.
    let unnamed = found(Healthy, event_at(Login, "alice@corp", 10));
    let (table, _) = apply_all(&rules(), &[unnamed, event_at(DeviceSeen, "<pc1>", 20)]);
    assert_eq!(posture(&table), Some(Healthy));
}
