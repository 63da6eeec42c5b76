//! The system clock is set forward and back by days while the server runs: no session ends before
//! its logoff time, and none lasts longer.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{login, with_fixed_port};
use crate::harness::{Server, Setup, now, skip, until};

const STORY: &str = "clock_changes_neither_end_nor_extend_sessions";

/// The library that changes the time of a process: <https://github.com/wolfcw/libfaketime>.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|library| library.is_file())
}

/// Sets the clock of the process that reads `file`, for example to `+3d`.
fn set(file: &Path, to: &str) {
    let next = file.with_extension("next");
    fs::write(&next, to).unwrap();
    fs::rename(next, file).unwrap();
}

/// A login that is `seconds` old.
fn earlier(address: &str, user: &str, seconds: i64) -> Value {
    let at = (now() - SignedDuration::from_secs(seconds)).to_string();
    json!({"kind": "login", "address": address, "user": user, "at": at})
}

fn jumps(server: &Server, outcome: &str) -> u64 {
    server.metrics().sum("rollcall_clock_jumps_total", &[("outcome", outcome)])
}

#[test]
fn clock_changes_neither_end_nor_extend_sessions() {
    let Some(library) = faketime() else { return skip(STORY, "libfaketime is not installed") };
    let setup = with_fixed_port(Setup::new()).with("[rules]\nlogoff_time = \"1m\"");
    let file = setup.folder().join("clock");
    set(&file, "+0");
    let setup = setup
        .with_variable("LD_PRELOAD", library.display().to_string())
        .with_variable("FAKETIME_TIMESTAMP_FILE", file.display().to_string())
        .with_variable("FAKETIME_NO_CACHE", "1")
        .with_variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let server = Server::start(setup);
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    for (round, far) in ["+3d", "-3d", "+4000d"].into_iter().enumerate() {
        let at = |host: u8| format!("10.65.{round}.{host}");
        assert_eq!(script.post_events(&login(&at(1), "alice")).status, 200);
        assert_eq!(script.post_events(&earlier(&at(2), "bob", 56)).status, 200);
        set(&file, far);
        until("the jump is noticed", || (jumps(&server, "suspected") > round as u64).then_some(()));
        // No session ends early, neither in the server nor in the firewall.
        assert_eq!(server.user_at(&at(1)).as_deref(), Some("alice"), "{far}");
        firewall.poll();
        assert_eq!(firewall.user_at(&at(1)), Some("alice"), "{far}");
        // A login meanwhile is accepted with the time of its sender.
        assert_eq!(script.post_events(&earlier(&at(3), "carol", 1)).status, 200);
        assert_eq!(server.user_at(&at(3)).as_deref(), Some("carol"), "{far}");
        // No session lasts longer than its logoff time.
        until("the session of bob has expired", || server.user_at(&at(2)).is_none().then_some(()));
        until("the firewall has received the end", || {
            firewall.poll();
            firewall.user_at(&at(2)).is_none().then_some(())
        });
        assert_eq!(server.user_at(&at(1)).as_deref(), Some("alice"), "{far}");
        set(&file, "+0");
        until("the clock is right", || (jumps(&server, "reverted") > round as u64).then_some(()));
        assert_eq!(server.user_at(&at(1)).as_deref(), Some("alice"), "after {far}");
    }
    server.wait_for_log("the clock of the machine jumped");
    let server = server.kill_and_restart();
    assert_eq!(server.user_at("10.65.2.3").as_deref(), Some("carol"));
    server.stop();
}
