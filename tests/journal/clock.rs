//! The machine's clock is set forward and back by days while the server runs: no session ends before
//! its time, and none outlives it.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{login, with_fixed_port};
use crate::harness::{Server, Setup, now, skip, until};

const STORY: &str = "a_clock_that_is_set_and_set_back_ends_nobody_and_keeps_nobody";

/// The library that tells a process another time: <https://github.com/wolfcw/libfaketime>.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|library| library.is_file())
}

/// Sets the clock of the process that reads `file`, such as `+3d`.
fn set(file: &Path, to: &str) {
    let next = file.with_extension("next");
    fs::write(&next, to).unwrap();
    fs::rename(next, file).unwrap();
}

/// A login that happened so many seconds ago.
fn earlier(address: &str, user: &str, seconds: i64) -> Value {
    let at = (now() - SignedDuration::from_secs(seconds)).to_string();
    json!({"kind": "login", "address": address, "user": user, "at": at})
}

fn jumps(server: &Server, outcome: &str) -> u64 {
    server.metrics().sum("rollcall_clock_jumps_total", &[("outcome", outcome)])
}

#[test]
fn a_clock_that_is_set_and_set_back_ends_nobody_and_keeps_nobody() {
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
        // Nobody ends before their time, by the server's word or the firewall's table.
        assert_eq!(server.user_at(&at(1)).as_deref(), Some("alice"), "{far}");
        firewall.poll();
        assert_eq!(firewall.user_at(&at(1)), Some("alice"), "{far}");
        // Whoever logs on meanwhile is believed, with the time that their own clock tells.
        assert_eq!(script.post_events(&earlier(&at(3), "carol", 1)).status, 200);
        assert_eq!(server.user_at(&at(3)).as_deref(), Some("carol"), "{far}");
        // And nobody stays beyond it.
        until("bob's time is over", || server.user_at(&at(2)).is_none().then_some(()));
        until("the firewall has heard of it", || {
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
