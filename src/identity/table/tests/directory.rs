//! What a directory says alters who is there and their groups, and nothing else.

use super::*;
use crate::Membership;
use crate::test_support::groups;

fn session(table: &Table) -> &Session {
    table.get(address("10.0.0.7")).unwrap()
}

/// A login that was entered into a directory: the user and the device are in these groups.
fn known(text: &str, user: &str, device: &str, after: i64) -> Event {
    let some = |names: &str| (!names.is_empty()).then(|| groups(names));
    let membership = Membership { user: some(user), device: some(device) };
    Event { membership, ..event_at(Login, text, after) }
}

/// The same user goes by another name.
fn renamed(from: &str, to: &str, names: &str, after: i64) -> Event {
    Event { renamed_from: Some(Box::new(principal(from))), ..membership_event(to, names, after) }
}

#[test]
fn nothing_but_name_and_groups_is_altered() {
    let (table, first) = fold(&rules(), &[event_at(Login, "alice@corp<pc1>", 10)]);
    let before = session(&table).clone();
    let (table, decision) = fold(
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
fn a_renamed_user_is_found_by_the_very_name_they_had() {
    let rename = || renamed("alice@corp", "alicia@corp", "sales", 30);
    let (table, _) = fold(&rules(), &[event_at(Login, "alice@corp", 10), rename()]);
    assert_eq!(present(&table), "alicia@corp");
    // In the meantime somebody else had taken the address over, whose name only looks alike.
    for other in ["alice@lab", "alice"] {
        let story = [event_at(Login, "carol", 10), event_at(Login, other, 20), rename()];
        let (table, decision) = fold(&rules(), &story);
        assert_eq!(decision.verdict, Verdict::Refused(Refusal::OtherUser));
        assert_eq!(present(&table), other);
    }
    // A bare name gets its domain once the directory knows it.
    let (table, _) = fold(
        &rules(),
        &[event_at(Login, "alice", 10), renamed("alice", "alice@corp.example.com", "sales", 20)],
    );
    assert_eq!(present(&table), "alice@corp.example.com");
}

#[test]
fn groups_are_those_of_the_user_and_the_device_that_are_there() {
    let of = |events: &[Event]| session(&fold(&rules(), events).0).membership.clone();
    let both = |user: &str, device: &str| known("", user, device, 0).membership;
    let alice = || known("alice@corp<pc1>", "sales", "laptops", 10);
    assert_eq!(of(&[alice()]), both("sales", "laptops"));
    // Another source does not know the groups, and takes none away.
    assert_eq!(of(&[alice(), event_at(Refresh, "alice@corp", 20)]), both("sales", "laptops"));
    // The same user on another computer is not in the groups of the first one.
    assert_eq!(of(&[alice(), event_at(Login, "alice@corp<pc2>", 20)]), both("sales", ""));
    // Another user brings their own groups, and none of the device that is not named.
    assert_eq!(of(&[alice(), known("bob@corp", "staff", "", 20)]), both("staff", ""));
    // A device that was there alone stays with its user, and so do its groups.
    let device = Event { kind: DeviceSeen, ..known("<pc1>", "", "laptops", 5) };
    assert_eq!(of(&[device.clone(), known("bob@corp", "staff", "", 20)]), both("staff", "laptops"));
    assert_eq!(of(&[device.clone(), known("bob@corp<pc2>", "staff", "", 20)]), both("staff", ""));
    // The name in a DHCP lease is a device's, and its groups are not those of a user.
    let lease = Event { kind: DeviceSeen, ..known("alice@corp<pc1>", "sales", "laptops", 5) };
    assert_eq!(of(&[lease]), both("", "laptops"));
    // What was learnt of the computer before does not stick to the one that is there now.
    let late = Event {
        membership: both("sales", "laptops"),
        ..membership_event("alice@corp<pc1>", "", 30)
    };
    assert_eq!(of(&[known("alice@corp<pc2>", "", "servers", 10), late]), both("sales", "servers"));
}

#[test]
fn a_service_account_is_no_computer_although_it_is_called_like_one() {
    let (table, _) = fold(&rules(), &[known("gmsa1$@corp", "services", "", 10)]);
    assert_eq!(present(&table), "gmsa1$@corp");
    let (table, _) = fold(&rules(), &[event_at(Login, "gmsa1$@corp", 10)]);
    assert_eq!(present(&table), "<gmsa1>");
}

#[test]
fn a_handover_keeps_groups_and_the_domain_that_was_left() {
    let story = [
        known("alice@corp<pc1>", "sales", "laptops", 10),
        renamed("alice@corp", "alice@lab", "staff", 20),
    ];
    let (table, _) = fold(&rules(), &story);
    let snapshot = table.snapshot(Revision(2));
    let was = snapshot.sessions[0].previous.as_ref().unwrap();
    assert_eq!(was.session.domain(), Some(&name("corp")));
    let restored = Table::restore(snapshot);
    assert_eq!(session(&restored), session(&table));
    assert_eq!(session(&restored).membership.user, Some(groups("staff")));
}
