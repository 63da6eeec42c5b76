//! Tests with real sockets, up to the session in the query actor.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use actix::System;
use rollcall_identity::{Address, ChangeLogLimits, MemoryJournal, Rules, Session};

use super::*;
use crate::{Close, ProducerActor};
use rollcall_engine::Engine;
use rollcall_engine::messages::LookupAddress;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

const CONFIG: &str = r#"
[[syslog]]
name = "syslog"
udp = ["127.0.0.1:0"]
tcp = ["127.0.0.1:0"]
limits = { message_size = 2048, connections_per_client = 2 }

[[syslog.clients]]
name = "loopback"
addresses = ["127.0.0.0/8"]
templates = ["junos-vpn"]
event_time = "arrival"
allow = ["vpn_up", "vpn_down"]
"#;

fn settings() -> config::Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    std::fs::write(&file, CONFIG).unwrap();
    config::load(Some(&file), &config::Environment::process()).unwrap()
}

struct Fixture {
    engine: Engine,
    mailbox: Mailbox<ProducerActor>,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Fixture {
    async fn open() -> Self {
        let (settings, clock) = (settings(), Clock::system());
        let syslog = Syslog::bind(&settings.syslog[0], None, clock.clone(), &[]).unwrap();
        Self::with(Arc::new(syslog), settings, clock).await
    }

    async fn with(syslog: Arc<Syslog>, settings: config::Settings, clock: Clock) -> Self {
        let [(_, udp), (_, tcp)] = syslog.listening()[..] else { panic!("two listeners") };
        let rules: Rules = settings.rules.clone();
        let engine =
            Engine::start(MemoryJournal::new(1), rules, ChangeLogLimits::default(), &clock)
                .await
                .unwrap();
        let mailbox = Mailbox::<ProducerActor>::new("syslog", clock);
        let (producer, own, cache) = (syslog, mailbox.clone(), engine.cache.clone());
        let factory = move || {
            ProducerActor::new(
                Arc::clone(&producer) as Arc<dyn Producer>,
                own.clone(),
                cache.clone(),
            )
        };
        engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await.unwrap();
        Self { engine, mailbox, udp, tcp }
    }

    async fn lookup(&self, address: &str) -> Option<Arc<Session>> {
        let address: Address = address.parse().unwrap();
        self.engine.query.send(LookupAddress(address)).await.unwrap()
    }

    async fn wait_until(&self, address: &str, wanted: impl Fn(Option<&str>) -> bool) {
        for _ in 0..1000 {
            let session = self.lookup(address).await;
            let user = session.as_ref().and_then(|s| s.principal.as_ref()).map(|p| p.user.as_str());
            if wanted(user) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{address} did not reach the expected state: {:?}", self.lookup(address).await);
    }
}

fn vpn(direction: &str, user: &str, address: &str) -> String {
    format!(
        "<30>Nov 21 19:13:59 fw iked[17437]: IKE_VPN_{}_ALARM_USER: VPN v from 192.0.2.1 is {}. \
         Local-ip: 192.0.2.2, gateway name: gw, vpn name: v, tunnel-id: 500027, local tunnel-if: \
         st0.0, remote tunnel-ip: 192.0.2.9, Local IKE-ID: fw.test, Remote IKE-ID: {user}, AAA \
         username: {user}, VR id: root, Traffic-selector: ts1, Traffic-selector local ID: \
         ipv4(0,0-65535,0.0.0.0-255.255.255.255) , Traffic-selector remote ID: \
         ipv4(0,0-65535,{address}-{address}) , SA Type: dynamic",
        direction.to_uppercase(),
        direction,
    )
}

fn story(test: impl AsyncFnOnce(Fixture)) {
    System::new().block_on(async { test(Fixture::open().await).await });
}

#[test]
fn a_datagram_becomes_a_session_and_another_ends_it() {
    story(async |fixture| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(vpn("up", "alice", "10.1.0.1").as_bytes(), fixture.udp).unwrap();
        fixture.wait_until("10.1.0.1", |user| user == Some("alice")).await;
        socket.send_to(vpn("down", "alice", "10.1.0.1").as_bytes(), fixture.udp).unwrap();
        fixture.wait_until("10.1.0.1", |user| user.is_none()).await;
    });
}

#[test]
fn a_stream_is_read_in_both_framings_to_its_last_line() {
    story(async |fixture| {
        let counted = vpn("up", "bob", "10.1.0.2");
        let mut stream = TcpStream::connect(fixture.tcp).unwrap();
        write!(stream, "{} {counted}", counted.len()).unwrap();
        let mut lines = TcpStream::connect(fixture.tcp).unwrap();
        write!(lines, "{}\n{}", vpn("up", "carol", "10.1.0.3"), vpn("up", "dave", "10.1.0.4"))
            .unwrap();
        drop(lines);
        fixture.wait_until("10.1.0.2", |user| user == Some("bob")).await;
        fixture.wait_until("10.1.0.3", |user| user == Some("carol")).await;
        fixture.wait_until("10.1.0.4", |user| user == Some("dave")).await;
    });
}

#[test]
fn ten_thousand_datagrams_with_invalid_ones_are_all_decided() {
    story(async |fixture| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..10_000_u32 {
            let address = std::net::Ipv4Addr::from(0x0a02_0000 + n).to_string();
            socket
                .send_to(vpn("up", &format!("user{n}"), &address).as_bytes(), fixture.udp)
                .unwrap();
            if n % 100 == 0 {
                socket.send_to(&[0xff, 0x00, b'<', 0x80], fixture.udp).unwrap();
                socket.send_to(&[b'x'; 4000], fixture.udp).unwrap();
                fixture.wait_until(&address, |user| user.is_some()).await;
            }
        }
        fixture.wait_until("10.2.39.15", |user| user == Some("user9999")).await;
    });
}

#[test]
fn connections_are_limited_per_client_and_unknown_senders_have_none() {
    story(async |fixture| {
        let first = TcpStream::connect(fixture.tcp).unwrap();
        let _second = TcpStream::connect(fixture.tcp).unwrap();
        let mut third = TcpStream::connect(fixture.tcp).unwrap();
        third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let closed = tokio::task::spawn_blocking(move || std::io::Read::read(&mut third, &mut [0]));
        assert_eq!(closed.await.unwrap().unwrap(), 0, "the third connection is closed");
        drop(first);
    });
}

#[test]
fn received_events_are_submitted_before_a_close() {
    story(async |fixture| {
        let mut stream = TcpStream::connect(fixture.tcp).unwrap();
        writeln!(stream, "{}", vpn("up", "erin", "10.1.0.5")).unwrap();
        fixture.wait_until("10.1.0.5", |user| user == Some("erin")).await;
        fixture.mailbox.send(Close).await.unwrap();
        assert!(fixture.lookup("10.1.0.5").await.is_some());
    });
}

#[test]
fn the_receive_buffer_is_resized_when_reading_starts() {
    let (mut changed, clock) = (settings(), Clock::system());
    let section = &mut changed.syslog[0];
    section.limits.receive_buffer = 32 << 10;
    let first = Syslog::bind(section, None, clock.clone(), &[]).unwrap();
    let before = first.udp[0].socket.holds();
    section.limits.receive_buffer = 64 << 10;
    let next = Arc::new(Syslog::bind(section, None, clock.clone(), &[&first]).unwrap());
    assert_eq!(first.udp[0].socket.holds(), before, "the new configuration may still be rejected");
    System::new().block_on(async {
        let fixture = Fixture::with(next, changed, clock).await;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(vpn("up", "alice", "10.1.0.1").as_bytes(), fixture.udp).unwrap();
        fixture.wait_until("10.1.0.1", |user| user == Some("alice")).await;
    });
    assert!(first.udp[0].socket.holds() > before, "it is read with the new size");
}
