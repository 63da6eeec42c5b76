//! End-to-end tests of history: which user had an address at which time, across rekeys, restarts,
//! kills and sealed segments, and how unknown periods are reported.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Server, Setup, now, rollcall, until};

/// Segments that are small enough for a test to fill.
const SMALL: &str = "[journal]\nsegment_events = 100";

fn event(kind: &str, address: &str, user: &str) -> Value {
    json!({"kind": kind, "address": address, "user": user})
}

/// Pushes events, and returns a time after them and before all later events.
fn push(server: &Server, events: &Value) -> String {
    assert_eq!(server.client("script").post_events(events).status, 200);
    let at = now();
    until("the clock has advanced", || (now() > at).then_some(()));
    let millis = jiff::Timestamp::from_millisecond(at.as_millisecond() + 1).unwrap();
    until("that millisecond has passed", || (now() > millis).then_some(()));
    millis.to_string()
}

/// Fills the open segment until it is sealed.
fn seal_segment(server: &Server, round: u8) {
    let all: Vec<Value> =
        (0..100u8).map(|n| event("login", &format!("10.99.{round}.{n}"), "crowd")).collect();
    let before = sealed(server);
    assert_eq!(server.client("script").post_events(&json!(all)).status, 200);
    until("a segment is sealed", || (sealed(server) > before).then_some(()));
}

fn sealed(server: &Server) -> usize {
    let files = fs::read_dir(server.data().join("journal")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_sealed = |name: &String| {
        name.starts_with("events-") && name.ends_with(".db") && !name.contains(".open.")
    };
    names.filter(is_sealed).count()
}

/// The history of an address at a time.
fn at(server: &Server, address: &str, at: &str) -> Value {
    let answer = server.get(&format!("/api/v1/history/addresses/{address}?at={at}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn user_at(answer: &Value) -> Option<&str> {
    answer["session"]["user"].as_str()
}

#[test]
fn history_is_exact_across_a_sealed_segment_a_restart_and_a_kill() {
    let server = Server::start(Setup::new().with(SMALL));
    let address = "10.70.0.7";
    let connected = push(&server, &event("vpn_up", address, "alice@corp"));
    seal_segment(&server, 1);
    let rekeyed = push(&server, &event("rekey", address, "alice@corp"));
    let server = server.restart();
    let others = push(&server, &event("vpn_up", address, "bob@corp"));
    let refused = push(&server, &event("logout", address, "alice@corp"));
    let server = server.kill_and_restart();
    let left = push(&server, &event("vpn_down", address, "bob@corp"));
    seal_segment(&server, 2);
    for _ in 0..2 {
        for (time, user) in [
            (&connected, Some("alice")),
            (&rekeyed, Some("alice")),
            (&others, Some("bob")),
            (&refused, Some("bob")),
            (&left, None),
        ] {
            let answer = at(&server, address, time);
            assert_eq!(user_at(&answer), user, "{time}: {answer}");
            assert_eq!(answer["sources"]["notes"], json!([]), "{answer}");
            let segments = answer["sources"]["segments"].as_array().unwrap().len();
            assert!((1..=3).contains(&segments), "{answer}");
        }
        let answer = at(&server, address, &refused);
        let competed = answer["competed"].as_array().unwrap();
        assert!(competed.iter().any(|one| one["reason"] == "other_user"), "{answer}");
        let path = format!("/api/v1/history/addresses/{address}?from={connected}");
        let answer = server.get(&path).json();
        let intervals = answer["intervals"].as_array().unwrap();
        let users: Vec<_> = intervals.iter().map(|stay| &stay["session"]["user"]).collect();
        assert_eq!(users, ["alice", "bob"]);
        assert_eq!(
            intervals[0]["visible_until"], intervals[1]["visible_from"],
            "the intervals are adjacent"
        );
        assert_eq!(intervals[1]["ended_by"]["kind"], "vpn_down");
        let answer =
            server.get(&format!("/api/v1/history/users/CORP%5CBob?from={connected}")).json();
        assert_eq!(answer["intervals"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!(answer["intervals"][0]["session"]["address"], address);
        let path = format!("/api/v1/history/diff?from={rekeyed}&to={refused}&cidr=10.70.0.0/24");
        let answer = server.get(&path).json();
        assert_eq!(answer["differences"].as_array().unwrap().len(), 1, "{answer}");
        let found = &answer["differences"][0];
        assert_eq!(
            (&found["what"], &found["before"]["user"], &found["after"]["user"]),
            (&json!("replaced"), &json!("alice"), &json!("bob"))
        );
    }
    assert!(server.metrics().sum("rollcall_history_queries_total", &[]) >= 16);
    server.stop();
}

#[test]
fn an_unknown_period_is_never_reported_as_no_session() {
    let server = Server::start(Setup::new().with(SMALL));
    push(&server, &event("login", "10.70.1.1", "alice"));
    let query = |query: &str| server.get(&format!("/api/v1/history/{query}"));
    let before = query("addresses/10.70.1.1?at=2020-01-01T00:00:00Z");
    assert_eq!(before.status, 404);
    assert!(before.text.contains("the journal reaches back to"), "{before:?}");
    let later = query("addresses/10.70.1.1?at=2100-01-01T00:00:00Z");
    assert_eq!(later.status, 400);
    assert!(later.text.contains("is in the future"), "{later:?}");
    for wrong in [
        "addresses/10.70.1.1?at=yesterday",
        "addresses/nobody?at=2026-01-01T00:00:00Z",
        "addresses/10.70.1.1?at=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z",
        "addresses/10.70.1.1?from=2026-01-01T00:00:00Z&limit=0",
        "users/alice?from=2026-01-01T00:00:00Z&after=x",
        "diff",
        "diff?from=2026-01-01T00:00:00Z&cidr=x",
    ] {
        let answer = query(wrong);
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
    assert_eq!(query("addresses/10.70.1.1?at=2020-01-01T00:00:00Z").json()["status"], 404);
    server.stop();
    let server = Server::start(Setup::new().with("[journal]\nstorage = \"memory\""));
    let answer = server.get("/api/v1/history/addresses/10.70.1.1?at=2026-11-01T00:00:00Z");
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains("the journal is in memory"), "{answer:?}");
    server.stop();
}

#[test]
fn a_damaged_segment_is_reported_and_other_segments_are_used() {
    let server = Server::start(Setup::new().with(SMALL));
    let early = push(&server, &event("login", "10.70.2.1", "alice"));
    seal_segment(&server, 1);
    let middle = push(&server, &event("logout", "10.70.2.1", "alice"));
    seal_segment(&server, 2);
    let late = push(&server, &event("login", "10.70.2.1", "bob"));
    let folder = server.data().join("journal");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("events-") && name.ends_with(".db") && !name.contains(".open.")
        })
        .collect();
    files.sort();
    let server = server.kill();
    fs::remove_file(&files[1]).unwrap();
    let server = server.start_again();
    assert_eq!(user_at(&at(&server, "10.70.2.1", &early)), Some("alice"));
    assert_eq!(user_at(&at(&server, "10.70.2.1", &late)), Some("bob"));
    let path = format!("/api/v1/history/addresses/10.70.2.1?from={early}");
    let answer = server.get(&path).json();
    assert!(answer["sources"]["notes"].to_string().contains("is missing"), "{answer}");
    let answer = server.get(&format!("/api/v1/history/addresses/10.70.2.1?at={middle}"));
    assert_eq!(answer.status, 404, "unknown, not \"no session\": {answer:?}");
    assert!(answer.text.contains("is missing, between"), "{answer:?}");
    server.stop();
}

#[test]
fn the_command_line_queries_history_and_each_query_is_audited() {
    let server = Server::new();
    let began = push(&server, &event("login", "10.70.3.1", "alice@corp"));
    let left = push(&server, &event("logout", "10.70.3.1", "alice@corp"));
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let url = server.rest().to_owned();
    let token = server.data().join("admin.token").display().to_string();
    let command = |arguments: &[&str]| {
        let reach = ["--config", &config, "--url", &url, "--token-file", &token];
        let output = rollcall(server.setup().folder(), &[&reach, arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    let (code, text, error) = command(&["lookup", "10.70.3.1", "--at", &began]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert!(text.starts_with(&format!("at {began}: alice@corp had 10.70.3.1")), "{text}");
    assert!(text.contains("(logout)"), "{text}");
    let (code, text, _) = command(&["lookup", "10.70.3.1", "--at", &left]);
    assert_eq!((code, text), (Some(1), format!("at {left}: 10.70.3.1 had no session\n")));
    let (code, _, error) = command(&["lookup", "10.70.3.1", "--at", "2020-01-01 00:00"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("the journal reaches back to"), "{error}");
    let (_, text, _) = command(&["explain", "10.70.3.1", "--at", &left]);
    assert!(text.contains("no session at 10.70.3.1; the last was alice@corp"), "{text}");
    let (code, text, _) = command(&["history", "address", "10.70.3.1", "--from", &began]);
    assert_eq!((code, text.lines().count()), (Some(0), 1), "{text}");
    let (code, text, _) = command(&["history", "user", "alice"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("10.70.3.1 "), "{text}");
    let (code, text, _) = command(&["history", "diff", "--from", &began, "--to", &left]);
    assert_eq!(code, Some(0));
    assert!(text.contains("left") && text.contains("alice@corp -> no session"), "{text}");
    let records = fs::read_dir(server.data().join("journal")).unwrap();
    let is_record =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("history-access-");
    let mut records: Vec<PathBuf> =
        records.map(|entry| entry.unwrap().path()).filter(is_record).collect();
    records.sort();
    // Two files, if midnight has passed meanwhile.
    let text: Vec<String> = records.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let (record, text) = (records[0].clone(), text.concat());
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert_eq!(lines[0]["question"], json!({"address": "10.70.3.1", "at": began}));
    assert_eq!((&lines[2]["outcome"], &lines[2]["peer"]), (&json!("unknown"), &json!("127.0.0.1")));
    server.stop();
}
