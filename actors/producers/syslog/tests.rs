//! Lines through real sockets, to the session that the query actor shows.

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

struct House {
    engine: Engine,
    desk: Mailbox<ProducerActor>,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl House {
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
        let desk = Mailbox::<ProducerActor>::new("syslog", clock);
        let (producer, own, cache) = (syslog, desk.clone(), engine.cache.clone());
        let factory = move || {
            ProducerActor::new(
                Arc::clone(&producer) as Arc<dyn Producer>,
                own.clone(),
                cache.clone(),
            )
        };
        engine.supervisor.send(Spawn::new(desk.clone(), factory)).await.unwrap();
        Self { engine, desk, udp, tcp }
    }

    async fn look(&self, address: &str) -> Option<Arc<Session>> {
        let address: Address = address.parse().unwrap();
        self.engine.query.send(LookupAddress(address)).await.unwrap()
    }

    async fn until(&self, address: &str, wanted: impl Fn(Option<&str>) -> bool) {
        for _ in 0..1000 {
            let session = self.look(address).await;
            let user = session.as_ref().and_then(|s| s.principal.as_ref()).map(|p| p.user.as_str());
            if wanted(user) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{address} never came to what was waited for: {:?}", self.look(address).await);
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

fn story(test: impl AsyncFnOnce(House)) {
    System::new().block_on(async { test(House::open().await).await });
}

#[test]
fn a_datagram_becomes_a_session_and_another_ends_it() {
    story(async |house| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(vpn("up", "alice", "10.1.0.1").as_bytes(), house.udp).unwrap();
        house.until("10.1.0.1", |user| user == Some("alice")).await;
        socket.send_to(vpn("down", "alice", "10.1.0.1").as_bytes(), house.udp).unwrap();
        house.until("10.1.0.1", |user| user.is_none()).await;
    });
}

#[test]
fn a_stream_is_read_in_both_framings_to_its_last_line() {
    story(async |house| {
        let counted = vpn("up", "bob", "10.1.0.2");
        let mut stream = TcpStream::connect(house.tcp).unwrap();
        write!(stream, "{} {counted}", counted.len()).unwrap();
        let mut lines = TcpStream::connect(house.tcp).unwrap();
        write!(lines, "{}\n{}", vpn("up", "carol", "10.1.0.3"), vpn("up", "dave", "10.1.0.4"))
            .unwrap();
        drop(lines);
        house.until("10.1.0.2", |user| user == Some("bob")).await;
        house.until("10.1.0.3", |user| user == Some("carol")).await;
        house.until("10.1.0.4", |user| user == Some("dave")).await;
    });
}

#[test]
fn ten_thousand_datagrams_and_garbage_are_all_decided() {
    story(async |house| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..10_000_u32 {
            let address = std::net::Ipv4Addr::from(0x0a02_0000 + n).to_string();
            socket.send_to(vpn("up", &format!("user{n}"), &address).as_bytes(), house.udp).unwrap();
            if n % 100 == 0 {
                socket.send_to(&[0xff, 0x00, b'<', 0x80], house.udp).unwrap();
                socket.send_to(&[b'x'; 4000], house.udp).unwrap();
                house.until(&address, |user| user.is_some()).await;
            }
        }
        house.until("10.2.39.15", |user| user == Some("user9999")).await;
    });
}

#[test]
fn a_client_has_so_many_streams_and_a_stranger_none() {
    story(async |house| {
        let first = TcpStream::connect(house.tcp).unwrap();
        let _second = TcpStream::connect(house.tcp).unwrap();
        let mut third = TcpStream::connect(house.tcp).unwrap();
        third.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let closed = tokio::task::spawn_blocking(move || std::io::Read::read(&mut third, &mut [0]));
        assert_eq!(closed.await.unwrap().unwrap(), 0, "the third is closed at once");
        drop(first);
    });
}

#[test]
fn what_was_taken_in_is_handed_over_before_it_closes() {
    story(async |house| {
        let mut stream = TcpStream::connect(house.tcp).unwrap();
        writeln!(stream, "{}", vpn("up", "erin", "10.1.0.5")).unwrap();
        house.until("10.1.0.5", |user| user == Some("erin")).await;
        house.desk.send(Close).await.unwrap();
        assert!(house.look("10.1.0.5").await.is_some());
    });
}

#[test]
fn the_kernels_buffer_is_resized_by_whoever_reads_and_not_by_whoever_is_only_drawn() {
    let (mut changed, clock) = (settings(), Clock::system());
    let section = &mut changed.syslog[0];
    section.limits.receive_buffer = 32 << 10;
    let first = Syslog::bind(section, None, clock.clone(), &[]).unwrap();
    let before = first.udp[0].socket.holds();
    section.limits.receive_buffer = 64 << 10;
    let next = Arc::new(Syslog::bind(section, None, clock.clone(), &[&first]).unwrap());
    assert_eq!(first.udp[0].socket.holds(), before, "it may yet be told that it is not wanted");
    System::new().block_on(async {
        let house = House::with(next, changed, clock).await;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(vpn("up", "alice", "10.1.0.1").as_bytes(), house.udp).unwrap();
        house.until("10.1.0.1", |user| user == Some("alice")).await;
    });
    assert!(first.udp[0].socket.holds() > before, "it is read with the new size");
}
