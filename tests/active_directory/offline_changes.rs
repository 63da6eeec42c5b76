//! Changes in a real domain while Rollcall is stopped reach firewalls after its start.

use serde_json::Value;

use super::firewall::{DESK, Membership, entry_at_desk, until_entry};
use super::servers::{both, log_in};
use super::sync::{Reader, SEALED, change, staff, until};
use crate::harness::{Controller, PASSWORD, Server, Setup};

const BOB: &str = "10.70.0.8";
const UNKNOWN: &str = "10.70.0.9";
const CAROL: &str = "10.70.0.10";

/// A server that reads the domain with an ordinary account, and has sessions of Alice, Bob, Carol
/// and a user who is not in the domain.
fn with_sessions(controller: &Controller) -> Server {
    let section = controller.section(SEALED);
    let server = Server::start(Setup::new().with_secret("password", PASSWORD).with(&section));
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    for (address, user) in [(DESK, "alice"), (BOB, "bob"), (UNKNOWN, "nobody"), (CAROL, "carol")] {
        log_in(&mut script, address, &format!("CORP\\{user}"));
    }
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    for (address, user) in [(BOB, "bob"), (CAROL, "carol")] {
        until(&format!("{user} is known"), || is_known(&server, address).then_some(()));
    }
    until_stored(&server);
    server
}

/// Waits until the state of the directory is stored, which happens before a read is counted.
fn until_stored(server: &Server) {
    let reads = || {
        let read = [("producer", "corp"), ("mode", "changes")];
        server.metrics().sum("rollcall_directory_read_seconds_count", &read)
    };
    let before = reads();
    until("another read is complete", || (reads() > before).then_some(()));
}

fn session(server: &Server, address: &str) -> Value {
    server.get(&format!("/api/v1/sessions/{address}")).json()
}

/// Whether the user of the session is resolved in the directory.
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

fn full_resyncs(server: &Server, reason: &str) -> u64 {
    let labels = [("producer", "corp"), ("reason", reason)];
    server.metrics().sum("rollcall_directory_full_resyncs_total", &labels)
}

#[test]
fn accounts_deleted_while_stopped_are_removed_at_start() {
    let story = "accounts_deleted_while_stopped_are_removed_at_start";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    assert_eq!(full_resyncs(&server, "first"), 1);
    let killed = server.kill();
    controller.modify(&change(&staff("Alice"), "delete"));
    // Another account has her name now, and is not at her address.
    let person = "objectClass: user\nsAMAccountName: alice\nuserAccountControl: 544";
    controller.modify(&change(&staff("Alice the Second"), &format!("add\n{person}")));
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    until("the session of the deleted account has ended", || {
        entry_at_desk(&mut firewall).is_none().then_some(())
    });
    assert_eq!(server.user_at(BOB).as_deref(), Some("bob"), "other sessions stay");
    assert_eq!(server.user_at(UNKNOWN).as_deref(), Some("nobody"), "so do those of unknown users");
    assert_eq!(full_resyncs(&server, "start"), 1, "it is the same invocation of the same server");
}

#[test]
fn accounts_renamed_while_stopped_are_renamed_at_start() {
    let story = "accounts_renamed_while_stopped_are_renamed_at_start";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    let since = session(&server, DESK)["since"].clone();
    let killed = server.kill();
    controller.modify(&rename("Alice", "alice.b"));
    // Bob and Carol exchange their names.
    for (name, to) in [("Bob", "somebody"), ("Carol", "bob"), ("Bob", "carol")] {
        controller.modify(&rename(name, to));
    }
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    until_entry(&mut firewall, "alice.b@corp.example.com", "Domain Users", Membership::In);
    assert_eq!(session(&server, DESK)["since"], since, "it is the same session");
    for (address, now) in [(BOB, "carol"), (CAROL, "bob")] {
        until(&format!("{now} is at {address}"), || {
            server.user_at(address).filter(|user| user == now)
        });
        firewall.poll();
        assert_eq!(firewall.user_at(address), Some(now));
    }
    assert_eq!(server.user_at(UNKNOWN).as_deref(), Some("nobody"));
    // The next start changes no session.
    let server = server.restart();
    let mut firewall = server.client("campus-fw");
    until("it is read again", || (full_resyncs(&server, "start") > 0).then_some(()));
    until_entry(&mut firewall, "alice.b@corp.example.com", "Domain Users", Membership::In);
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
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    until("bob is known", || is_known(&server, BOB).then_some(()));
    until_stored(&server);
    let guid = corp.guid_of("alice");
    let killed = server.kill();
    // The controllers of the new domain create Alice again, with her GUID. Bob is only deleted.
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
    assert_eq!(server.user_at(DESK).as_deref(), Some("alice"), "she may be in the other domain");
    assert_eq!(server.user_at(BOB).as_deref(), Some("bob"), "so may he");
    lab.start_again();
    let mut firewall = server.client("campus-fw");
    until_entry(&mut firewall, "alice.m@lab.example.com", "Domain Users", Membership::In);
    until("the session of an account in neither domain has ended", || {
        server.user_at(BOB).is_none().then_some(())
    });
}

#[test]
fn a_controller_restored_while_stopped_is_compared_and_reported() {
    let story = "a_controller_restored_while_stopped_is_compared_and_reported";
    let Some(controller) = Controller::small(story) else { return };
    let server = with_sessions(&controller);
    controller.modify(&rename("Alice", "alice.b"));
    until("alice is renamed", || server.user_at(DESK).filter(|user| user == "alice.b"));
    until_stored(&server);
    let killed = server.kill();
    controller.restore_as_backup();
    let server = killed.start_again();
    let mut firewall = server.client("campus-fw");
    // The backup has her former name.
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    assert_eq!((full_resyncs(&server, "restored"), full_resyncs(&server, "start")), (1, 0));
    server.wait_for_log("directory went back");
}

#[test]
fn a_new_invocation_id_causes_a_full_resync_without_a_gap() {
    let story = "a_new_invocation_id_causes_a_full_resync_without_a_gap";
    let Some(controller) = Controller::small(story) else { return };
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    controller.restore_as_backup();
    until("the full resync is complete", || {
        assert!(reader.user_at("bob").is_some(), "known objects stay");
        (reader.full_reads() == 2).then_some(())
    });
    assert!(reader.user_at("bob").is_some());
}
