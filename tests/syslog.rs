//! End-to-end tests of syslog: permitted senders, lines that create sessions, and lines that never
//! do.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;

use crate::event_log::guarantees::{FAILED_AUDITS, FAILED_STATUSES};
use crate::harness::{Server, Setup, Vpn, frame_3164, now, run, until};

const NOW: SignedDuration = SignedDuration::ZERO;

#[test]
fn a_late_older_line_does_not_overwrite() {
    let server = Server::new();
    let line = |user, seconds| {
        let tunnel = Vpn { user, address: "10.1.11.18" };
        frame_3164(&tunnel.up(), SignedDuration::from_secs(seconds))
    };
    server.datagram(line("alice", 10));
    server.wait_for_user("alice", "10.1.11.18");
    server.datagram(line("bob", 60));
    let account = server.account("syslog", 2);
    assert_eq!((account.applied, account.refused), (1, 1));
    server.wait_for_user("alice", "10.1.11.18");
    let explained = server.get("/api/v1/sessions/10.1.11.18/explain").json();
    let competed = explained["competed"].as_array().unwrap();
    let late = competed.iter().find(|record| record["user"] == "bob").expect("bob competed");
    assert_eq!((&late["outcome"], &late["reason"]), (&json!("refused"), &json!("late")));
    server.stop();
}

#[test]
fn a_later_line_of_another_user_replaces_the_session() {
    let server = Server::new();
    for (user, seconds) in [("alice", 60), ("bob", 10)] {
        let tunnel = Vpn { user, address: "10.1.11.18" };
        server.datagram(frame_3164(&tunnel.up(), SignedDuration::from_secs(seconds)));
        server.wait_for_user(user, "10.1.11.18");
    }
    // The late end of the first tunnel does not end the second.
    let first = Vpn { user: "alice", address: "10.1.11.18" };
    server.datagram(frame_3164(&first.down(), NOW));
    assert_eq!(server.account("syslog", 3).refused, 1);
    server.wait_for_user("bob", "10.1.11.18");
    server.stop();
}

#[test]
fn a_syslog_line_of_yesterday_creates_no_session() {
    let server = Server::new();
    for hours in [1, 24] {
        let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
        server.datagram(frame_3164(&tunnel.up(), SignedDuration::from_hours(hours)));
    }
    assert_eq!(server.account("syslog", 2).refused, 2);
    assert_eq!(server.user_at("10.1.11.18"), None);
    let explained = server.get("/api/v1/sessions/10.1.11.18/explain").json();
    assert_eq!(explained["session"], json!(null));
    assert_eq!(explained["competed"][0]["reason"], "too_old", "{explained}");
    server.stop();
}

#[test]
fn an_unknown_sender_is_counted_and_ignored() {
    let server = Server::new();
    let line = frame_3164(&Vpn { user: "mallory", address: "10.1.11.18" }.up(), NOW);
    let unknown = UdpSocket::bind("127.0.0.9:0").unwrap();
    unknown.send_to(line.as_bytes(), server.udp()).unwrap();
    let account = server.account("syslog", 1);
    assert_eq!(account.dropped, 1);
    assert_eq!(server.metrics().dropped("syslog", "sender_unknown"), 1);
    assert_eq!(server.user_at("10.1.11.18"), None);
    // The log has the address of the sender, at most ten times per minute.
    for _ in 0..20 {
        unknown.send_to(line.as_bytes(), server.udp()).unwrap();
    }
    server.account("syslog", 21);
    let named = |line: &&str| line.contains("no [[syslog.clients]] has this sender's address");
    let log = until("ten lines in the log", || {
        Some(server.log()).filter(|log| log.lines().filter(named).count() >= 10)
    });
    let named: Vec<&str> = log.lines().filter(named).collect();
    assert_eq!(named.len(), 10, "{log}");
    assert!(named.iter().all(|line| line.contains("source=127.0.0.9")), "{log}");
    server.stop();
}

#[test]
fn a_sender_without_permission_can_end_but_not_create_sessions() {
    let plain = "[[syslog.clients]]\nname = \"plain\"\naddresses = [\"127.0.0.7\"]\nzone = \"UTC\"";
    let server = Server::start(Setup::new().with(plain));
    let send = |line: String| {
        let socket = UdpSocket::bind("127.0.0.7:0").unwrap();
        socket.send_to(line.as_bytes(), server.udp()).unwrap();
    };
    let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
    send(frame_3164(&tunnel.up(), SignedDuration::from_secs(30)));
    assert_eq!(server.account("syslog", 1).refused, 1);
    assert_eq!(server.user_at("10.1.11.18"), None);
    let explained = server.get("/api/v1/sessions/10.1.11.18/explain").json();
    assert_eq!(explained["competed"][0]["reason"], "kind_not_granted", "{explained}");

    server.datagram(frame_3164(&tunnel.up(), SignedDuration::from_secs(20)));
    server.wait_for_user("alice", "10.1.11.18");
    send(frame_3164(&tunnel.down(), NOW));
    server.wait_for_no_user("10.1.11.18");
    server.stop();
}

#[test]
fn a_sender_is_limited_to_its_networks() {
    let branch = "[[syslog.clients]]\nname = \"branch\"\naddresses = [\"127.0.0.7\"]\nzone = \"UTC\"\n\
                  allow = [\"vpn_up\"]\nallow_networks = [\"10.7.0.0/16\"]";
    let server = Server::start(Setup::new().with(branch));
    let socket = UdpSocket::bind("127.0.0.7:0").unwrap();
    for address in ["10.8.0.1", "10.7.0.1"] {
        let line = frame_3164(&Vpn { user: "alice", address }.up(), NOW);
        socket.send_to(line.as_bytes(), server.udp()).unwrap();
    }
    server.wait_for_user("alice", "10.7.0.1");
    assert_eq!(server.user_at("10.8.0.1"), None);
    let account = server.account("syslog", 2);
    assert_eq!((account.applied, account.refused), (1, 1));
    server.stop();
}

#[test]
fn a_dual_stack_tunnel_is_two_sessions_and_ipv4_mapped_is_ipv4() {
    let server = Server::new();
    let line = Vpn { user: "alice", address: "10.1.11.18" }.up();
    let both = line.replace(
        "10.1.11.18-10.1.11.18)",
        "10.1.11.18-10.1.11.18) ipv6(0,0-65535,2a01:5f0::12-2a01:5f0::12)",
    );
    server.datagram(frame_3164(&both, NOW));
    server.wait_for_user("alice", "10.1.11.18");
    server.wait_for_user("alice", "2a01:5f0::12");
    assert_eq!(server.user_at("::ffff:10.1.11.18").as_deref(), Some("alice"));
    server.stop();
}

#[test]
fn streams_are_read_in_both_framings_and_in_fragments() {
    let server = Server::new();
    let line = |n: u8| {
        let address = format!("10.1.12.{n}");
        frame_3164(&Vpn { user: "alice", address: &address }.up(), NOW)
    };
    // Newlines between messages; one message is split across two writes, the last has no newline.
    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    stream.set_nodelay(true).unwrap();
    let text = format!("{}\n{}\r\n{}", line(1), line(2), line(3));
    for piece in text.as_bytes().chunks(300) {
        stream.write_all(piece).unwrap();
    }
    drop(stream);
    // Octet counting (RFC 6587 section 3.4.1), with a newline inside a message.
    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    for n in 4..=6 {
        let line = line(n) + "\n";
        stream.write_all(format!("{} {line}", line.len()).as_bytes()).unwrap();
    }
    drop(stream);
    for n in 1..=6 {
        server.wait_for_user("alice", &format!("10.1.12.{n}"));
    }
    assert_eq!(server.account("syslog", 6).applied, 6);
    server.stop();
}

/// The samples of all shipped templates that must give no event, with the reason.
fn refused_samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/syslog");
    let mut samples = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let template: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for sample in template["sample"].as_array().unwrap() {
            let line = sample["line"].as_str().unwrap().to_owned();
            if let Some(reason) = sample.get("none") {
                samples.push((line, reason.as_str().unwrap().to_owned()));
            }
        }
    }
    samples
}

/// Texts that identify the samples of failed logons, one for each product and kind of failure.
/// Other samples without an event are not failures, for example a lease offer.
const FAILURE_MARKS: [&str; 12] = [
    "Common.Login-Status=REJECT",
    "Session could not be established",
    "Failed-Attempt: Authentication failed",
    "action=\"ssl-login-fail\"",
    "auth Access-Reject",
    "IKE negotiation failed",
    "Auth Username/Password verification failed",
    ",failure,,",
    "Primary authentication failed",
    "\"status\": \"NT_STATUS_WRONG_PASSWORD\", \"localAddress\": null",
    "\"status\": \"NT_STATUS_WRONG_PASSWORD\", \"localAddress\": \"ipv4:",
    "EAP-MS-CHAPv2 verification failed",
];

/// Lines of failed logons of all products, each kind of failure once: the samples, and the recorded
/// lines that are not among them.
fn failed_logons() -> BTreeSet<String> {
    let samples = refused_samples();
    let sample_of = |mark: &&str| {
        let sample = samples.iter().find(|(line, _)| line.contains(*mark));
        sample.unwrap_or_else(|| panic!("no template has a sample with {mark}")).0.clone()
    };
    let samples: BTreeSet<String> = FAILURE_MARKS.iter().map(sample_of).collect();
    let recorded = include_str!("corpus/failed-logons.log").lines();
    let is_new = |line: &&str| !samples.iter().any(|sample| sample.contains(after_tag(line)));
    let new: Vec<String> = recorded.filter(is_new).map(|line| format!("<29>{line}")).collect();
    samples.into_iter().chain(new).collect()
}

/// A line without its process name, which differs in the samples.
fn after_tag(line: &str) -> &str {
    line.split_once("]: ").map_or(line, |(_, text)| text.trim_start())
}

#[test]
fn a_failed_logon_never_creates_a_session() {
    let server = Server::new();
    let failures = failed_logons();
    // At least 30 kinds of failure: these, and the failure audits of the event logs.
    let audits = FAILED_AUDITS.len() + FAILED_STATUSES.len();
    assert!(failures.len() >= 16, "{failures:#?}");
    assert!(failures.len() + audits >= 30, "{} and {audits}", failures.len());
    let mut lines: Vec<String> = failures.into_iter().collect();
    lines.extend(refused_samples().into_iter().map(|(line, _)| line));
    // Generic wordings of failures, which every template reads.
    for word in ["failed", "denied", "rejected", "invalid password"] {
        lines.push(format!("<38>Nov 21 19:50:32 fw1 vpnd: login {word} user alice ip 10.9.0.1"));
    }
    let count = lines.len() as u64;
    for line in lines {
        server.datagram(line);
    }
    let account = server.account("syslog", count);
    assert_eq!((account.applied, account.refused), (0, 0), "no line gives an event: {account:?}");
    assert_eq!(server.get("/api/v1/sessions").json()["sessions"], json!([]));
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert!(firewall.table().is_empty(), "a firewall has no entry: {:?}", firewall.table());
    // The server still reads valid lines.
    let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
    server.datagram(frame_3164(&tunnel.up(), NOW));
    server.wait_for_user("alice", "10.1.11.18");
    server.stop();
}

#[test]
fn no_recorded_failure_of_any_product_creates_a_session() {
    let recorded = include_str!("corpus/failed-logons.log");
    let server = Server::new();
    for line in recorded.lines() {
        let at = now().strftime("%b %e %H:%M:%S");
        server.datagram(format!("<29>{at} dc1 {line}"));
    }
    let count = recorded.lines().count() as u64;
    assert!(count >= 9, "{count}");
    assert_eq!(server.account("syslog", count).dropped, count);
    assert_eq!(server.get("/api/v1/sessions").json()["sessions"], json!([]));
    // The same record with the status and event ID of a success creates a session, which shows that
    // the template reads it.
    let success = recorded.lines().find(|line| line.contains("\"logonType\": 3")).unwrap();
    let success = success
        .replace("NT_STATUS_WRONG_PASSWORD", "NT_STATUS_OK")
        .replace("4625", "4624")
        .replacen("2026-11-21T19:23:21.263136+0000", &now().to_string(), 1);
    server.datagram(format!("<29>{} dc1 {success}", now().strftime("%b %e %H:%M:%S")));
    server.wait_for_user("alice", "192.0.2.101");
    server.stop();
}

#[test]
fn a_custom_template_is_tested_on_lines_and_then_used() {
    let folder = tempfile::tempdir().unwrap();
    let template = r#"
name = "our-portal"
description = "The portal of the library"
source = "written for this story"

[[rule]]
kind = "login"
prefilter = "welcome "
regex = 'welcome (?<user>[^ ]+) at (?<ip>[0-9.]+)'

[[sample]]
line = '<38>Nov 21 19:50:32 gate portal: welcome alice at 10.9.0.1'
event = { kind = "login", address = "10.9.0.1", user = "alice", at = "2026-11-21T19:50:32Z" }

[[sample]]
line = '<38>Nov 21 19:50:32 gate portal: goodbye'
none = "unmatched"
"#;
    fs::write(folder.path().join("our-portal.toml"), template).unwrap();
    let rollcall = Path::new(env!("CARGO_BIN_EXE_rollcall"));
    let lines = folder.path().join("lines");
    fs::write(&lines, "<38>Nov 21 19:50:32 gate portal: welcome bob at 10.9.0.2\nsomething else\n")
        .unwrap();
    let shell = format!(
        "exec '{}' test syslog --template '{}' < '{}'",
        rollcall.display(),
        folder.path().join("our-portal.toml").display(),
        lines.display()
    );
    let tried = run(Path::new("/bin/sh"), &["-c", &shell]);
    let text = String::from_utf8_lossy(&tried.stdout);
    assert!(text.contains("10.9.0.2") && text.contains("bob"), "{tried:?}");
    assert!(text.lines().count() >= 3, "each line, and a summary: {text}");

    let client = format!(
        "[[syslog.clients]]\nname = \"portal\"\naddresses = [\"127.0.0.8\"]\nallow = [\"login\"]\n\
         event_time = \"arrival\"\ntemplates = [\"{}\"]",
        folder.path().join("our-portal.toml").display()
    );
    let server = Server::start(Setup::new().with(&client));
    let socket = UdpSocket::bind("127.0.0.8:0").unwrap();
    let line = b"<38>Nov 21 19:50:32 gate portal: welcome bob at 10.9.0.2";
    socket.send_to(line, server.udp()).unwrap();
    server.wait_for_user("bob", "10.9.0.2");
    server.stop();
}
