//! Tests that directory updates change users' names and groups and nothing else.

use super::*;
use crate::Membership;
use crate::test_support::groups;

fn session(table: &Table) -> &Session {
    table.get(address("10.0.0.7")).unwrap()
}

/// A login that was enriched: the user and the device are in these groups.
fn known(text: &str, user: &str, device: &str, after: i64) -> Event {
    let some = |names: &str| (!names.is_empty()).then(|| groups(names));
    let membership = Membership { user: some(user), device: some(device) };
    Event { membership, ..event_at(Login, text, after) }
}

/// A rename of the user.
fn renamed(from: &str, to: &str, names: &str, after: i64) -> Event {
    Event { renamed_from: Some(Box::new(principal(from))), ..membership_event(to, names, after) }
}

#[test]
fn only_name_and_groups_change() {
    let (table, first) = apply_all(&rules(), &[event_at(Login, "alice@corp<pc1>", 10)]);
    let before = session(&table).clone();
    let (table, decision) = apply_all(
        &rules(),
        &[
            event_at(Login, "alice@corp<pc1>", 10),
            renamed("alice@corp", "alicia@corp", "sales", 20),
        ],
    );
    assert_eq!(first.verdict, Verdict::Applied(Rule::FirstUser));
    let change = decision.change.unwrap();
    assert_eq!((change.effect, change.cause.rule), (Effect::Altered, Rule::Directory));
    let mut expected = before;
    expected.principal.as_mut().unwrap().user = name("alicia");
    expected.membership.user = Some(groups("sales"));
    expected.revision = Revision(2);
    assert_eq!(*session(&table), expected);
}

#[test]
fn a_rename_applies_to_the_exact_former_name() {
    let rename = || renamed("alice@corp", "alicia@corp", "sales", 30);
    let (table, _) = apply_all(&rules(), &[event_at(Login, "alice@corp", 10), rename()]);
    assert_eq!(present(&table), "alicia@corp");
    // Meanwhile another user had taken the address over, whose name only looks similar.
    for other in ["alice@lab", "alice"] {
        let case = [event_at(Login, "carol", 10), event_at(Login, other, 20), rename()];
        let (table, decision) = apply_all(&rules(), &case);
        assert_eq!(decision.verdict, Verdict::Refused(Refusal::OtherUser));
        assert_eq!(present(&table), other);
    }
    // A bare name gets its domain once the directory knows it.
    let (table, _) = apply_all(
        &rules(),
        &[event_at(Login, "alice", 10), renamed("alice", "alice@corp.example.com", "sales", 20)],
    );
    assert_eq!(present(&table), "alice@corp.example.com");
}

#[test]
fn groups_belong_to_the_current_user_and_device() {
    let of = |events: &[Event]| session(&apply_all(&rules(), events).0).membership.clone();
    let both = |user: &str, device: &str| known("", user, device, 0).membership;
    let alice = || known("alice@corp<pc1>", "sales", "laptops", 10);
    assert_eq!(of(&[alice()]), both("sales", "laptops"));
    // Another source does not know the groups, and removes none.
    assert_eq!(of(&[alice(), event_at(Refresh, "alice@corp", 20)]), both("sales", "laptops"));
    // The same user on another computer is not in the groups of the first one.
    assert_eq!(of(&[alice(), event_at(Login, "alice@corp<pc2>", 20)]), both("sales", ""));
    // Another user brings their own groups, and none of the device, which is not named.
    assert_eq!(of(&[alice(), known("bob@corp", "staff", "", 20)]), both("staff", ""));
    // A device without a user stays when its user logs in, and so do its groups.
    let device = Event { kind: DeviceSeen, ..known("<pc1>", "", "laptops", 5) };
    assert_eq!(of(&[device.clone(), known("bob@corp", "staff", "", 20)]), both("staff", "laptops"));
    assert_eq!(of(&[device.clone(), known("bob@corp<pc2>", "staff", "", 20)]), both("staff", ""));
    // The name in a DHCP lease is a device's, and its groups are not a user's.
    let lease = Event { kind: DeviceSeen, ..known("alice@corp<pc1>", "sales", "laptops", 5) };
    assert_eq!(of(&[lease]), both("", "laptops"));
    // A late update about the previous computer does not affect the current one.
    let late = Event {
        membership: both("sales", "laptops"),
        ..membership_event("alice@corp<pc1>", "", 30)
    };
    assert_eq!(of(&[known("alice@corp<pc2>", "", "servers", 10), late]), both("sales", "servers"));
}

#[test]
fn a_service_account_is_not_a_computer() {
    let (table, _) = apply_all(&rules(), &[known("gmsa1$@corp", "services", "", 10)]);
    assert_eq!(present(&table), "gmsa1$@corp");
    let (table, _) = apply_all(&rules(), &[event_at(Login, "gmsa1$@corp", 10)]);
    assert_eq!(present(&table), "<gmsa1>");
}

#[test]
fn a_snapshot_keeps_groups_and_the_former_domain() {
    let case = [
        known("alice@corp<pc1>", "sales", "laptops", 10),
        renamed("alice@corp", "alice@lab", "staff", 20),
    ];
    let (table, _) = apply_all(&rules(), &case);
    let snapshot = table.snapshot(Revision(2));
    let was = snapshot.sessions[0].previous.as_ref().unwrap();
    assert_eq!(was.session.domain(), Some(&name("corp")));
    let restored = Table::restore(snapshot);
    assert_eq!(session(&restored), session(&table));
    assert_eq!(session(&restored).membership.user, Some(groups("staff")));
}
