//! Everything that can go wrong with a firewall in ClearPass mode and on the way to it.

use super::{down, status, up};
use crate::harness::{CLEARPASS_PASSWORD, ClearPass, Fault, Server, Setup, until};

#[test]
fn whatever_goes_wrong_on_the_way_a_firewall_ends_with_the_servers_table() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section = lab.section("timeout = \"1s\"");
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    // No garbage: Juniper does not document what a firewall answers, so any 2xx is its word that is
    // neither an error nor a page for people.
    let faults = [
        (Fault::Status(500), "failed (status 500)"),
        (Fault::Status(503), "asks for patience (status 503)"),
        (Fault::Busy(1), "asks for patience (status 429, 1 s)"),
        (Fault::Half, "cannot be reached"),
        (Fault::Unanswered, "cannot be reached"),
        (Fault::SlowLoris, "cannot be reached"),
        (Fault::ClosedInBody, "cannot be reached"),
    ];
    for (n, (fault, said)) in faults.into_iter().enumerate() {
        lab.server().misbehave([fault]);
        let address = format!("10.1.13.{n}");
        up(&mut firewall, &format!("user{n}"), &address);
        down(&mut firewall, &format!("user{n}"), &address);
        up(&mut firewall, &format!("late{n}"), &address);
        until(&format!("the last one is there after {fault:?}"), || {
            let table = lab.table();
            (table.users.get(&address) == Some(&format!("late{n}"))).then_some(())
        });
        until("it was met", || (lab.server().faults_left() == 0).then_some(()));
        let error = status(&server)["last_error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with(said), "{fault:?}: {error:?}");
        assert_eq!(lab.table().users.len(), n + 1, "and nobody else");
    }
    server.stop();
}
