//! The disk is slow: queries are not delayed, pushes wait, and no push is rejected.

use std::process::Command;
use std::time::Duration;

use super::login;
use crate::harness::{Running, Server, now, peer, skip, within};

const STORY: &str = "a_slow_disk_delays_only_pushes";

/// The duration of each sync, in microseconds.
const DELAY: u64 = 200_000;

#[test]
fn a_slow_disk_delays_only_pushes() {
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let server = Server::new();
    let mut script = server.client("script");
    assert_eq!(script.post_events(&login("10.64.0.1", "alice")).status, 200);
    let mut command = Command::new(strace);
    command.args(["-f", "-p", &server.id().to_string(), "-e", "trace=fdatasync,fsync", "-e"]);
    let slow = Running::start(command.arg(format!("inject=fdatasync,fsync:delay_exit={DELAY}")));
    let patience = Duration::from_secs(10);
    if within(patience, || slow.output().contains("attached").then_some(())).is_none() {
        return skip(STORY, "tracing of the server is not permitted");
    }
    let milliseconds = |act: &mut dyn FnMut()| {
        let began = now();
        act();
        now().duration_since(began).as_millis()
    };
    let mut pushed = 0_u8;
    let pushing = milliseconds(&mut || {
        for host in 2..=6 {
            let answer = script.post_events(&login(&format!("10.64.0.{host}"), "bob"));
            assert_eq!(answer.status, 200, "a slow disk is not a failure: {answer:?}");
            pushed += 1;
        }
    });
    assert!(pushing >= 5 * i128::from(DELAY) / 1000, "{pushed} pushes within {pushing} ms");
    // Queries while a push waits for the disk. The fastest of several counts, because the machine
    // is shared.
    let querying = (7..12).map(|host| {
        let push = login(&format!("10.64.0.{host}"), "carol");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| script.post_events(&push).status);
            let querying = milliseconds(&mut || assert!(server.user_at("10.64.0.1").is_some()));
            assert_eq!(waiting.join().unwrap(), 200);
            querying
        })
    });
    let querying = querying.min().unwrap();
    assert!(querying < i128::from(DELAY) / 1000, "a query took {querying} ms");
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = server.metrics();
    assert_eq!(metrics.sum("rollcall_journal_write_failures_total", &[]), 0);
    let took = metrics.sum("rollcall_journal_commit_seconds_sum", &[]);
    assert!(took >= 1, "the metric has the delay: {took} s in total");
    drop(slow);
    let server = server.kill_and_restart();
    for host in 1..12 {
        assert!(server.user_at(&format!("10.64.0.{host}")).is_some(), "10.64.0.{host}");
    }
    server.stop();
}
