//! A copy of the journal that is made while the server runs: another server on it answers the same;
//! and other rules are tried on what is there.

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

/// As docs/journal.md says.
fn unpack(file: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(file).arg("-C").arg(folder).status();
    assert!(tar.unwrap().success());
}

#[test]
fn a_server_on_a_copy_that_was_made_while_the_first_one_wrote_answers_the_same() {
    let server = Server::start(Setup::new().with("[journal]\nsegment_events = 100"));
    let mut script = server.client("script");
    let all: Vec<Value> = (0..250u8).map(|n| login(&format!("10.61.0.{n}"), "alice")).collect();
    for some in all.chunks(50) {
        assert_eq!(script.post_events(&json!(some)).status, 200);
    }
    assert_eq!(script.post_events(&login("10.61.0.7", "bob")).status, 200);
    let moment = now();
    until("the clock has gone on", || (now() > moment).then_some(()));
    let moment = now().to_string();
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
    assert_eq!(restored.user_at("10.61.0.7").as_deref(), Some("bob"), "as it was then");
    assert_eq!(restored.user_at("10.61.0.249").as_deref(), Some("alice"));
    let told = |server: &Server| {
        let path = format!("/api/v1/history/addresses/10.61.0.7?at={moment}");
        let told = server.get(&path).json();
        (told["session"].clone(), told["learnt"].clone())
    };
    assert_eq!(told(&restored), told(&server));
    assert_eq!(told(&restored).0["user"], "bob");
    let mut firewall = restored.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at("10.61.0.7"), Some("bob"));
    assert_eq!(restored.client("script").post_events(&login("10.61.0.8", "dave")).status, 200);
    assert_eq!(restored.user_at("10.61.0.8").as_deref(), Some("dave"), "and it goes on");
    let before = fs::read(&file).unwrap();
    let again = command(&server, &["backup", file.to_str().unwrap()]);
    assert_eq!(again.0, Some(1));
    assert!(again.2.contains("a backup does not overwrite a file"), "{}", again.2);
    assert!(fs::read(&file).unwrap() == before, "it is the same as before");
    restored.stop();
    server.stop();
}

#[test]
fn a_copy_that_is_made_under_load_is_whole_up_to_a_commit() {
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
        let copying = scope.spawn(|| command(&server, &["backup", file.to_str().unwrap()]));
        let after = push(&|last| !copying.is_finished() || last < before + 20);
        let (code, text, error) = copying.join().unwrap();
        assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
        after
    });
    let left = fs::read_dir(copies.path()).unwrap().count();
    assert_eq!(left, 1, "nothing is left over beside it");
    let target = copies.path().join("journal");
    unpack(&file, &target);
    let section = format!("[journal]\nfolder = \"{}\"", target.display());
    let restored = Server::start(Setup::new().with(&section));
    let is_there = |n: usize| restored.user_at(&address(n)) == Some(format!("user{n}"));
    let many = (1..=after).take_while(|n| is_there(*n)).count();
    assert!(many >= before, "what was acknowledged before is in it: {many} of {before}");
    assert!(!(many + 1..=after).any(is_there), "it ends with a commit: {many} of {after}");
    let check = command(&restored, &["journal", "verify"]);
    assert_eq!(check.0, Some(0), "{}", check.1);
    restored.stop();
    server.stop();
}

#[test]
fn other_rules_are_tried_on_the_journal_before_they_are_put_in_force() {
    let server = Server::start(Setup::new().with("[journal]\ncheckpoint_interval = \"1s\""));
    let mut script = server.client("script");
    let both = json!([login("10.61.1.1", "alice"), login("10.61.1.2", "svc-scan")]);
    assert_eq!(script.post_events(&both).status, 200);
    let folder = server.data().join("journal");
    until("the table is written down", || {
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
    assert_eq!(server.user_at("10.61.1.2").as_deref(), Some("svc-scan"), "nothing is changed");
    server.stop();
}
