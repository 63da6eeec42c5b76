//! Thousands of slow connections, and streams that send continuously.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use jiff::SignedDuration;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use super::{http_listeners, verify_others_are_served};
use crate::harness::{Server, Setup, Vpn, frame_3164, until, within};

/// The number of connections of each kind.
const CONNECTIONS: usize = 1000;

/// The number of connections from one address: the limit of a listener is 64.
const PER_ADDRESS: usize = 60;

/// Timeouts that slow connections do not reach during the test.
const LONG_TIMEOUTS: &str = r#"
[enforcement.limits]
header_timeout = "300s"
body_timeout = "300s"
connections = 4096

[rest.limits]
header_timeout = "300s"
body_timeout = "300s"
connections = 4096
"#;

/// Another syslog client, which sends little.
const OTHER: &str = r#"
[[syslog.clients]]
name = "other"
addresses = ["127.0.0.2"]
zone = "UTC"
allow = ["vpn_up"]
"#;

/// A connection from `source` to `to`.
fn connected(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let [a, b, c, d] = source.octets();
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
    let SocketAddr::V4(to) = to else { panic!("{to} is not IPv4") };
    connect(fd.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    TcpStream::from(fd)
}

/// [`CONNECTIONS`] connections to `to`, each with the incomplete request `bytes`, from addresses in
/// the loopback network 127.1.`network`.0/24.
fn slow_connections(network: u8, to: SocketAddr, bytes: &[u8]) -> Vec<TcpStream> {
    let one = |n: usize| {
        let host = u8::try_from(1 + n / PER_ADDRESS).unwrap();
        let mut stream = connected(Ipv4Addr::new(127, 1, network, host), to);
        stream.write_all(bytes).unwrap();
        stream
    };
    (0..CONNECTIONS).map(one).collect()
}

fn open_files(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

#[test]
fn thousands_of_slow_connections_do_not_block_other_clients() {
    let tls = "[enforcement.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n";
    let plain = Setup::new().replacing(tls, "insecure = true\n");
    let server = Server::start(plain.with(LONG_TIMEOUTS));
    let before = open_files(&server);
    let [enforcement, rest] = http_listeners(&server);
    let body = b"POST /oauth_token/oauth HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\ngrant";
    let head = b"GET /healthz HTTP/1.1\r\nHost: ";
    let held = [
        slow_connections(0, rest, head),
        slow_connections(1, enforcement, body),
        slow_connections(2, enforcement, b""),
    ];
    until("the server holds all connections", || {
        (open_files(&server) >= before + held.len() * CONNECTIONS).then_some(())
    });
    for n in 10..20 {
        verify_others_are_served(&server, n);
    }
    let ready = || (server.get("/readyz").status == 200).then_some(());
    until("the server is ready", ready);
    assert!(
        open_files(&server) >= before + held.len() * CONNECTIONS,
        "the connections are still open"
    );
    drop(held);
    until("the connections are closed", || {
        (open_files(&server) < before + CONNECTIONS).then_some(())
    });
    verify_others_are_served(&server, 20);
    server.stop();
}

#[test]
fn continuous_streams_do_not_delay_datagrams_of_other_clients() {
    let server = Server::start(Setup::new().with(OTHER));
    let (stop, to) = (Arc::new(AtomicBool::new(false)), server.tcp());
    let flood = |n: u8| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(to).unwrap();
            while !stop.load(SeqCst) {
                let line = |host: u8| {
                    let address = format!("10.40.{n}.{host}");
                    frame_3164(
                        &Vpn { user: "mallory", address: &address }.up(),
                        SignedDuration::ZERO,
                    )
                };
                let lines: Vec<String> = (1..=250).map(line).collect();
                if stream.write_all((lines.join("\n") + "\n").as_bytes()).is_err() {
                    return;
                }
            }
        })
    };
    let floods: Vec<_> = (0..4).map(flood).collect();
    let depth = || server.metrics().sum("rollcall_actor_mailbox_depth", &[("actor", "syslog")]);
    until("the mailbox of the producer is full", || (depth() >= 60).then_some(()));
    let other = UdpSocket::bind("127.0.0.2:0").unwrap();
    for n in 1..=10 {
        let address = format!("10.41.0.{n}");
        let line = frame_3164(&Vpn { user: "alice", address: &address }.up(), SignedDuration::ZERO);
        other.send_to(line.as_bytes(), server.udp()).unwrap();
        // Before it are 64 batches in the mailbox of the producer and one of each waiting stream:
        // less than a second, in an unoptimized build.
        let seen = || (server.user_at(&address).as_deref() == Some("alice")).then_some(());
        assert!(within(Duration::from_secs(5), seen).is_some(), "{address} waited for the flood");
        assert!(depth() > 0, "the flood continues");
    }
    stop.store(true, SeqCst);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    server.stop();
}
