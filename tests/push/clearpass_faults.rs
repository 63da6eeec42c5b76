//! Faults of a firewall in ClearPass mode and of the connection to it.

use super::{down, idle, status, up};
use crate::harness::{CLEARPASS_PASSWORD, ClearPass, Fault, Server, Setup, until};

#[test]
fn after_any_connection_fault_a_firewall_converges_to_the_servers_table() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section = lab.section("timeout = \"1s\"");
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    let faults = [
        (Fault::Status(500), "failed (status 500)"),
        (Fault::Status(503), "is busy (status 503)"),
        (Fault::Busy(1), "is busy (status 429, 1 s)"),
        (Fault::Garbage, "sent an invalid response: the response is not from the Web API"),
        (Fault::Status(202), "sent an invalid response: the status is 202"),
        (Fault::Half, "cannot be reached"),
        (Fault::Unanswered, "cannot be reached"),
        (Fault::SlowLoris, "cannot be reached"),
        (Fault::ClosedInBody, "cannot be reached"),
    ];
    for (n, (fault, expected)) in faults.into_iter().enumerate() {
        lab.server().inject_faults([fault]);
        let address = format!("10.1.13.{n}");
        up(&mut firewall, &format!("user{n}"), &address);
        down(&mut firewall, &format!("user{n}"), &address);
        up(&mut firewall, &format!("late{n}"), &address);
        until(&format!("the last user is there after {fault:?}"), || {
            let table = lab.table();
            (table.users.get(&address) == Some(&format!("late{n}"))).then_some(())
        });
        until("the fault occurred", || (lab.server().faults_left() == 0).then_some(()));
        let error = status(&server)["last_error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with(expected), "{fault:?}: {error:?}");
        assert_eq!(lab.table().users.len(), n + 1, "no other user is there");
    }
    server.stop();
}

#[test]
fn a_firewall_with_an_untrusted_certificate_receives_nothing() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let (right, other) = (ClearPass::start(setup.authority()), Setup::bare());
    let wrong = ClearPass::start(other.authority());
    let server = Server::start(setup.with(&wrong.section("")));
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    let error =
        until("there is an error", || status(&server)["last_error"].as_str().map(str::to_owned));
    assert!(error.contains("certificate"), "{error}");
    assert!(wrong.table().posts.is_empty(), "no password was sent");
    // After a reload with the URL of the right firewall, that one receives everything.
    let (old, new) = (wrong.server().url(), right.server().url());
    server.rewrite(|text| text.replace(&old, &new));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    until("the right firewall has the user", || (right.table().users.len() == 1).then_some(()));
    server.stop();
}

#[test]
fn a_firewall_that_comes_back_after_a_day_gets_only_the_last_state_of_each_address() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let server = Server::start(setup.with(&lab.section("")));
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "first", "10.1.13.1");
    up(&mut firewall, "stays", "10.1.13.3");
    until("both users are there", || (lab.table().users.len() == 2).then_some(()));
    idle(&server);
    lab.server().down();
    let posts = lab.table().posts.len();
    for n in 0..30 {
        // With more than two users, the address would count as shared.
        up(&mut firewall, &format!("user{}", n % 2), "10.1.13.1");
        up(&mut firewall, &format!("guest{}", n % 2), "10.1.13.2");
        down(&mut firewall, &format!("guest{}", n % 2), "10.1.13.2");
    }
    lab.server().up();
    until("the firewall holds the last state", || {
        let users = lab.table().users.clone();
        let holds = |address: &str| users.get(address).map(String::as_str);
        let is_last = holds("10.1.13.1") == Some("user1") && holds("10.1.13.2").is_none();
        is_last.then_some(())
    });
    idle(&server);
    let sent: usize = lab.table().posts[posts..].iter().sum();
    assert_eq!(sent, 2, "one entry for each address that changed");
    assert_eq!(lab.table().users["10.1.13.3"], "stays");
    server.stop();
}
