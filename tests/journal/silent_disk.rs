//! The disk hangs: queries are answered, pushes are rejected with `Retry-After`, the cause is
//! reported, and writes continue automatically when the disk responds.

use std::process::Command;
use std::time::Duration;

use jiff::SignedDuration;

use super::login;
use crate::harness::{Running, Server, Vpn, frame_3164, peer, skip, until, within};

const STORY: &str = "queries_continue_while_the_disk_hangs_and_the_cause_is_reported";

/// The maximum duration of a hanging sync, in microseconds.
const HANG_US: u64 = 300_000_000;

#[test]
fn queries_continue_while_the_disk_hangs_and_the_cause_is_reported() {
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let server = Server::new();
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    assert_eq!(script.post_events(&login("10.65.0.1", "alice")).status, 200);
    firewall.poll();
    let mut command = Command::new(strace);
    command.args(["-f", "-p", &server.id().to_string(), "-e", "trace=fdatasync,fsync", "-e"]);
    let hangs =
        Running::start(command.arg(format!("inject=fdatasync,fsync:delay_enter={HANG_US}")));
    let patience = Duration::from_secs(10);
    if within(patience, || hangs.output().contains("attached").then_some(())).is_none() {
        return skip(STORY, "tracing of the server is not permitted");
    }
    let answer = script.post_events(&login("10.65.0.2", "bob"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert!(answer.text.contains("commit not confirmed"), "it says why: {answer:?}");
    // An event that may not be on the disk is not visible; committed events are.
    assert_eq!(server.user_at("10.65.0.1").as_deref(), Some("alice"));
    assert_eq!(server.user_at("10.65.0.2"), None);
    firewall.poll();
    assert_eq!(firewall.table().len(), 1);
    until("the server is not ready", || (server.get("/readyz").status == 503).then_some(()));
    let ready = server.get("/readyz");
    assert!(ready.text.contains("the disk has not answered for 5 s"), "{ready:?}");
    assert_eq!(server.metrics().sum("rollcall_journal_unavailable", &[]), 1);
    server.wait_for_log("the journal's disk does not respond");
    // Syslog input stays in the kernel.
    let late = Vpn { user: "late", address: "10.65.0.3" }.up();
    server.datagram(frame_3164(&late, SignedDuration::ZERO));
    drop(hangs);
    let recovered = within(Duration::from_secs(10), || {
        let answer = script.post_events(&login("10.65.0.4", "carol"));
        (answer.status == 200).then_some(())
    });
    assert!(recovered.is_some(), "no recovery within 10 s\n{}", server.log());
    until("the server is ready", || (server.get("/readyz").status == 200).then_some(()));
    assert_eq!(server.metrics().sum("rollcall_journal_unavailable", &[]), 0);
    server.wait_for_user("late", "10.65.0.3");
    assert_eq!(server.user_at("10.65.0.2").as_deref(), Some("bob"), "the event is on the disk");
    let server = server.kill_and_restart();
    for (host, user) in [(1, "alice"), (2, "bob"), (3, "late"), (4, "carol")] {
        assert_eq!(server.user_at(&format!("10.65.0.{host}")).as_deref(), Some(user));
    }
    server.stop();
}
