//! A copy of the journal that is made while the server runs: another server on it answers the same;
//! and other rules are tried on what is there.

use std::fs;

use serde_json::{Value, json};

use super::login;
use crate::harness::{Server, Setup, now, rollcall, until};

fn command(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = server.setup().folder();
    let output = rollcall(folder, &[&["--config", "rollcall.toml"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
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
    let target = copy.path().join("copy");
    let (code, text, error) = command(&server, &["backup", target.to_str().unwrap()]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(text.contains("251 events up to 251"), "{text}");
    assert_eq!(script.post_events(&login("10.61.0.7", "carol")).status, 200);
    let section = format!("[journal]\nsegment_events = 100\nfolder = \"{}\"", target.display());
    let restored = Server::start(Setup::new().with(&section));
    assert_eq!(restored.who("10.61.0.7").as_deref(), Some("bob"), "as it was then");
    assert_eq!(restored.who("10.61.0.249").as_deref(), Some("alice"));
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
    assert_eq!(restored.who("10.61.0.8").as_deref(), Some("dave"), "and it goes on");
    let again = command(&server, &["backup", target.to_str().unwrap()]);
    assert_eq!(again.0, Some(1));
    assert!(again.2.contains("a folder of its own"), "{}", again.2);
    restored.stop();
    server.stop();
}

#[test]
fn other_rules_are_tried_on_the_journal_before_they_are_put_in_force() {
    let server = Server::start(Setup::new().with("[journal]\nsnapshot_interval = \"1s\""));
    let mut script = server.client("script");
    let both = json!([login("10.61.1.1", "alice"), login("10.61.1.2", "svc-scan")]);
    assert_eq!(script.post_events(&both).status, 200);
    let folder = server.data().join("journal");
    until("the table is written down", || {
        let files = fs::read_dir(&folder).unwrap();
        let mut names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.any(|name| name == format!("snapshot-{:020}.db", 2)).then_some(())
    });
    let (code, text, _) = command(&server, &["replay"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("0 addresses differ"), "{text}");
    let current = fs::read_to_string(server.setup().folder().join("rollcall.toml")).unwrap();
    let other = server.setup().folder().join("other.toml");
    fs::write(&other, current + "\n[rules.ignore]\nusers = [\"svc-*\"]\n").unwrap();
    let arguments = ["replay", "--config", "other.toml", "--hours", "1"];
    let output = rollcall(server.setup().folder(), &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("10.61.1.2        svc-scan -> nobody\n"), "{text}");
    assert!(text.contains("refused: user_ignored"), "{text}");
    assert!(text.contains("1 address differs"), "{text}");
    assert_eq!(server.who("10.61.1.2").as_deref(), Some("svc-scan"), "nothing is changed");
    server.stop();
}
