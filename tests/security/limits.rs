//! Limits: slow connections, many connections, oversized input, random bytes, noisy senders. Other
//! clients are not affected.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use jiff::SignedDuration;

use super::{http_listeners, verify_others_are_served};
use crate::harness::{Server, Setup, Vpn, frame_3164, peer, run, skip, until};

/// Timeouts of a second, so that the test of slow connections is short.
const SHORT_TIMEOUTS: &str = r#"
[enforcement.limits]
header_timeout = "1s"
body_timeout = "1s"

[rest.limits]
header_timeout = "1s"
body_timeout = "1s"
"#;

/// Whether the server closes `stream` in time, with or without a response.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn slow_connections_are_closed_and_do_not_delay_others() {
    let server = Server::start(Setup::new().with(SHORT_TIMEOUTS));
    let mut slow = Vec::new();
    for listener in http_listeners(&server) {
        for _ in 0..16 {
            // No byte, and an incomplete head.
            slow.push(TcpStream::connect(listener).unwrap());
            let mut half = TcpStream::connect(listener).unwrap();
            half.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").unwrap();
            slow.push(half);
        }
    }
    // A missing body.
    let mut body = TcpStream::connect(http_listeners(&server)[1]).unwrap();
    let head = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100000\r\n\r\n{{",
        server.token()
    );
    body.write_all(head.as_bytes()).unwrap();
    let mut syslog = TcpStream::connect(server.tcp()).unwrap();
    syslog.write_all(b"65000 <30>half a mess").unwrap();
    verify_others_are_served(&server, 2);
    for (n, stream) in slow.into_iter().enumerate() {
        assert!(is_closed(stream), "the slow connection {n} is closed");
    }
    assert!(is_closed(body), "the connection without a body is closed");
    verify_others_are_served(&server, 3);
    server.stop();
}

#[test]
fn one_address_cannot_use_all_connections() {
    let story = "one_address_cannot_use_all_connections";
    let Some(curl) = peer("curl") else { return skip(story, "curl is not installed") };
    let limits = "[enforcement.limits]\nconnections_per_address = 4";
    let server = Server::start(Setup::new().with(limits));
    let listener = http_listeners(&server)[0];
    let held: Vec<_> = (0..4).map(|_| TcpStream::connect(listener).unwrap()).collect();
    let more = TcpStream::connect(listener).unwrap();
    assert!(is_closed(more), "the fifth connection of one address is closed");
    // It is refused by the limit and not by a timeout.
    let refused = [("listener", "enforcement"), ("reason", "address")];
    let metrics = server.metrics();
    assert_eq!(metrics.sum("rollcall_http_connections_refused_total", &refused), 1);
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
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401", "another address is served");
    drop(held);
    server.stop();
}

#[test]
fn oversized_input_is_rejected_and_the_rest_is_read() {
    let limits = "[syslog.limits]\nmessage_size = \"4 KiB\"";
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
    server.wait_for_user("alice", "10.61.0.1");
    server.wait_for_user("alice", "10.61.0.2");
    assert_eq!(server.metrics().dropped("syslog", "too_long"), 1);

    let mut script = server.client("script");
    let body = format!("[{}]", " ".repeat(2 << 20));
    assert_eq!(script.push("/api/v1/events", "application/json", &body).status, 413);
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n");
    let mut stream = TcpStream::connect(http_listeners(&server)[1]).unwrap();
    // The server may close the connection before all bytes are written.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = [0; 16];
    let read = stream.read(&mut answer).unwrap_or(0);
    assert!(!answer[..read].starts_with(b"HTTP/1.1 200"), "an oversized head is rejected");
    verify_others_are_served(&server, 4);
    server.stop();
}

/// Random bytes, the same in every run (xorshift, Marsaglia 2003).
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
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
fn random_bytes_at_every_port_are_counted_and_harmless() {
    let server = Server::new();
    verify_others_are_served(&server, 5);
    let before = resident(&server);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for seed in 0..200 {
        socket.send_to(&random_bytes(seed, (seed as usize * 37) % 9000), server.udp()).unwrap();
    }
    let [enforcement, rest] = http_listeners(&server);
    for seed in 0..40 {
        for port in [server.tcp(), enforcement, rest] {
            let mut stream = TcpStream::connect(port).unwrap();
            // The server may close the connection at the first byte.
            let _ = stream.write_all(&random_bytes(seed, 20_000));
        }
    }
    let mut script = server.client("script");
    for seed in 0..40 {
        let bytes = random_bytes(seed, 500);
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
    verify_others_are_served(&server, 6);
    until("the event accounting closes", || {
        server.metrics().account("syslog").is_closed().then_some(())
    });
    let account = server.metrics().account("syslog");
    assert_eq!(account.applied, 2, "{account:?}");
    let after = resident(&server);
    assert!(after < before + 64 * 1024, "memory is bounded: {before} to {after} KiB");
    server.stop();
}

#[test]
fn a_noisy_sender_is_rate_limited_without_loss_for_others() {
    let setup = Setup::new()
        .replacing(
            "udp = [\"127.0.0.1:0\"]",
            "udp = [\"127.0.0.1:0\"]\nlimits = { lines_per_second = 100 }",
        )
        .with("[[syslog.clients]]\nname = \"noisy\"\naddresses = [\"127.0.0.7\"]\nzone = \"UTC\"");
    let server = Server::start(setup);
    let noisy = UdpSocket::bind("127.0.0.7:0").unwrap();
    let quiet = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    for n in 0..3000_u32 {
        noisy.send_to(b"<30>Nov 21 19:50:32 fw1 flow[7]: chatter", server.udp()).unwrap();
        if n % 60 == 0 {
            sent += 1;
            let address = format!("10.65.0.{sent}");
            let line =
                frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO);
            quiet.send_to(line.as_bytes(), server.udp()).unwrap();
        }
    }
    let account = server.account("syslog", 3000 + sent);
    assert_eq!(account.applied, sent, "no line of the other client was lost");
    assert!(server.metrics().dropped("syslog", "rate_limited") > 2000, "{account:?}");
    server.stop();
}
