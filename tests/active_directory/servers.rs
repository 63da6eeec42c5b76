//! Several controllers of one domain, and several domains.

use nix::sys::signal::Signal;
use rollcall_producers::active_directory::DirectoryState;
use serde_json::json;

use super::configured;
use super::firewall::{DESK, Membership, until_entry};
use super::sync::{Reader, SEALED, change, staff, until, with_member};
use crate::harness::{Controller, PASSWORD, Server, Setup, Srx};

#[test]
fn reading_fails_over_to_the_next_controller_and_back() {
    let story = "reading_fails_over_to_the_next_controller_and_back";
    let Some(first) = Controller::small(story) else { return };
    let second = first.second();
    let more = "account = \"rollcall@corp.example.com\"\ntransport = \"ldap\"\nbind = \"ntlm\"\n\
                poll_interval = \"1s\"\n[active_directory.limits]\nfailback_interval = \"1s\"\n";
    let both = format!("[\"{}\", \"{}\"]", first.address(), second.address());
    let section = first.section(more).replace(&format!("[\"{}\"]", Controller::HOST), &both);
    let reader = Reader::of(&section, configured(&first, more));
    let joined = |name: &str| reader.groups(name).contains(&"everyone-here".to_owned());
    let until_current = |controller: &Controller, full_reads: usize| {
        until(&format!("{} is read", controller.address()), || {
            assert!(
                reader.full_reads() == 0 || reader.user_at("bob").is_some(),
                "known objects stay"
            );
            let status = reader.status();
            let is_server = status.server.as_deref() == Some(controller.address());
            (is_server
                && status.state == DirectoryState::Current
                && reader.full_reads() >= full_reads)
                .then_some(())
        });
    };
    until_current(&first, 1);
    first.stop();
    until_current(&second, 2);
    second.modify(&with_member("everyone-here", "add", &staff("Alice")));
    until("a change at the second is applied", || joined("alice").then_some(()));
    first.start_again();
    until_current(&first, 3);
    // The first was stopped when she joined and has no replica of the change: the full resync uses
    // its state.
    until("the state of the first is effective", || (!joined("alice")).then_some(()));
    first.modify(&with_member("everyone-here", "add", &staff("Bob")));
    until("a change at the first is applied", || joined("bob").then_some(()));
}

/// The `[[active_directory]]` sections of two domains, and a server that reads both.
pub(super) fn both(corp: &Controller, lab: &Controller) -> Server {
    let lab_reader = SEALED.replace("corp.example.com", "lab.example.com");
    let sections = corp.section(SEALED) + &lab.section(&lab_reader);
    Server::start(Setup::new().with_secret("password", PASSWORD).with(&sections))
}

pub(super) fn log_in(script: &mut Srx, address: &str, user: &str) {
    let login = json!({"kind": "login", "address": address, "user": user});
    assert_eq!(script.post_events(&login).status, 200);
}

#[test]
fn equal_names_in_two_domains_are_two_users() {
    let Some(corp) = Controller::small("equal_names_in_two_domains_are_two_users") else {
        return;
    };
    let Some(lab) = Controller::lab("equal_names_in_two_domains_are_two_users") else { return };
    let server = both(&corp, &lab);
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    log_in(&mut script, DESK, "CORP\\alice");
    log_in(&mut script, "10.70.0.8", "alice@LAB.example.com");
    log_in(&mut script, "10.70.0.9", "bob");
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    let mut at = |address: &str| {
        firewall.poll();
        let entry = firewall.table().get(address)?.clone();
        Some((format!("{}@{}", entry.user, entry.domain), entry.roles))
    };
    until("the other user is resolved", || {
        let (user, roles) = at("10.70.0.8")?;
        (user == "alice@lab.example.com" && roles.contains(&"Domain Users".to_owned()))
            .then_some(())
    });
    let group = "CN=everyone-here,OU=Groups,DC=lab,DC=example,DC=com";
    let member = "CN=Alice,OU=Staff,DC=lab,DC=example,DC=com";
    lab.modify(&change(group, &format!("modify\nadd: member\nmember: {member}")));
    let role = "everyone-here".to_owned();
    until("alice has the role", || at("10.70.0.8")?.1.contains(&role).then_some(()));
    assert!(!at(DESK).unwrap().1.contains(&role), "the other user does not have it");

    // Without a default domain, an unqualified name matches neither domain.
    assert!(!at("10.70.0.9").unwrap().1.contains(&"Domain Users".to_owned()));
    server.rewrite(|text| {
        text.replace(
            "domain = \"lab.example.com\"\n",
            "domain = \"lab.example.com\"\ndefault_domain = true\n",
        )
    });
    server.signal(Signal::SIGHUP);
    until("an unqualified name matches the new default domain", || {
        let (user, roles) = at("10.70.0.9")?;
        (user == "bob@lab.example.com" && roles.contains(&"Domain Users".to_owned())).then_some(())
    });
    assert_eq!(at(DESK).unwrap().0, "alice@corp.example.com");
}
