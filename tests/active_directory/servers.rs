//! Several controllers of one domain, and several domains.

use nix::sys::signal::Signal;
use rollcall_producers::active_directory::DirectoryState;
use serde_json::json;

use super::configured;
use super::firewall::{DESK, Membership, hears};
use super::following::{Reader, SEALED, change, staff, until, with_member};
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
    let answers = |controller: &Controller, wholes: usize| {
        until(&format!("{} is read", controller.address()), || {
            assert!(reader.wholes() == 0 || reader.user_at("bob").is_some(), "what is known stays");
            let status = reader.status();
            let is_it = status.server.as_deref() == Some(controller.address());
            (is_it && status.state == DirectoryState::Current && reader.wholes() >= wholes)
                .then_some(())
        });
    };
    answers(&first, 1);
    first.stop();
    answers(&second, 2);
    second.modify(&with_member("everyone-here", "add", &staff("Alice")));
    until("what the second says is heard", || joined("alice").then_some(()));
    first.start_again();
    answers(&first, 3);
    // The first was away when she joined, and nobody has told it: all of it was compared.
    until("what the first says is in force", || (!joined("alice")).then_some(()));
    first.modify(&with_member("everyone-here", "add", &staff("Bob")));
    until("what changes at the first is heard", || joined("bob").then_some(()));
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
    hears(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    let mut at = |address: &str| {
        firewall.poll();
        let heard = firewall.table().get(address)?.clone();
        Some((format!("{}@{}", heard.user, heard.domain), heard.roles))
    };
    until("the other is known, too", || {
        let (user, roles) = at("10.70.0.8")?;
        (user == "alice@lab.example.com" && roles.contains(&"Domain Users".to_owned()))
            .then_some(())
    });
    let group = "CN=everyone-here,OU=Groups,DC=lab,DC=example,DC=com";
    let member = "CN=Alice,OU=Staff,DC=lab,DC=example,DC=com";
    lab.modify(&change(group, &format!("modify\nadd: member\nmember: {member}")));
    let role = "everyone-here".to_owned();
    until("she has the role", || at("10.70.0.8")?.1.contains(&role).then_some(()));
    assert!(!at(DESK).unwrap().1.contains(&role), "the other has not");

    // Without a default domain a bare name means nobody of the two.
    assert!(!at("10.70.0.9").unwrap().1.contains(&"Domain Users".to_owned()));
    server.rewrite(|text| {
        text.replace(
            "domain = \"lab.example.com\"\n",
            "domain = \"lab.example.com\"\ndefault_domain = true\n",
        )
    });
    server.signal(Signal::SIGHUP);
    until("a bare name means the domain that became the default one", || {
        let (user, roles) = at("10.70.0.9")?;
        (user == "bob@lab.example.com" && roles.contains(&"Domain Users".to_owned())).then_some(())
    });
    assert_eq!(at(DESK).unwrap().0, "alice@corp.example.com");
}
