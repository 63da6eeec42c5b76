//! A backup of the journal of a running server: another server on it gives the same answers.
//! Changed rules are simulated on the journal.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::login;
use crate::harness::{Server, Setup, now, rollcall, until};

fn command(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = server.setup().folder();
    let output = rollcall(folder, &[&["--config", "rollcall.toml"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
}

/// Unpacks a backup as described in docs/journal.md.
fn unpack(file: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(file).arg("-C").arg(folder).status();
    assert!(tar.unwrap().success());
}

#[test]
fn a_server_on_a_backup_made_during_writes_gives_the_same_answers() {
    let server = Server::start(Setup::new().with("[journal]\nsegment_events = 100"));
    let mut script = server.client("script");
    let all: Vec<Value> = (0..250u8).map(|n| login(&format!("10.61.0.{n}"), "alice")).collect();
    for chunk in all.chunks(50) {
        assert_eq!(script.post_events(&json!(chunk)).status, 200);
    }
    assert_eq!(script.post_events(&login("10.61.0.7", "bob")).status, 200);
    let time = now();
    until("the clock has advanced", || (now() > time).then_some(()));
    let time = now().to_string();
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("copy.tar");
    let target = copy.path().join("journal");
    let (code, text, error) = command(&server, &["backup", file.to_str().unwrap()]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("251 events up to 251"), "{text}");
    assert_eq!(script.post_events(&login("10.61.0.7", "carol")).status, 200);
    unpack(&file, &target);
    let section = format!("[journal]\nsegment_events = 100\nfolder = \"{}\"", target.display());
    let restored = Server::start(Setup::new().with(&section));
    assert_eq!(restored.user_at("10.61.0.7").as_deref(), Some("bob"), "the state at the backup");
    assert_eq!(restored.user_at("10.61.0.249").as_deref(), Some("alice"));
    let history = |server: &Server| {
        let path = format!("/api/v1/history/addresses/10.61.0.7?at={time}");
        let answer = server.get(&path).json();
        (answer["session"].clone(), answer["visible_from"].clone())
    };
    assert_eq!(history(&restored), history(&server));
    assert_eq!(history(&restored).0["user"], "bob");
    let mut firewall = restored.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at("10.61.0.7"), Some("bob"));
    assert_eq!(restored.client("script").post_events(&login("10.61.0.8", "dave")).status, 200);
    assert_eq!(restored.user_at("10.61.0.8").as_deref(), Some("dave"), "it accepts events");
    let before = fs::read(&file).unwrap();
    let again = command(&server, &["backup", file.to_str().unwrap()]);
    assert_eq!(again.0, Some(1));
    assert!(again.2.contains("a backup does not overwrite a file"), "{}", again.2);
    assert!(fs::read(&file).unwrap() == before, "the file is unchanged");
    restored.stop();
    server.stop();
}

#[test]
fn a_backup_under_load_is_complete_up_to_a_commit() {
    let server = Server::start(Setup::new().with("[journal]\nsegment_events = 100"));
    let copies = tempfile::tempdir().unwrap();
    let file = copies.path().join("copy.tar");
    let mut script = server.client("script");
    let address = |n: usize| format!("10.62.{}.{}", n / 250, 1 + n % 250);
    let mut last = 0;
    let mut push = |more: &dyn Fn(usize) -> bool| {
        while more(last) {
            last += 1;
            let event = login(&address(last), &format!("user{last}"));
            assert_eq!(script.post_events(&event).status, 200);
        }
        last
    };
    let before = push(&|last| last < 150);
    let after = std::thread::scope(|scope| {
        let backup = scope.spawn(|| command(&server, &["backup", file.to_str().unwrap()]));
        let after = push(&|last| !backup.is_finished() || last < before + 20);
        let (code, text, error) = backup.join().unwrap();
        assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
        after
    });
    let left = fs::read_dir(copies.path()).unwrap().count();
    assert_eq!(left, 1, "no other file is left");
    let target = copies.path().join("journal");
    unpack(&file, &target);
    let section = format!("[journal]\nfolder = \"{}\"", target.display());
    let restored = Server::start(Setup::new().with(&section));
    let is_restored = |n: usize| restored.user_at(&address(n)) == Some(format!("user{n}"));
    let many = (1..=after).take_while(|n| is_restored(*n)).count();
    assert!(many >= before, "acknowledged events are in the backup: {many} of {before}");
    assert!(!(many + 1..=after).any(is_restored), "it ends with a commit: {many} of {after}");
    let check = command(&restored, &["journal", "verify"]);
    assert_eq!(check.0, Some(0), "{}", check.1);
    restored.stop();
    server.stop();
}

#[test]
fn changed_rules_are_simulated_on_the_journal_before_they_are_applied() {
    let server = Server::start(Setup::new().with("[journal]\ncheckpoint_interval = \"1s\""));
    let mut script = server.client("script");
    let both = json!([login("10.61.1.1", "alice"), login("10.61.1.2", "svc-scan")]);
    assert_eq!(script.post_events(&both).status, 200);
    let folder = server.data().join("journal");
    until("a snapshot is written", || {
        let files = fs::read_dir(&folder).unwrap();
        let mut names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.any(|name| name == format!("snapshot-{:020}.db", 2)).then_some(())
    });
    let (code, text, _) = command(&server, &["rules", "simulate"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("0 addresses differ"), "{text}");
    let current = fs::read_to_string(server.setup().folder().join("rollcall.toml")).unwrap();
    let other = server.setup().folder().join("other.toml");
    fs::write(&other, current + "\n[rules.ignore]\nusers = [\"svc-*\"]\n").unwrap();
    let arguments = ["rules", "simulate", "--config", "other.toml", "--hours", "1"];
    let output = rollcall(server.setup().folder(), &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("10.61.1.2        svc-scan -> no session\n"), "{text}");
    assert!(text.contains("refused: user_ignored"), "{text}");
    assert!(text.contains("1 address differs"), "{text}");
    assert_eq!(
        server.user_at("10.61.1.2").as_deref(),
        Some("svc-scan"),
        "the session is unchanged"
    );
    server.stop();
}
