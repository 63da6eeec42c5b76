//! The whole way: what changes in a real domain is what the firewall hears with its next batch.

use serde_json::json;

use super::following::{SEES_DELETIONS, change, staff, until, with_member};
use crate::harness::{ADMINISTRATOR, Controller, Server, Setup, Srx};

/// Where everybody of this story is.
pub(super) const DESK: &str = "10.70.0.7";

/// What a firewall has at the desk: `user@domain`, when there is one, and the roles.
pub(super) fn heard(firewall: &mut Srx) -> Option<(String, Vec<String>)> {
    firewall.poll();
    let heard = firewall.table().get(DESK)?;
    Some((format!("{}@{}", heard.user, heard.domain), heard.roles.clone()))
}

/// Waits until the firewall has this user, in this group or not.
#[track_caller]
pub(super) fn hears(firewall: &mut Srx, user: &str, group: &str, there: Membership) {
    until(&format!("the firewall hears {user}, {there:?} {group}"), || {
        let (who, roles) = heard(firewall)?;
        let is_in = roles.iter().any(|role| role == group);
        (who == user && is_in == (there == Membership::In)).then_some(())
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    In,
    NotIn,
}

use Membership::{In, NotIn};

/// When the session at the desk began.
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
    // She was there before the directory was read.
    let login = json!({"kind": "login", "address": DESK, "user": "CORP\\Alice"});
    assert_eq!(script.post_events(&login).status, 200);
    hears(&mut firewall, "alice@corp.example.com", "Domain Users", In);
    hears(&mut firewall, "alice@corp.example.com", "group000", NotIn);

    controller.modify(&with_member("group005", "add", &staff("Alice")));
    hears(&mut firewall, "alice@corp.example.com", "group000", In);
    controller.modify(&with_member("group005", "delete", &staff("Alice")));
    hears(&mut firewall, "alice@corp.example.com", "group000", NotIn);

    let began = since(&server);
    let rename = "modify\nreplace: sAMAccountName\nsAMAccountName: alice.b";
    controller.modify(&change(&staff("Alice"), rename));
    hears(&mut firewall, "alice.b@corp.example.com", "Domain Users", In);
    assert_eq!(since(&server), began, "it is the same session");

    controller.stop();
    let bob = json!({"kind": "login", "address": "10.70.0.8", "user": "bob@corp.example.com"});
    assert_eq!(script.post_events(&bob).status, 200);
    firewall.poll();
    let there = firewall.table()["10.70.0.8"].clone();
    assert!(there.roles.contains(&"Domain Users".to_owned()), "what is known stays: {there:?}");
    assert_eq!(firewall.user_at(DESK), Some("alice.b"));
    controller.start_again();

    let disable = "modify\nreplace: userAccountControl\nuserAccountControl: 546";
    controller.modify(&change(&staff("Alice"), disable));
    until("whoever is switched off is gone", || heard(&mut firewall).is_none().then_some(()));
    controller.modify(&change(&staff("Bob"), "delete"));
    until("whoever is deleted is gone", || {
        firewall.poll();
        firewall.user_at("10.70.0.8").is_none().then_some(())
    });
    let told = server.get(&format!("/api/v1/sessions/{DESK}/explain")).json().to_string();
    assert!(told.contains("corp/corp.example.com") || told.contains("\"corp\""), "{told}");
    assert!(!server.log().contains(ADMINISTRATOR));
}
