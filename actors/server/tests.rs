//! A whole server: it loses no session when its actors die, when it is changed, or when it is told
//! what it cannot be.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use actix::System;
use metrics_exporter_prometheus::PrometheusBuilder;
use rollcall_config::Environment;
use rollcall_identity::directory::{DomainNames, UnqualifiedNames};
use rollcall_identity::{Address, Name};

use super::*;
use rollcall_engine::messages::{GetNewestCursor, LookupAddress};
use rollcall_runtime::supervisor::{ActorState, Fault, ListActors};

const SYSLOG: &str = r#"
[[syslog]]
name = "syslog"
udp = ["127.0.0.1:0"]

[[syslog.clients]]
name = "loopback"
addresses = ["127.0.0.0/8"]
templates = ["junos-vpn"]
allow = ["vpn_up", "vpn_down"]
"#;

const DOORS: &str = r#"
shutdown_timeout = "5s"
[enforcement]
listen = ["127.0.0.1:0"]
[rest]
listen = "127.0.0.1:0"
"#;

struct Lived {
    server: Server,
    udp: SocketAddr,
    folder: tempfile::TempDir,
}

fn settings(folder: &Path, text: &str) -> Settings {
    let file = folder.join("rollcall.toml");
    std::fs::write(&file, text).unwrap();
    config::load(Some(&file), &Environment::process()).unwrap()
}

impl Lived {
    async fn move_in() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = ServerBuilder::bind(
            settings(folder.path(), &[DOORS, SYSLOG].concat()),
            &Clock::system(),
        );
        let plan = plan.unwrap_or_else(|problems| panic!("{problems:?}"));
        let udp = plan.listening().into_iter().find(|l| l.scheme == "udp").unwrap().address;
        let reload: Reload = Arc::new(|| Box::pin(async { Err(Vec::new()) }));
        let recorder = PrometheusBuilder::new().build_recorder().handle();
        let server = plan.build(reload, recorder).await.unwrap();
        Self { server, udp, folder }
    }

    fn send(&self, user: &str, address: &str) {
        let line = format!(
            "IKE_VPN_UP_ALARM_USER: VPN v from 192.0.2.1 is up. Local-ip: 192.0.2.2, gateway name: \
             gw, vpn name: v, tunnel-id: 1, local tunnel-if: st0.0, remote tunnel-ip: 192.0.2.9, \
             Local IKE-ID: fw, Remote IKE-ID: {user}, AAA username: {user}, VR id: root, \
             Traffic-selector: ts1, Traffic-selector local ID: \
             ipv4(0,0-65535,0.0.0.0-255.255.255.255) , Traffic-selector remote ID: \
             ipv4(0,0-65535,{address}-{address}) , SA Type: dynamic"
        );
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(line.as_bytes(), self.udp).unwrap();
    }

    /// Waits until `user` has `address`.
    async fn until(&self, user: &str, address: &str) {
        let wanted: Address = address.parse().unwrap();
        for _ in 0..1000 {
            // While the query actor is being replaced there is no answer.
            if let Ok(Some(session)) = self.server.engine.query.send(LookupAddress(wanted)).await
                && session.principal.as_ref().is_some_and(|p| p.user.as_str() == user)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{user} never had {address}");
    }

    /// Waits until the supervisor knows that the actor panicked, whether it is replaced yet or not.
    async fn until_mourned(&self, actor: &str) {
        for _ in 0..1000 {
            let all = self.server.engine.supervisor.send(ListActors).await.unwrap();
            if all.iter().any(|one| one.actor == actor && one.restarts.contains_key("panic")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("nobody noticed that {actor} panicked");
    }

    async fn until_replaced(&self, actor: &str) {
        for _ in 0..1000 {
            let all = self.server.engine.supervisor.send(ListActors).await.unwrap();
            let one = all.iter().find(|attendance| attendance.actor == actor).unwrap();
            if one.state == ActorState::Running && one.restarts.contains_key("panic") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{actor} was never replaced");
    }
}

fn story(test: impl AsyncFnOnce(Lived)) {
    System::new().block_on(async { test(Lived::move_in().await).await });
}

#[test]
fn a_cache_that_panics_is_replaced_and_no_session_is_lost() {
    story(async |lived| {
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
        let _ = lived.server.engine.cache.send(Fault).await;
        lived.until_replaced("cache").await;
        lived.until("alice", "10.7.0.1").await;
        lived.send("bob", "10.7.0.2");
        lived.until("bob", "10.7.0.2").await;
        let why = lived
            .server
            .engine
            .cache
            .send(rollcall_engine::messages::Explain("10.7.0.1".parse().unwrap()));
        assert!(why.await.unwrap().session.is_some(), "the new cache knows it, too");
    });
}

#[test]
fn a_query_actor_that_panics_is_replaced_and_keeps_the_epoch() {
    story(async |lived| {
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
        let before = lived.server.engine.query.send(GetNewestCursor).await.unwrap();
        let _ = lived.server.engine.query.send(Fault).await;
        lived.until_replaced("query").await;
        lived.until("alice", "10.7.0.1").await;
        assert_eq!(lived.server.engine.query.send(GetNewestCursor).await.unwrap(), before);
        lived.send("bob", "10.7.0.2");
        lived.until("bob", "10.7.0.2").await;
    });
}

#[test]
fn a_producer_that_panics_loses_no_buffered_datagram() {
    story(async |lived| {
        let mailbox = lived.server.running[&Name::new("syslog").unwrap()].mailbox.clone();
        let _ = mailbox.send(Fault).await;
        // What is on its way into a dying actor is counted as dropped. What comes once it is known
        // to be dead waits for its successor, in the kernel or with the reader that it left behind.
        lived.until_mourned("syslog").await;
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
    });
}

#[test]
fn a_reload_replaces_only_what_changed_on_the_same_sockets() {
    story(async |mut lived| {
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
        let other = SYSLOG.replace("name = \"loopback\"", "name = \"lo\"\ndomain = \"corp\"");
        let next = settings(lived.folder.path(), &[DOORS, &other].concat());
        let report = lived.server.reload(next.clone()).await.unwrap();
        assert_eq!(report.changed, ["rules", "syslog"]);
        assert_eq!(report.restarted, ["syslog"]);
        lived.until("alice", "10.7.0.1").await;
        lived.send("bob", "10.7.0.2");
        lived.until("bob", "10.7.0.2").await;
        let again = lived.server.reload(next).await.unwrap();
        assert_eq!((again.changed, again.restarted), (vec![], vec![]));
    });
}

#[test]
fn a_failed_reload_changes_nothing_and_reports_the_errors() {
    story(async |mut lived| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap();
        let wrong = SYSLOG.replace("udp =", &format!("tcp = [\"{taken}\"]\nudp ="));
        let wrong = settings(lived.folder.path(), &[DOORS, &wrong].concat());
        let problems = lived.server.reload(wrong).await.unwrap_err();
        assert!(problems[0].contains(&taken.to_string()), "{problems:?}");
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
    });
}

#[test]
fn only_a_successful_reload_replaces_the_certificate() {
    story(async |mut lived| {
        let file = lived.folder.path().join("rollcall-data/tls/enforcement.pem");
        let before = std::fs::read_to_string(&file).unwrap();
        let named = [DOORS, "[enforcement.tls]\nnames = [\"id.example.net\"]\n"].concat();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().unwrap();
        let wrong = SYSLOG.replace("udp =", &format!("tcp = [\"{taken}\"]\nudp ="));
        let wrong = settings(lived.folder.path(), &[&named, wrong.as_str()].concat());
        lived.server.reload(wrong).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);

        let next = settings(lived.folder.path(), &[&named, SYSLOG].concat());
        let report = lived.server.reload(next.clone()).await.unwrap();
        assert_eq!(report.restarted, ["enforcement"]);
        assert!(std::fs::read_to_string(&file).unwrap().contains("id.example.net"));
        // One that is made anew although nothing in the configuration differs is shown, too.
        std::fs::remove_file(&file).unwrap();
        let report = lived.server.reload(next).await.unwrap();
        assert_eq!((report.changed, report.restarted), (vec![], vec!["enforcement".to_owned()]));
    });
}

#[test]
fn settings_that_need_a_restart_are_reported_by_every_reload() {
    story(async |mut lived| {
        let other = "[log]\nformat = \"json\"\n[change_log]\ntombstone_retention = \"2h\"\n\
                     [journal]\nretention = \"40d\"\n";
        let tokens = DOORS.replace("[rest]\n", "[rest]\ntoken_file = \"other.token\"\n");
        let waits = settings(lived.folder.path(), &[&tokens, SYSLOG, other].concat());
        for _ in 0..2 {
            let report = lived.server.reload(waits.clone()).await.unwrap();
            assert_eq!(report.after_restart, ["change_log", "journal", "rest.token_file", "log"]);
            assert_eq!(report.restarted, [""; 0]);
        }
        let back = settings(lived.folder.path(), &[DOORS, SYSLOG].concat());
        let report = lived.server.reload(back).await.unwrap();
        assert_eq!((report.changed, report.after_restart), (vec![], vec![]), "as it was started");
    });
}

#[test]
fn a_reload_into_another_data_folder_is_refused() {
    story(async |mut lived| {
        let moved = ["data = \"elsewhere\"\n", DOORS].concat();
        let moved = settings(lived.folder.path(), &moved);
        let problems = lived.server.reload(moved).await.unwrap_err();
        assert!(problems[0].contains("elsewhere") && problems.len() == 1, "{problems:?}");
        let running: Vec<_> = lived.server.running.keys().map(Name::as_str).collect();
        assert_eq!(running, ["ptim", "syslog"], "the producer that it did not name is there");
        assert!(!lived.folder.path().join("elsewhere").exists());
    });
}

#[test]
fn a_producer_that_is_configured_away_is_gone() {
    story(async |mut lived| {
        let next = settings(lived.folder.path(), DOORS);
        let report = lived.server.reload(next).await.unwrap();
        assert_eq!(report.restarted, ["syslog"]);
        let all = lived.server.engine.supervisor.send(ListActors).await.unwrap();
        assert!(all.iter().all(|attendance| attendance.actor != "syslog"));
    });
}

/// Directories with unreachable domain controllers.
fn directories(folder: &Path, domains: &[(&str, &str)]) -> Settings {
    let secret = folder.join("secret");
    std::fs::write(&secret, "canary").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let pin = "00".repeat(32);
    let section = |(name, domain): &(&str, &str)| {
        format!(
            "[[active_directory]]\nname = \"{name}\"\ndomain = \"{domain}\"\n\
             servers = [\"127.0.0.1\"]\naccount = \"rollcall@{domain}\"\n\
             secret_file = {secret:?}\npins = [\"{pin}\"]\n"
        )
    };
    let sections: String = domains.iter().map(section).collect();
    settings(folder, &[DOORS, &sections].concat())
}

#[test]
fn only_the_domains_that_are_configured_are_known() {
    story(async |mut lived| {
        let known = |lived: &Lived| -> Vec<String> {
            let directory = lived.server.engine.directory.read();
            directory.domains().iter().map(|domain| domain.dns.to_string()).collect()
        };
        let before = [("one", "corp.example.com"), ("two", "lab.example.com")];
        let next = directories(lived.folder.path(), &before);
        lived.server.reload(next).await.unwrap();
        for (_, dns) in before {
            let (dns, netbios) = (Name::new(dns).unwrap(), Name::new(&dns[..3]).unwrap());
            let sid = "S-1-5-21-1-2-3".parse().unwrap();
            let names = DomainNames { dns, netbios, sid };
            lived.server.engine.directory.write().put_domain(names, UnqualifiedNames::OtherDomain);
        }
        let mut slower = directories(lived.folder.path(), &before);
        slower.active_directory[0].poll_interval = Duration::from_secs(60);
        let report = lived.server.reload(slower).await.unwrap();
        assert_eq!(report.restarted, ["one"]);
        assert_eq!(known(&lived), ["corp.example.com", "lab.example.com"], "it is read on");
        let moved = [("one", "new.example.com"), ("two", "lab.example.com")];
        lived.server.reload(directories(lived.folder.path(), &moved)).await.unwrap();
        assert_eq!(known(&lived), ["lab.example.com"], "nobody reads the other any more");
        lived.server.reload(directories(lived.folder.path(), &moved[..1])).await.unwrap();
        assert_eq!(known(&lived), [""; 0]);
    });
}

#[test]
fn a_producer_of_pushes_can_be_renamed() {
    story(async |mut lived| {
        let renamed = [DOORS, "[ptim]\nname = \"pushes\"\n", SYSLOG].concat();
        let report = lived.server.reload(settings(lived.folder.path(), &renamed)).await.unwrap();
        assert_eq!(report.restarted, ["ptim", "pushes"]);
        let all = lived.server.engine.supervisor.send(ListActors).await.unwrap();
        let names: Vec<_> = all.iter().map(|attendance| attendance.actor.as_str()).collect();
        assert!(names.contains(&"pushes") && !names.contains(&"ptim"), "{names:?}");
        lived.server.drain().await.unwrap();
    });
}

#[test]
fn all_unavailable_resources_are_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let text = DOORS.replace("\"127.0.0.1:0\"]", &format!("\"{taken}\"]"));
    let problems = ServerBuilder::bind(settings(folder.path(), &text), &Clock::system()).err();
    drop(holder);
    let problems = problems.unwrap();
    assert!(problems.iter().all(|p| matches!(p, BindError::Unavailable(_))), "{problems:?}");
}

#[test]
fn a_house_is_drained_in_time() {
    story(async |lived| {
        lived.send("alice", "10.7.0.1");
        lived.until("alice", "10.7.0.1").await;
        lived.server.drain().await.unwrap();
    });
}
