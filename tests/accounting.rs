//! Event accounting is exact for all input: received = applied + deduplicated + refused + dropped.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Account, Server, Vpn, frame_3164};

#[test]
fn event_accounting_closes_after_valid_and_invalid_traffic() {
    let server = Server::new();
    let up = |user: &str, address: &str, ago: i64| {
        frame_3164(&Vpn { user, address }.up(), SignedDuration::from_secs(ago))
    };
    let expected = Account { received: 26, applied: 10, deduplicated: 5, refused: 4, dropped: 7 };

    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    let mut send = |line: &[u8]| {
        stream.write_all(line).unwrap();
        stream.write_all(b"\n").unwrap();
    };
    // Formatted once: a line with a later second would be applied and not deduplicated.
    let lines: Vec<String> = (1..=10).map(|n| up("alice", &format!("10.30.0.{n}"), 30)).collect();
    lines.iter().for_each(|line| send(line.as_bytes()));
    server.account("syslog", 10);
    // Duplicates.
    lines[..5].iter().for_each(|line| send(line.as_bytes()));
    // Refused: late, too old, no session, no host address.
    send(up("bob", "10.30.0.1", 300).as_bytes());
    send(up("bob", "10.30.0.99", 3600).as_bytes());
    let down = Vpn { user: "bob", address: "10.30.0.98" }.down();
    send(frame_3164(&down, SignedDuration::ZERO).as_bytes());
    send(up("bob", "127.0.0.1", 0).as_bytes());
    // No event: no template, no success, no single address, invalid bytes.
    send(b"<30>Nov 21 19:50:32 fw1 sshd[7]: session opened");
    send(b"nothing at all");
    send(b"<30>\xff\xfe\x01");
    send(
        up("Not-applicable", "10.30.0.97", 0).replace("ra@example.net", "Not-Available").as_bytes(),
    );
    drop(stream);
    // Datagrams of an unknown sender.
    let unknown = UdpSocket::bind("127.0.0.9:0").unwrap();
    for _ in 0..3 {
        unknown.send_to(up("mallory", "10.30.0.96", 0).as_bytes(), server.udp()).unwrap();
    }
    assert_eq!(server.account("syslog", 26), expected);
    assert_eq!(
        server.get("/api/v1/sessions?limit=1000").json()["sessions"].as_array().unwrap().len(),
        10
    );
    server.stop();
}

#[test]
fn event_accounting_of_pushes_closes() {
    let server = Server::new();
    let mut script = server.client("script");
    let login =
        |n: usize| json!({"kind": "login", "address": format!("10.31.0.{n}"), "user": "alice"});
    let twenty: Vec<Value> = (1..=20).map(login).collect();
    assert_eq!(script.post_events(&twenty.into()).status, 200);
    // An ignored user, an address that is not of a host, and an invalid body.
    let ignored = json!([
        {"kind": "login", "address": "10.31.1.1", "user": "SystemMailbox1"},
        {"kind": "login", "address": "224.0.0.1", "user": "alice"},
    ]);
    assert_eq!(script.post_events(&ignored).status, 200);
    assert_eq!(script.push("/api/v1/events", "application/json", "{").status, 400);
    let account = server.account("ptim", 23);
    assert_eq!((account.applied, account.refused, account.dropped), (20, 2, 1));
    server.stop();
}

#[test]
fn every_received_datagram_of_a_flood_is_accounted() {
    let server = Server::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut good, mut bad) = (0_u64, 0_u64);
    for n in 0..4000_u32 {
        let address = format!("10.32.{}.{}", n / 250, n % 250 + 1);
        let line = match n % 4 {
            0 => format!("<30>Nov 21 19:50:32 fw1 flow[7]: line {n}"),
            _ => frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO),
        };
        let count = if n % 4 == 0 { &mut bad } else { &mut good };
        *count += 1;
        socket.send_to(line.as_bytes(), server.udp()).unwrap();
    }
    let account = server.account("syslog", good + bad);
    assert_eq!((account.applied, account.dropped), (good, bad));
    let lost = server.metrics().sum("rollcall_syslog_kernel_drops_total", &[]);
    assert_eq!(lost, 0, "a socket buffer of 8 MB holds this flood");
    server.stop();
}
