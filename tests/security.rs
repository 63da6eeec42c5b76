//! Stories of attackers and of bad luck: garbage, slow senders, stolen secrets, old ciphers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{
    Answer, SECRET, Server, Setup, Srx, Vpn, frame_3164, hash, peer, point, rollcall, run, skip,
    until,
};

/// Limits of a second, so that the story of a slow sender is short.
const IMPATIENT: &str = r#"
[enforcement.limits]
head_timeout = "1s"
body_timeout = "1s"

[rest.limits]
head_timeout = "1s"
body_timeout = "1s"
"#;

/// Both HTTP listeners, of which one speaks plainly.
fn http_listeners(server: &Server) -> [SocketAddr; 2] {
    let address = |url: &str| url.split("//").nth(1).unwrap().parse().unwrap();
    [address(&server.enforcement()), address(server.rest())]
}

/// A firewall, an administrator and a sender are served.
#[track_caller]
fn others_are_served(server: &Server, n: u8) {
    let address = format!("10.60.0.{n}");
    server
        .datagram(frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO));
    server.sees("alice", &address);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at(&address), Some("alice"));
}

/// Whether the other side closes `stream` in time, whatever it says before.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn no_secret_is_ever_shown_at_whatever_level_of_the_log() {
    let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
    let server = Server::start(setup);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let bought = firewall.buy(0).unwrap().json()["access_token"].as_str().unwrap().to_owned();
    let mut said = String::new();
    // A wrong secret, the right one of another, both in an address nobody knows, and in a bad body.
    let authority = server.setup().authority().certificate();
    let wrong = "canary-wrong-secret-5d0c";
    let other = Srx::new("campus-fw", wrong, &authority, &[&server.enforcement()]);
    said += &other.buy(0).unwrap().text;
    for rest in [
        format!("/strange?client_secret={SECRET}&password={SECRET}"),
        // A token in two places is no token.
        format!("?access_token={bought}"),
        format!("/ip/{SECRET}"),
        format!("?cookie={SECRET}"),
    ] {
        said += &format!("{:?}", firewall.ask(0, &rest).map(|answer| answer.text));
    }
    for body in [format!("{{\"client_secret\":\"{SECRET}\""), format!("password={SECRET}&ip=x")] {
        said += &firewall.push("/user_query/v2/user", "application/json", &body).text;
        let nowhere = format!("/nowhere?client_id=campus-fw&client_secret={SECRET}");
        said += &firewall.push(&nowhere, "application/json", &body).text;
    }
    said += &server.get(&format!("/api/v1/nothing?token={}", server.token())).text;
    let id = server.id();
    said += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/cmdline")).unwrap());
    said += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/environ")).unwrap());
    for path in ["/metrics", "/api/v1/enforcement-points", "/api/v1/actors", "/api/v1/producers"] {
        said += &server.get(path).text;
    }
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let check = rollcall(server.setup().folder(), &["check", "--config", &config]);
    said += &String::from_utf8_lossy(&[check.stdout, check.stderr].concat());
    let token = server.token().to_owned();
    let log = server.stop();
    assert!(log.contains("TRACE") || log.contains("trace"), "the log was at its loudest");
    let unknown = log.lines().filter(|line| line.contains("nothing answers this request"));
    assert!(unknown.count() >= 3, "strange requests are logged in full: {log}");
    said += &log;
    for (what, secret) in [
        ("the client secret", SECRET),
        ("a wrong secret", wrong),
        ("an access token", bought.as_str()),
        ("the administrators' token", token.as_str()),
        ("a hash", hash(SECRET).as_str()),
    ] {
        // The error about an unknown path may quote the path; it redacts what is secret in it.
        let at = said.find(secret);
        let around =
            at.map(|at| &said[at.saturating_sub(120)..(at + secret.len() + 20).min(said.len())]);
        assert!(around.is_none(), "{what} was shown: {around:?}");
    }
}

#[test]
fn metrics_hold_no_user_and_no_address() {
    let server = Server::new();
    others_are_served(&server, 1);
    let stranger = UdpSocket::bind("127.0.0.9:0").unwrap();
    stranger.send_to(b"user canary-user at 10.60.9.9", server.udp()).unwrap();
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
fn slow_senders_are_ended_and_nobody_waits_for_them() {
    let server = Server::start(Setup::new().with(IMPATIENT));
    let mut slow = Vec::new();
    for listener in http_listeners(&server) {
        for _ in 0..16 {
            // Not a byte; and a head that never ends.
            slow.push(TcpStream::connect(listener).unwrap());
            let mut half = TcpStream::connect(listener).unwrap();
            half.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").unwrap();
            slow.push(half);
        }
    }
    // A body that never comes.
    let mut body = TcpStream::connect(http_listeners(&server)[1]).unwrap();
    let head = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100000\r\n\r\n{{",
        server.token()
    );
    body.write_all(head.as_bytes()).unwrap();
    let mut syslog = TcpStream::connect(server.tcp()).unwrap();
    syslog.write_all(b"65000 <30>half a mess").unwrap();
    others_are_served(&server, 2);
    for (n, stream) in slow.into_iter().enumerate() {
        assert!(is_closed(stream), "the slow connection {n} is ended");
    }
    assert!(is_closed(body), "the one without a body is ended");
    others_are_served(&server, 3);
    server.stop();
}

#[test]
fn one_address_does_not_take_all_connections() {
    let story = "one_address_does_not_take_all_connections";
    let Some(curl) = peer("curl") else { return skip(story, "curl is not installed") };
    let limits = "[enforcement.limits]\nconnections_per_address = 4";
    let server = Server::start(Setup::new().with(limits));
    let listener = http_listeners(&server)[0];
    let held: Vec<_> = (0..4).map(|_| TcpStream::connect(listener).unwrap()).collect();
    let more = TcpStream::connect(listener).unwrap();
    assert!(is_closed(more), "the fifth connection of one address is not let in");
    // And not because it said nothing for too long.
    let refused = [("listener", "enforcement"), ("reason", "address")];
    let metrics = server.metrics();
    assert_eq!(metrics.sum("rollcall_answering_connections_refused_total", &refused), 1);
    let url = format!("{}/user_query/v2", server.enforcement());
    let authority = server.setup().authority().certificate().display().to_string();
    let output = run(
        &curl,
        &[
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--interface",
            "127.0.0.2",
            "--cacert",
            &authority,
            &url,
        ],
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401", "another address is answered");
    drop(held);
    server.stop();
}

#[test]
fn what_is_too_long_is_refused_and_the_rest_is_read() {
    let limits = "[syslog.limits]\nmessage_bytes = \"4 KiB\"";
    let setup = Setup::new()
        .replacing("tcp = [\"127.0.0.1:0\"]\n", &format!("tcp = [\"127.0.0.1:0\"]\n\n{limits}\n"));
    let server = Server::start(setup);
    let line = |n: u8| {
        let address = format!("10.61.0.{n}");
        frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO)
    };
    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    let long = "x".repeat(100_000);
    stream.write_all(format!("{}\n<30>{long}\n{}\n", line(1), line(2)).as_bytes()).unwrap();
    server.sees("alice", "10.61.0.1");
    server.sees("alice", "10.61.0.2");
    assert_eq!(server.metrics().dropped("syslog", "too_long"), 1);

    let mut script = server.client("script");
    let body = format!("[{}]", " ".repeat(2 << 20));
    assert_eq!(script.push("/api/v1/events", "application/json", &body).status, 413);
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n");
    let mut stream = TcpStream::connect(http_listeners(&server)[1]).unwrap();
    // It may be closed before all of it is written.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = [0; 16];
    let read = stream.read(&mut answer).unwrap_or(0);
    assert!(!answer[..read].starts_with(b"HTTP/1.1 200"), "a head without end is not answered");
    others_are_served(&server, 4);
    server.stop();
}

/// Bytes that look like nothing, the same in every run (xorshift, Marsaglia 2003).
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// Resident memory of the server, in KiB.
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn garbage_at_every_port_is_counted_and_harms_nobody() {
    let server = Server::new();
    others_are_served(&server, 5);
    let before = resident(&server);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for seed in 0..200 {
        socket.send_to(&garbage(seed, (seed as usize * 37) % 9000), server.udp()).unwrap();
    }
    let [enforcement, rest] = http_listeners(&server);
    for seed in 0..40 {
        for port in [server.tcp(), enforcement, rest] {
            let mut stream = TcpStream::connect(port).unwrap();
            // The other side may close it at the first byte.
            let _ = stream.write_all(&garbage(seed, 20_000));
        }
    }
    let mut script = server.client("script");
    for seed in 0..40 {
        let bytes = garbage(seed, 500);
        let text = String::from_utf8_lossy(&bytes);
        for (path, content_type) in [
            ("/api/v1/events", "application/json"),
            ("/user_query/v2/user", "application/xml"),
            ("/user_query/v2/ptim", "application/x-www-form-urlencoded"),
        ] {
            let answer = script.push(path, content_type, &text);
            assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        }
    }
    others_are_served(&server, 6);
    until("the account closes", || server.metrics().account("syslog").is_closed().then_some(()));
    let account = server.metrics().account("syslog");
    assert_eq!(account.applied, 2, "{account:?}");
    let after = resident(&server);
    assert!(after < before + 64 * 1024, "memory is bounded: {before} to {after} KiB");
    server.stop();
}

#[test]
fn hostile_xml_is_refused() {
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
    assert_eq!(server.who("10.62.0.1"), None);
    server.stop();
}

#[test]
fn a_hostile_name_is_one_line_in_the_log_and_text_in_every_answer() {
    let server = Server::start(Setup::new().replacing("level = \"debug\"", "level = \"trace\""));
    let mut script = server.client("script");
    // Control characters are no part of a name.
    for name in ["a\nFORGED line", "a\u{1b}[2J", "a\0b", "a\r\nb"] {
        let event = json!({"kind": "login", "address": "10.63.0.1", "user": name});
        assert_eq!(script.post_events(&event).status, 400, "{name:?}");
    }
    let long = json!({"kind": "login", "address": "10.63.0.1", "user": "x".repeat(257)});
    assert_eq!(script.post_events(&long).status, 400);
    // Everything else is text wherever it comes out.
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
        assert_eq!(server.who(&address).as_deref(), Some(*name));
    }
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.table().len(), 5, "{:?}", firewall.table());
    let log = server.stop();
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log}");
    assert!(!log.contains('\u{1b}'), "no terminal is steered by the log");
}

#[test]
fn a_replayed_day_changes_nothing() {
    let server = Server::new();
    let mut script = server.client("script");
    let event = |n: usize, hours: i64| -> Value {
        let at = (crate::harness::now() - SignedDuration::from_hours(hours)).to_string();
        let address = format!("10.64.0.{n}");
        json!({"kind": "login", "address": address, "user": "mallory", "at": at})
    };
    let day: Vec<Value> = (1..=48).map(|n| event(n, 1 + n as i64 / 2)).collect();
    assert_eq!(script.post_events(&day.into()).status, 200, "the sender cannot mend it");
    let account = server.account("ptim", 48);
    assert_eq!((account.applied, account.refused), (0, 48));
    assert_eq!(server.get("/api/v1/sessions").json()["sessions"], json!([]));
    server.stop();
}

#[test]
fn old_tls_and_weak_ciphers_are_refused_on_every_encrypted_port() {
    let story = "old_tls_and_weak_ciphers_are_refused_on_every_encrypted_port";
    let Some(openssl) = peer("openssl") else { return skip(story, "openssl is not installed") };
    let tls = "tcp = [\"127.0.0.1:0\"]\n\n[syslog.tls]\nlisten = [\"127.0.0.1:0\"]\n\
               certificate = \"server.crt\"\nkey = \"server.key\"\n";
    let setup = Setup::new().replacing("tcp = [\"127.0.0.1:0\"]\n", tls);
    let server = Server::start(setup);
    for port in [http_listeners(&server)[0], server.tls()] {
        let shakes = |arguments: &[&str]| shakes_hands(&openssl, &server, port, arguments);
        assert!(shakes(&["-tls1_3"]), "{port}");
        assert!(shakes(&["-tls1_2"]), "{port}");
        let weak = "DEFAULT@SECLEVEL=0";
        assert!(!shakes(&["-tls1", "-cipher", weak]), "TLS 1.0 at {port}");
        assert!(!shakes(&["-tls1_1", "-cipher", weak]), "TLS 1.1 at {port}");
        for cipher in
            ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "NULL-SHA256", "DES-CBC3-SHA"]
        {
            let weak = format!("{cipher}:@SECLEVEL=0");
            assert!(!shakes(&["-tls1_2", "-cipher", &weak]), "{cipher} at {port}");
        }
    }
    server.stop();
}

/// Whether openssl and the server agree upon a session.
fn shakes_hands(openssl: &Path, server: &Server, port: SocketAddr, arguments: &[&str]) -> bool {
    let output = Command::new(openssl)
        .args(["s_client", "-verify_return_error", "-connect", &port.to_string(), "-CAfile"])
        .arg(server.setup().authority().certificate())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    output.status.success() && said.contains("Verify return code: 0 (ok)")
}

#[test]
fn secrets_that_others_can_read_are_not_used() {
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
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    for file in ["server.key", "data/admin.token"] {
        let (code, said) = readable(file);
        assert!(code.is_some_and(|code| code != 0), "{file}: {said}");
        let name = file.rsplit('/').next().unwrap();
        assert!(said.contains(name), "{file} is named: {said}");
        assert!(!said.contains("a1a1a1a1"), "and not shown: {said}");
    }
}

#[test]
fn nothing_listens_plainly_beyond_loopback_unless_it_is_written() {
    let refused = |setup: &Setup| {
        let config = setup.write().display().to_string();
        let output = rollcall(setup.folder(), &["check", "--config", &config]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    };
    let rest = "[rest]\nlisten = \"127.0.0.1:0\"";
    refused(&Setup::new().replacing(rest, "[rest]\nlisten = \"0.0.0.0:0\""));
}

#[test]
fn two_points_of_one_name_or_one_client_id_are_refused() {
    let setup = Setup::new().with(&point("campus-fw", ""));
    let config = setup.write().display().to_string();
    let output = rollcall(setup.folder(), &["check", "--config", &config]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_noisy_sender_is_held_back_and_costs_the_others_nothing() {
    let setup = Setup::new()
        .replacing(
            "udp = [\"127.0.0.1:0\"]",
            "udp = [\"127.0.0.1:0\"]\nlimits = { lines_per_second = 100 }",
        )
        .with("[[syslog.clients]]\nname = \"noisy\"\naddresses = [\"127.0.0.7\"]\nzone = \"UTC\"");
    let server = Server::start(setup);
    let noisy = UdpSocket::bind("127.0.0.7:0").unwrap();
    let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut said = 0;
    for n in 0..3000_u32 {
        noisy.send_to(b"<30>Nov 21 19:50:32 fw1 flow[7]: chatter", server.udp()).unwrap();
        if n % 60 == 0 {
            said += 1;
            let address = format!("10.65.0.{said}");
            let line =
                frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO);
            quiet.send_to(line.as_bytes(), server.udp()).unwrap();
        }
    }
    let account = server.account("syslog", 3000 + said);
    assert_eq!(account.applied, said, "not one line of the other was lost");
    assert!(server.metrics().dropped("syslog", "rate_limited") > 2000, "{account:?}");
    server.stop();
}
