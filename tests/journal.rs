//! End-to-end tests of the journal: acknowledged events survive a kill, a restart and a full disk.

mod clock;
mod copying;
mod crash;
mod failing_disk;
pub(crate) mod full_disk;
mod generator;
mod power_cut;
mod silent_disk;
mod slow_disk;

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Server, Setup, rollcall, until};

/// A login of `user` at an address.
fn login(address: &str, user: &str) -> Value {
    json!({"kind": "login", "address": address, "user": user})
}

/// A configuration whose enforcement listener keeps its port across restarts.
fn with_fixed_port(setup: Setup) -> Setup {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = [\"{}\"]", free.local_addr().unwrap());
    setup.replacing("listen = [\"127.0.0.1:0\"]", &listen)
}

#[test]
fn a_firewall_resumes_with_its_cookie_after_a_kill_and_receives_only_changes() {
    let server = Server::start(with_fixed_port(Setup::new()));
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    assert_eq!(script.post_events(&login("10.60.0.1", "alice")).status, 200);
    assert_eq!(script.post_events(&login("10.60.0.2", "bob")).status, 200);
    firewall.poll();
    let cookie = firewall.cookie().unwrap().to_owned();
    let logout = json!({"kind": "logout", "address": "10.60.0.2", "user": "bob"});
    assert_eq!(script.post_events(&logout).status, 200);
    let server = server.kill_and_restart();
    assert_eq!(server.user_at("10.60.0.1").as_deref(), Some("alice"));
    assert_eq!(server.user_at("10.60.0.2"), None);
    assert_eq!(firewall.page(0).unwrap(), 1, "the logout, and no known entry");
    assert_eq!(firewall.user_at("10.60.0.1"), Some("alice"));
    assert_eq!(firewall.user_at("10.60.0.2"), None);
    let after = firewall.cookie().unwrap();
    assert_eq!(after.split('.').next(), cookie.split('.').next(), "the epoch is the same");
    server.stop();
}

#[test]
fn a_session_that_expired_while_stopped_ends_for_all_consumers() {
    let rules = "[rules]\nlogoff_time = \"1m\"";
    let server = Server::start(with_fixed_port(Setup::new().with(rules)));
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    let at = (crate::harness::now() - jiff::SignedDuration::from_secs(56)).to_string();
    let login =
        json!({"kind": "login", "address": "10.60.1.1", "user": "alice", "at": at.as_str()});
    assert_eq!(script.post_events(&login).status, 200);
    firewall.poll();
    assert_eq!(firewall.user_at("10.60.1.1"), Some("alice"));
    let server = server.kill_and_restart();
    // The session may expire before or after the start; in both cases the firewall receives the
    // end.
    until("the firewall receives the end", || {
        firewall.poll();
        firewall.user_at("10.60.1.1").is_none().then_some(())
    });
    assert_eq!(server.user_at("10.60.1.1"), None);
    server.stop();
}

#[test]
fn a_clean_stop_writes_a_snapshot_and_a_damaged_file_does_not_prevent_a_start() {
    let server = Server::new();
    let mut script = server.client("script");
    assert_eq!(script.post_events(&login("10.60.2.1", "alice")).status, 200);
    let server = server.restart();
    assert_eq!(server.user_at("10.60.2.1").as_deref(), Some("alice"));
    let folder = server.data().join("journal");
    let find = |matches: fn(&str) -> bool| {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files = entries.filter(|path| matches(path.file_name().unwrap().to_str().unwrap()));
        files.next().unwrap_or_else(|| panic!("no such file in {}", folder.display()))
    };
    find(|name| name.starts_with("snapshot-"));
    fs::remove_file(find(|name| name.ends_with(".open.db-wal"))).unwrap();
    fs::write(find(|name| name.ends_with(".open.db")), b"this is no database").unwrap();
    let server = server.kill_and_restart();
    assert_eq!(server.user_at("10.60.2.1").as_deref(), Some("alice"), "the snapshot has her");
    find(|name| name.contains(".damaged-"));
    server.wait_for_log("a journal file is corrupt");
    assert!(server.metrics().sum("rollcall_journal_corrupt_files_total", &[]) > 0);
    assert_eq!(server.client("script").post_events(&login("10.60.2.2", "bob")).status, 200);
    server.stop();
}

#[test]
fn a_journal_in_memory_writes_no_files() {
    let server = Server::start(Setup::new().with("[journal]\nstorage = \"memory\""));
    assert_eq!(server.client("script").post_events(&login("10.60.3.1", "alice")).status, 200);
    assert!(!server.data().join("journal").exists());
    let server = server.restart();
    assert_eq!(server.user_at("10.60.3.1"), None);
    server.stop();
}

#[test]
fn the_command_line_verifies_and_exports_the_journal_of_a_running_server() {
    let limits = "[journal]\nsegment_events = 100";
    let server = Server::start(Setup::new().with(limits));
    let mut script = server.client("script");
    let all: Vec<Value> = (0..250u8).map(|n| login(&format!("10.60.4.{n}"), "alice")).collect();
    for chunk in all.chunks(50) {
        assert_eq!(script.post_events(&json!(chunk)).status, 200);
    }
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let command = |arguments: &[&str]| {
        let all = [&["--config", config.as_str(), "journal"], arguments].concat();
        let output = rollcall(server.setup().folder(), &all);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    let sealed = || {
        let files = fs::read_dir(server.data().join("journal")).unwrap();
        let mut paths = files.map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("events-") && name.ends_with(".db") && !name.contains("open")
        });
        paths.next()
    };
    let segment = until("a segment is sealed", sealed);
    let (code, text, error) = command(&["verify"]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(text.lines().all(|line| line.ends_with("ok")), "{text}");
    let (code, text, _) = command(&["export"]);
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, events.len()), (Some(0), 250));
    let revisions: Vec<u64> = events.iter().map(|one| one["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (1..=250).collect::<Vec<u64>>());
    assert_eq!((&events[7]["address"], &events[7]["user"]), (&json!("10.60.4.7"), &json!("alice")));
    let nothing = command(&["export", "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!((nothing.0, nothing.1.as_str()), (Some(0), ""));
    // A sealed file is modified.
    let mut bytes = fs::read(&segment).unwrap();
    let offset = bytes.windows(9).position(|window| window == b"10.60.4.7").unwrap();
    bytes[offset] = b'2';
    fs::remove_file(&segment).unwrap();
    fs::write(&segment, bytes).unwrap();
    let (code, text, error) = command(&["verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("it differs from its digest in the manifest"), "{text}");
    assert!(error.contains("1 file is damaged"), "{error}");
    server.stop();
}
