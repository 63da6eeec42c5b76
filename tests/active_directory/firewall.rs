//! The complete path: changes in a real domain reach a firewall with its next batch.

use serde_json::json;

use super::sync::{SEES_DELETIONS, change, staff, until, with_member};
use crate::harness::{ADMINISTRATOR, Controller, Server, Setup, Srx};

/// The address of Alice in these tests.
pub(super) const DESK: &str = "10.70.0.7";

/// The entry of the firewall for [`DESK`], if there is one: `user@domain` and the roles.
pub(super) fn entry_at_desk(firewall: &mut Srx) -> Option<(String, Vec<String>)> {
    firewall.poll();
    let entry = firewall.table().get(DESK)?;
    Some((format!("{}@{}", entry.user, entry.domain), entry.roles.clone()))
}

/// Waits until the firewall has this user, with or without this group.
#[track_caller]
pub(super) fn until_entry(firewall: &mut Srx, user: &str, group: &str, membership: Membership) {
    until(&format!("the firewall has {user}, {membership:?} {group}"), || {
        let (found, roles) = entry_at_desk(firewall)?;
        let is_in = roles.iter().any(|role| role == group);
        (found == user && is_in == (membership == Membership::In)).then_some(())
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    In,
    NotIn,
}

use Membership::{In, NotIn};

/// The begin of the session at [`DESK`].
fn since(server: &Server) -> serde_json::Value {
    server.get(&format!("/api/v1/sessions/{DESK}")).json()["since"].clone()
}

#[test]
fn directory_changes_reach_a_firewall_with_its_next_batch() {
    let story = "directory_changes_reach_a_firewall_with_its_next_batch";
    let Some(controller) = Controller::start(story) else { return };
    let rules = "when_disabled = \"end\"\nwhen_deleted = \"end\"\n";
    let section = controller.section(&format!("{SEES_DELETIONS}{rules}"));
    let setup = Setup::new().with_secret("password", ADMINISTRATOR).with(&section);
    let server = Server::start(setup);
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    // The login precedes the first read of the directory.
    let login = json!({"kind": "login", "address": DESK, "user": "CORP\\Alice"});
    assert_eq!(script.post_events(&login).status, 200);
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", In);
    until_entry(&mut firewall, "alice@corp.example.com", "group000", NotIn);

    controller.modify(&with_member("group005", "add", &staff("Alice")));
    until_entry(&mut firewall, "alice@corp.example.com", "group000", In);
    controller.modify(&with_member("group005", "delete", &staff("Alice")));
    until_entry(&mut firewall, "alice@corp.example.com", "group000", NotIn);

    let began = since(&server);
    let rename = "modify\nreplace: sAMAccountName\nsAMAccountName: alice.b";
    controller.modify(&change(&staff("Alice"), rename));
    until_entry(&mut firewall, "alice.b@corp.example.com", "Domain Users", In);
    assert_eq!(since(&server), began, "it is the same session");

    controller.stop();
    let bob = json!({"kind": "login", "address": "10.70.0.8", "user": "bob@corp.example.com"});
    assert_eq!(script.post_events(&bob).status, 200);
    firewall.poll();
    let there = firewall.table()["10.70.0.8"].clone();
    assert!(there.roles.contains(&"Domain Users".to_owned()), "known objects stay: {there:?}");
    assert_eq!(firewall.user_at(DESK), Some("alice.b"));
    controller.start_again();

    let disable = "modify\nreplace: userAccountControl\nuserAccountControl: 546";
    controller.modify(&change(&staff("Alice"), disable));
    until("the session of a disabled account has ended", || {
        entry_at_desk(&mut firewall).is_none().then_some(())
    });
    controller.modify(&change(&staff("Bob"), "delete"));
    until("the session of a deleted account has ended", || {
        firewall.poll();
        firewall.user_at("10.70.0.8").is_none().then_some(())
    });
    let explained = server.get(&format!("/api/v1/sessions/{DESK}/explain")).json().to_string();
    assert!(
        explained.contains("corp/corp.example.com") || explained.contains("\"corp\""),
        "{explained}"
    );
    assert!(!server.log().contains(ADMINISTRATOR));
}
