//! Tests of session expiry, also in a restored table.

use super::*;

#[test]
fn the_logoff_time_is_that_of_the_producer_and_never_moves_back() {
    let mut rules = rules();
    rules.logoff_time_by_producer.insert(Producer::Ptim, Duration::from_secs(600));
    let push =
        |kind, after| Event { origin: origin(Producer::Ptim), ..event_at(kind, "alice", after) };
    let (table, _) = apply_all(&rules, &[push(VpnUp, 10)]);
    assert_eq!(table.get(address("10.0.0.7")).unwrap().expires, seconds(610));
    let (table, _) = apply_all(&rules, &[event_at(VpnUp, "alice", 10), push(Rekey, 20)]);
    assert_eq!(table.get(address("10.0.0.7")).unwrap().expires, seconds(10 + DAY));
}

#[test]
fn an_expired_session_can_begin_again_but_not_be_extended() {
    let rules = Rules { logoff_time: Duration::from_secs(60), ..rules() };
    let alice = event_at(VpnUp, "alice", 10);
    let (_, decision) = apply_all(&rules, &[alice.clone(), event_at(Rekey, "alice", 70)]);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::NoSession));
    let (_, decision) = apply_all(&rules, &[alice.clone(), event_at(VpnUp, "alice", 70)]);
    assert_eq!(decision.change.unwrap().effect, Effect::Began);
    let (_, decision) = apply_all(&rules, &[received(alice, 70)]);
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::TooOld), "it would begin ended");
}

#[test]
fn expiry_is_proposed_when_due_and_again_when_lost() {
    let rules = Rules { logoff_time: Duration::from_secs(100), ..rules() };
    let cache = origin(Producer::Cache);
    let (mut table, _) =
        apply_all(&rules, &[event_at(VpnUp, "alice", 10), event_at(Rekey, "alice", 60)]);
    assert_eq!(table.next_due(), Some(seconds(110)));
    assert_eq!(table.due_expiries(seconds(110), &cache, 10), [], "it was extended meanwhile");
    assert_eq!(table.next_due(), Some(seconds(160)));
    assert_eq!(table.due_expiries(seconds(160), &cache, 0), []);
    let lost = table.due_expiries(seconds(160), &cache, 10);
    assert_eq!(lost, [expiry_event(160)].map(|e| Event { origin: cache.clone(), ..e }));
    assert_eq!(table.due_expiries(seconds(161), &cache, 10), [], "not with every tick");
    let again = table.due_expiries(seconds(160) + RETRY_INTERVAL, &cache, 10);
    let decision = table.apply(Revision(9), &again[0], &rules);
    assert_eq!(decision.verdict, Verdict::Applied(Rule::LogoffTime));
    assert_eq!(table.due_expiries(seconds(9999), &cache, 10), []);
    assert_eq!((table.next_due(), table.len()), (None, 0));
}

#[test]
fn a_shorter_session_expires_after_a_longer_one() {
    let mut rules = rules();
    rules.logoff_time_by_producer.insert(Producer::Ptim, Duration::from_secs(600));
    let short = Event { origin: origin(Producer::Ptim), ..event_at(VpnUp, "bob", 30) };
    let (mut table, _) =
        apply_all(&rules, &[event_at(VpnUp, "alice", 10), event_at(Logout, "alice", 20), short]);
    assert_eq!(table.next_due(), Some(seconds(630)));
    assert_eq!(table.due_expiries(seconds(630), &origin(Producer::Cache), 10).len(), 1);
}

#[test]
fn a_restored_table_expires_what_it_holds() {
    let (table, _) = apply_all(&rules(), &[event_at(VpnUp, "alice", 10)]);
    let mut restored = Table::restore(table.snapshot(Revision(1)));
    assert_eq!(present(&restored), "alice");
    assert_eq!(restored.due_expiries(seconds(10 + DAY), &origin(Producer::Cache), 10).len(), 1);
}

#[test]
fn a_restored_table_rejects_a_late_login() {
    let (table, _) =
        apply_all(&rules(), &[event_at(VpnUp, "alice", 10), event_at(Logout, "alice", 300)]);
    let mut restored = Table::restore(table.snapshot(Revision(2)));
    let late = received(event_at(Login, "alice", 10), 310);
    let decision = restored.apply(Revision(3), &late, &rules());
    assert_eq!(decision.verdict, Verdict::Refused(Refusal::Late));
    let again = received(event_at(Login, "alice", 301), 310);
    assert!(restored.apply(Revision(4), &again, &rules()).change.is_some(), "news is let in");
}
