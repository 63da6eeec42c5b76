//! End-to-end tests of attacks: stolen secrets, hostile names and XML, replays, old ciphers.

mod authority;
mod defaults;
mod guessing;
mod limits;
mod many_connections;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{
    Answer, SECRET, Server, Setup, Srx, Vpn, enforcement_point, frame_3164, hash, peer, rollcall,
    skip,
};

/// The addresses of both HTTP listeners; the REST listener has no TLS.
fn http_listeners(server: &Server) -> [SocketAddr; 2] {
    let address = |url: &str| url.split("//").nth(1).unwrap().parse().unwrap();
    [address(&server.enforcement()), address(server.rest())]
}

/// Verifies that a sender, an administrator and a firewall are served.
#[track_caller]
fn verify_others_are_served(server: &Server, n: u8) {
    let address = format!("10.60.0.{n}");
    server
        .datagram(frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO));
    server.wait_for_user("alice", &address);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at(&address), Some("alice"));
}

#[test]
fn no_secret_is_shown_at_any_log_level() {
    let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
    let server = Server::start(setup);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let access_token =
        firewall.request_token(0).unwrap().json()["access_token"].as_str().unwrap().to_owned();
    let mut shown = String::new();
    // Secrets in a wrong login, in unknown paths, in queries and in invalid bodies.
    let authority = server.setup().authority().certificate();
    let wrong = "canary-wrong-secret-5d0c";
    let other = Srx::new("campus-fw", wrong, &authority, &[&server.enforcement()]);
    shown += &other.request_token(0).unwrap().text;
    for rest in [
        format!("/strange?client_secret={SECRET}&password={SECRET}"),
        // A token in two places is rejected.
        format!("?access_token={access_token}"),
        format!("/ip/{SECRET}"),
        format!("?cookie={SECRET}"),
    ] {
        shown += &format!("{:?}", firewall.ask(0, &rest).map(|answer| answer.text));
    }
    for body in [format!("{{\"client_secret\":\"{SECRET}\""), format!("password={SECRET}&ip=x")] {
        shown += &firewall.push("/user_query/v2/user", "application/json", &body).text;
        let nowhere = format!("/nowhere?client_id=campus-fw&client_secret={SECRET}");
        shown += &firewall.push(&nowhere, "application/json", &body).text;
    }
    shown += &server.get(&format!("/api/v1/nothing?token={}", server.token())).text;
    let id = server.id();
    shown += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/cmdline")).unwrap());
    shown += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/environ")).unwrap());
    for path in ["/metrics", "/api/v1/enforcement-points", "/api/v1/actors", "/api/v1/producers"] {
        shown += &server.get(path).text;
    }
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let check = rollcall(server.setup().folder(), &["check", "--config", &config]);
    shown += &String::from_utf8_lossy(&[check.stdout, check.stderr].concat());
    let token = server.token().to_owned();
    let log = server.stop();
    assert!(log.contains("TRACE") || log.contains("trace"), "the log has trace level");
    let unknown = log.lines().filter(|line| line.contains("request for an unknown path"));
    assert!(unknown.count() >= 3, "unknown requests are logged in full: {log}");
    shown += &log;
    for (what, secret) in [
        ("the client secret", SECRET),
        ("a wrong secret", wrong),
        ("an access token", access_token.as_str()),
        ("the administrators' token", token.as_str()),
        ("a hash", hash(SECRET).as_str()),
    ] {
        // The error about an unknown path may quote the path; secrets in it are redacted.
        let at = shown.find(secret);
        let around =
            at.map(|at| &shown[at.saturating_sub(120)..(at + secret.len() + 20).min(shown.len())]);
        assert!(around.is_none(), "{what} was shown: {around:?}");
    }
}

#[test]
fn metrics_contain_no_user_and_no_address() {
    let server = Server::new();
    verify_others_are_served(&server, 1);
    let unknown = UdpSocket::bind("127.0.0.9:0").unwrap();
    unknown.send_to(b"user canary-user at 10.60.9.9", server.udp()).unwrap();
    server.account("syslog", 2);
    let metrics = server.metrics();
    for text in metrics.texts() {
        for identity in ["alice", "10.60.", "canary", "127.0.0.9"] {
            assert!(!text.contains(identity), "{text}");
        }
    }
    server.stop();
}

#[test]
fn hostile_xml_bodies_are_rejected_completely() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let bomb = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>]>\
                <userfw-entries>&c;</userfw-entries>";
    let file = "<!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><userfw-entries>\
                <userfw-entry><operation>logon</operation><IP>10.62.0.1</IP><user>&f;</user>\
                </userfw-entry></userfw-entries>";
    let deep = "<a>".repeat(10_000);
    let wide = format!(
        "<userfw-entries {}/>",
        (0..5000).map(|n| format!("a{n}='x' ")).collect::<String>()
    );
    let forged = "<userfw-entries><userfw-entry><operation>logon</operation><IP>10.62.0.1</IP>\
                  <user>bob</user><user>admin</user></userfw-entry></userfw-entries>";
    for body in [bomb, file, &deep, &wide, forged] {
        let answer = firewall.push("/api/userfw/v1/post-entry", "application/xml", body);
        assert!((400..500).contains(&answer.status), "{}: {answer:?}", &body[..40]);
    }
    assert_eq!(server.user_at("10.62.0.1"), None);
    server.stop();
}

#[test]
fn a_hostile_name_is_escaped_in_the_log_and_in_every_response() {
    let server = Server::start(Setup::new().replacing("level = \"debug\"", "level = \"trace\""));
    let mut script = server.client("script");
    // Control characters are invalid in a name.
    for name in ["a\nFORGED line", "a\u{1b}[2J", "a\0b", "a\r\nb"] {
        let event = json!({"kind": "login", "address": "10.63.0.1", "user": name});
        assert_eq!(script.post_events(&event).status, 400, "{name:?}");
    }
    let long = json!({"kind": "login", "address": "10.63.0.1", "user": "x".repeat(257)});
    assert_eq!(script.post_events(&long).status, 400);
    // All other characters are escaped in every output.
    for (n, name) in [
        "\"},{\"ip-address\":\"10.0.0.1",
        "<script>alert(1)</script>",
        "*)(objectclass=*",
        "{{7*7}}",
        "%00%0a",
    ]
    .iter()
    .enumerate()
    {
        let address = format!("10.63.1.{}", n + 1);
        let event = json!({"kind": "login", "address": address, "user": name});
        let answer: Answer = script.post_events(&event);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        assert_eq!(server.user_at(&address).as_deref(), Some(*name));
    }
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.table().len(), 5, "{:?}", firewall.table());
    let log = server.stop();
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log}");
    assert!(!log.contains('\u{1b}'), "the log has no terminal escapes");
}

#[test]
fn events_replayed_from_yesterday_are_rejected() {
    let server = Server::new();
    let mut script = server.client("script");
    let event = |n: usize, hours: i64| -> Value {
        let at = (crate::harness::now() - SignedDuration::from_hours(hours)).to_string();
        let address = format!("10.64.0.{n}");
        json!({"kind": "login", "address": address, "user": "mallory", "at": at})
    };
    let day: Vec<Value> = (1..=48).map(|n| event(n, 1 + n as i64 / 2)).collect();
    assert_eq!(script.post_events(&day.into()).status, 200, "the sender cannot correct old events");
    let account = server.account("ptim", 48);
    assert_eq!((account.applied, account.refused), (0, 48));
    assert_eq!(server.get("/api/v1/sessions").json()["sessions"], json!([]));
    server.stop();
}

#[test]
fn old_tls_and_weak_ciphers_are_rejected_on_every_tls_port() {
    let story = "old_tls_and_weak_ciphers_are_rejected_on_every_tls_port";
    let Some(openssl) = peer("openssl") else { return skip(story, "openssl is not installed") };
    let tls = "tcp = [\"127.0.0.1:0\"]\n\n[syslog.tls]\nlisten = [\"127.0.0.1:0\"]\n\
               certificate = \"server.crt\"\nkey = \"server.key\"\n";
    let setup = Setup::new().replacing("tcp = [\"127.0.0.1:0\"]\n", tls);
    let server = Server::start(setup);
    for port in [http_listeners(&server)[0], server.tls()] {
        let connects = |arguments: &[&str]| completes_handshake(&openssl, &server, port, arguments);
        assert!(connects(&["-tls1_3"]), "{port}");
        assert!(connects(&["-tls1_2"]), "{port}");
        let weak = "DEFAULT@SECLEVEL=0";
        assert!(!connects(&["-tls1", "-cipher", weak]), "TLS 1.0 at {port}");
        assert!(!connects(&["-tls1_1", "-cipher", weak]), "TLS 1.1 at {port}");
        for cipher in
            ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "NULL-SHA256", "DES-CBC3-SHA"]
        {
            let weak = format!("{cipher}:@SECLEVEL=0");
            assert!(!connects(&["-tls1_2", "-cipher", &weak]), "{cipher} at {port}");
        }
    }
    server.stop();
}

/// Whether openssl completes a TLS handshake with the server.
fn completes_handshake(
    openssl: &Path,
    server: &Server,
    port: SocketAddr,
    arguments: &[&str],
) -> bool {
    let output = Command::new(openssl)
        .args(["s_client", "-verify_return_error", "-connect", &port.to_string(), "-CAfile"])
        .arg(server.setup().authority().certificate())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    output.status.success() && shown.contains("Verify return code: 0 (ok)")
}

#[test]
fn world_readable_secret_files_are_rejected() {
    let readable = |file: &str| {
        let setup = Setup::new();
        fs::create_dir_all(setup.folder().join("data")).unwrap();
        let path = setup.folder().join(file);
        if !path.exists() {
            fs::write(&path, format!("{}\n", "a1".repeat(22))).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let config = setup.write().display().to_string();
        let output = rollcall(setup.folder(), &["--config", &config]);
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), shown)
    };
    for file in ["server.key", "data/admin.token"] {
        let (code, shown) = readable(file);
        assert!(code.is_some_and(|code| code != 0), "{file}: {shown}");
        let name = file.rsplit('/').next().unwrap();
        assert!(shown.contains(name), "{file} is named: {shown}");
        assert!(!shown.contains("a1a1a1a1"), "the secret is not shown: {shown}");
    }
}

#[test]
fn plain_http_beyond_loopback_must_be_configured_explicitly() {
    let refused = |setup: &Setup| {
        let config = setup.write().display().to_string();
        let output = rollcall(setup.folder(), &["check", "--config", &config]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    };
    let rest = "[rest]\nlisten = \"127.0.0.1:0\"";
    refused(&Setup::new().replacing(rest, "[rest]\nlisten = \"0.0.0.0:0\""));
}

#[test]
fn two_points_with_the_same_name_or_client_id_are_rejected() {
    let setup = Setup::new().with(&enforcement_point("campus-fw", ""));
    let config = setup.write().display().to_string();
    let output = rollcall(setup.folder(), &["check", "--config", &config]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
