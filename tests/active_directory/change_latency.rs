//! The latency of changes in a real domain, and the cost of polls without changes.

use serde_json::json;

use super::firewall::{DESK, Membership, until_entry};
use super::sync::{SEALED, staff, until, with_member};
use crate::harness::{Controller, Metrics, PASSWORD, Server, Setup, now};

/// A server that reads the domain with this configuration.
fn server(controller: &Controller, more: &str) -> Server {
    let section = controller.section(more);
    Server::start(Setup::new().with_secret("password", PASSWORD).with(&section))
}

const READS: &str = "rollcall_directory_read_seconds_count";
const SEARCHES: &str = "rollcall_directory_searches_total";

fn of(metrics: &Metrics, name: &str, mode: &str) -> u64 {
    metrics.sum(name, &[("producer", "corp"), ("mode", mode)])
}

#[test]
fn a_change_notification_is_applied_before_the_poll_interval_ends() {
    let story = "a_change_notification_is_applied_before_the_poll_interval_ends";
    let Some(controller) = Controller::start(story) else { return };
    let server = server(&controller, &SEALED.replace("1s", "10m"));
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    let login = json!({"kind": "login", "address": DESK, "user": "CORP\\Alice"});
    assert_eq!(script.post_events(&login).status, 200);
    until_entry(&mut firewall, "alice@corp.example.com", "Domain Users", Membership::In);
    until("the controller notifies", || {
        (server.metrics().sum("rollcall_directory_change_notification", &[]) == 1).then_some(())
    });
    let mut took = Vec::new();
    for _ in 0..5 {
        for (what, there) in [("add", Membership::In), ("delete", Membership::NotIn)] {
            controller.modify(&with_member("group005", what, &staff("Alice")));
            let changed = now();
            until_entry(&mut firewall, "alice@corp.example.com", "group000", there);
            took.push(now().duration_since(changed).as_millis());
        }
    }
    took.sort_unstable();
    println!("from the change to the firewall: {took:?} ms, median {} ms", took[took.len() / 2]);
    assert_eq!(of(&server.metrics(), READS, "full"), 1, "only the changes were read");
}

#[test]
fn a_poll_without_changes_costs_one_search() {
    let Some(controller) = Controller::start("a_poll_without_changes_costs_one_search") else {
        return;
    };
    let server = server(&controller, &format!("{SEALED}notify = false\n"));
    let counts = || {
        let metrics = server.metrics();
        (of(&metrics, READS, "changes"), of(&metrics, SEARCHES, "changes"))
    };
    until("the domain is read", || (counts().0 > 0).then_some(()));
    // The controller may change an object itself: then the next five intervals are measured.
    let mut from = counts();
    until("five intervals cost five searches", || {
        let (reads, searches) = counts();
        if reads < from.0 + 5 {
            return None;
        }
        let cost = (searches - from.1, reads - from.0);
        from = (reads, searches);
        (cost.0 == cost.1).then_some(())
    });
    let whole = server.metrics();
    let searches = of(&whole, SEARCHES, "full");
    // 12,500 objects in pages of 500, the members of a large group, and the searches of each start.
    assert!((25..60).contains(&searches), "a first read took {searches} searches");
}
