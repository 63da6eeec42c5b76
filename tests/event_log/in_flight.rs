//! Events that are read while earlier ones are being committed: after any fault, each is applied
//! once and in order.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::{setup, status_of_dc1};
use crate::harness::{EventLogs, Running, Server, peer, skip, within};
use crate::journal::full_disk::SmallDisk;

#[test]
fn events_rejected_by_the_journal_are_read_again_in_order() {
    let story = "events_rejected_by_the_journal_are_read_again_in_order";
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => return skip(story, &format!("no file system can be mounted: {why}")),
    };
    let Some(logs) = EventLogs::start(story, 1) else { return };
    // Responses of five events, so that another response always follows.
    let server = Server::start(setup(&logs, "limits.batch_size = 5").with(&disk.section()));
    logs.ticket("alice", "10.1.60.1");
    server.wait_for_user("alice", "10.1.60.1");
    let mut written = 1_u64;
    for round in 1..=2 {
        disk.fill();
        let held = json!({
            "do": "hold", "count": 60, "id": 4768, "user": format!("round{round}-"),
            "ip": format!("10.1.6{round}.0"),
        });
        logs.control(&held);
        logs.control(&json!({"do": "release", "rate": 100_000}));
        written += 60;
        let rejected = status_of_dc1(&server, |log| {
            log["state"] == "failing" && log["last_error"]["stage"] == "submit"
        });
        let last_error = &rejected["last_error"];
        assert!(last_error["remedy"].as_str().unwrap().contains("journal"), "{last_error}");
        assert!(rejected["bookmark"].as_u64() < Some(written), "{rejected}");
        // Sessions stay, and no session comes from an event that was not committed.
        server.wait_for_user("alice", "10.1.60.1");
        assert_eq!(server.user_at(&format!("10.1.6{round}.59")), None);
        disk.free_space();
        for index in 0..60 {
            server
                .wait_for_user(&format!("round{round}-{index}"), &format!("10.1.6{round}.{index}"));
        }
        status_of_dc1(&server, |log| log["bookmark"] == written && log["state"] == "following");
    }
    // Each rejection counts its events as dropped; each event is applied once.
    let account = server.metrics().account("dc1");
    assert_eq!((account.applied, account.deduplicated), (written, 0), "{account:?}");
    assert_eq!(
        account.dropped,
        server.metrics().dropped("dc1", "journal_unavailable"),
        "{account:?}"
    );
    let server = server.kill_and_restart();
    for round in 1..=2 {
        server.wait_for_user(&format!("round{round}-59"), &format!("10.1.6{round}.59"));
    }
    status_of_dc1(&server, |log| log["bookmark"] == written);
    server.stop();
}

/// The duration of each sync to disk, in microseconds.
const DELAY: u64 = 200_000;

#[test]
fn a_connection_lost_during_a_commit_neither_loses_nor_repeats_events() {
    let story = "a_connection_lost_during_a_commit_neither_loses_nor_repeats_events";
    let Some(strace) = peer("strace") else { return skip(story, "strace is not installed") };
    let Some(logs) = EventLogs::start(story, 1) else { return };
    let server = Server::start(setup(&logs, ""));
    logs.ticket("alice", "10.1.63.1");
    server.wait_for_user("alice", "10.1.63.1");
    let mut command = Command::new(strace);
    command.args(["-f", "-p", &server.id().to_string(), "-e", "trace=fdatasync,fsync", "-e"]);
    let slow = Running::start(command.arg(format!("inject=fdatasync,fsync:delay_exit={DELAY}")));
    let attached = || slow.output().contains("attached").then_some(());
    if within(Duration::from_secs(10), attached).is_none() {
        return skip(story, "tracing of the server is not permitted");
    }
    for round in 0..5_u64 {
        let [first, second] = [2 * round + 2, 2 * round + 3];
        logs.ticket(&format!("user{first}"), &format!("10.1.63.{first}"));
        // During the commit, the next response is cut off.
        logs.control(&json!({"do": "cut", "after": 100}));
        logs.ticket(&format!("user{second}"), &format!("10.1.63.{second}"));
        for user in [first, second] {
            server.wait_for_user(&format!("user{user}"), &format!("10.1.63.{user}"));
        }
    }
    let following = status_of_dc1(&server, |log| log["bookmark"] == 11);
    assert_eq!((&following["gaps"], &following["bad_records"]), (&json!(0), &json!(0)));
    assert_eq!(following["last_event"]["record_id"], 11);
    let account = server.account("dc1", 11);
    assert_eq!((account.received, account.applied), (11, 11), "{account:?}");
    drop(slow);
    server.stop();
}
