//! What happens in a real domain while Rollcall is stopped is what firewalls hear when it is started.

use serde_json::Value;

use super::firewall::{DESK, Membership, heard, hears};
use super::following::{Reader, SEALED, change, staff, until};
use super::servers::{both, log_in};
use crate::harness::{Controller, PASSWORD, Server, Setup};

const BOB: &str = "10.70.0.8";
const STRANGER: &str = "10.70.0.9";
const CAROL: &str = "10.70.0.10";

/// A server that reads the domain with an ordinary account, and where Alice, Bob, Carol and somebody
/// whom nobody knows have logged on.
fn with_sessions(controller: &Controller) -> Server {
    let section = controller.section(SEALED);
    let server = Server::start(Setup::new().with_secret("password", PASSWORD).with(&section));
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    for (address, user) in [(DESK, "alice"), (BOB, "bob"), (STRANGER, "nobody"), (CAROL, "carol")] {
        log_in(&mut script, address, &format!("CORP\\{user}"));
    }
    hears(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    for (address, user) in [(BOB, "bob"), (CAROL, "carol")] {
        until(&format!("{user} is known"), || is_known(&server, address).then_some(()));
    }
    until_kept(&server);
    server
}

/// Waits until what the directory said so far is kept: it is before a reading counts as done.
fn until_kept(server: &Server) {
    let done = || {
        let read = [("producer", "corp"), ("mode", "changes")];
        server.metrics().sum("rollcall_directory_read_seconds_count", &read)
    };
    let before = done();
    until("another reading is done", || (done() > before).then_some(()));
}

fn session(server: &Server, address: &str) -> Value {
    server.get(&format!("/api/v1/sessions/{address}")).json()
}

/// Whether the directory has said who is there.
fn is_known(server: &Server, address: &str) -> bool {
    session(server, address)["domain"] == "corp.example.com"
}

fn rename(name: &str, to: &str) -> String {
    let lines = format!(
        "modify\nreplace: sAMAccountName\nsAMAccountName: {to}\n-\n\
         replace: userPrincipalName\nuserPrincipalName: {to}@corp.example.com"
    );
    change(&staff(name), &lines)
}

fn why_anew(server: &Server, why: &str) -> u64 {
    let labels = [("producer", "corp"), ("reason", why)];
    server.metrics().sum("rollcall_directory_full_resyncs_total", &labels)
}

#[test]
fn accounts_deleted_while_stopped_are_removed_at_start() {
    let story = "accounts_deleted_while_stopped_are_removed_at_start";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    assert_eq!(why_anew(&server, "first"), 1);
    let killed = server.kill();
    controller.modify(&change(&staff("Alice"), "delete"));
    // Somebody else has her name now, and is not at her desk.
    let person = "objectClass: user\nsAMAccountName: alice\nuserAccountControl: 544";
    controller.modify(&change(&staff("Alice the Second"), &format!("add\n{person}")));
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    until("whoever was deleted meanwhile is gone", || heard(&mut firewall).is_none().then_some(()));
    assert_eq!(server.user_at(BOB).as_deref(), Some("bob"), "the others stay");
    assert_eq!(server.user_at(STRANGER).as_deref(), Some("nobody"), "and strangers");
    assert_eq!(why_anew(&server, "start"), 1, "it is the same life of the same server");
}

#[test]
fn accounts_renamed_while_stopped_are_renamed_at_start() {
    let story = "accounts_renamed_while_stopped_are_renamed_at_start";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    let since = session(&server, DESK)["since"].clone();
    let killed = server.kill();
    controller.modify(&rename("Alice", "alice.b"));
    // Bob and Carol take each other's names.
    for (name, to) in [("Bob", "somebody"), ("Carol", "bob"), ("Bob", "carol")] {
        controller.modify(&rename(name, to));
    }
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    hears(&mut firewall, "alice.b@corp.example.com", "Domain Users", Membership::In);
    assert_eq!(session(&server, DESK)["since"], since, "it is the same session");
    for (address, now) in [(BOB, "carol"), (CAROL, "bob")] {
        until(&format!("{now} is at {address}"), || {
            server.user_at(address).filter(|who| who == now)
        });
        firewall.poll();
        assert_eq!(firewall.user_at(address), Some(now));
    }
    assert_eq!(server.user_at(STRANGER).as_deref(), Some("nobody"));
    // The next start misses nobody.
    let server = server.restart();
    let mut firewall = server.client("campus-fw");
    until("it is read again", || (why_anew(&server, "start") > 0).then_some(()));
    hears(&mut firewall, "alice.b@corp.example.com", "Domain Users", Membership::In);
    for (address, now) in [(BOB, "carol"), (CAROL, "bob")] {
        assert_eq!(server.user_at(address).as_deref(), Some(now));
    }
}

#[test]
fn accounts_moved_to_another_domain_while_stopped_keep_their_session() {
    let story = "accounts_moved_to_another_domain_while_stopped_keep_their_session";
    let Some(corp) = Controller::small(story) else { return };
    let Some(lab) = Controller::lab(story) else { return };
    let server = both(&corp, &lab);
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    for (address, user) in [(DESK, "alice"), (BOB, "bob")] {
        log_in(&mut script, address, &format!("CORP\\{user}"));
    }
    hears(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    until("bob is known", || is_known(&server, BOB).then_some(()));
    until_kept(&server);
    let guid = corp.guid_of("alice");
    let killed = server.kill();
    // The controllers of her new domain make her anew, with her GUID; Bob is merely deleted.
    corp.modify(&change(&staff("Alice"), "delete"));
    corp.modify(&change(&staff("Bob"), "delete"));
    lab.stop();
    let there = "CN=Alice Moved,OU=Staff,DC=lab,DC=example,DC=com";
    let person = format!(
        "add\nobjectClass: user\nobjectGUID:: {guid}\nsAMAccountName: alice.m\n\
         userAccountControl: 544"
    );
    lab.import_objects(&change(there, &person));
    let server = killed.start_again();
    until("the first domain is read", || {
        let read = [("producer", "corp"), ("mode", "changes")];
        let read = server.metrics().sum("rollcall_directory_read_seconds_count", &read);
        (read > 1).then_some(())
    });
    assert_eq!(server.user_at(DESK).as_deref(), Some("alice"), "she may be in the other");
    assert_eq!(server.user_at(BOB).as_deref(), Some("bob"), "and so may he");
    lab.start_again();
    let mut firewall = server.client("campus-fw");
    hears(&mut firewall, "alice.m@lab.example.com", "Domain Users", Membership::In);
    until("whoever is in neither domain is gone", || server.user_at(BOB).is_none().then_some(()));
}

#[test]
fn a_controller_restored_while_stopped_is_compared_and_reported() {
    let story = "a_controller_restored_while_stopped_is_compared_and_reported";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    controller.modify(&rename("Alice", "alice.b"));
    until("she is renamed", || server.user_at(DESK).filter(|who| who == "alice.b"));
    until_kept(&server);
    let killed = server.kill();
    controller.restore_as_backup();
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    // The backup knows her by her former name.
    hears(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    assert_eq!((why_anew(&server, "restored"), why_anew(&server, "start")), (1, 0));
    server.wait_for_log("directory went back");
}

#[test]
fn a_new_invocation_id_causes_a_full_resync_without_a_gap() {
    let story = "a_new_invocation_id_causes_a_full_resync_without_a_gap";
    let Some(controller) = Controller::small(story) else { return };
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    controller.restore_as_backup();
    until("everything is compared", || {
        assert!(reader.user_at("bob").is_some(), "what is known stays in force");
        (reader.wholes() == 2).then_some(())
    });
    assert!(reader.user_at("bob").is_some());
}
