//! The server is killed at random times while events are pushed, a firewall polls and Secure Edge
//! receives updates: no acknowledged event is lost, and no session appears without an event.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::generator::{Generator, seed, sessions};
use super::with_fixed_port;
use crate::harness::{ONBOARDING, SecureEdge, SeededRng, Server, Setup, Srx, until};

/// The number of kills; `tests/crash.sh` sets more.
const KILLS: u64 = 200;

/// The longest run of a server, in milliseconds: long enough to seal a segment occasionally.
const MAX_RUN_MS: u64 = 400;

/// Small segments and many snapshots, so that kills interrupt each of them. The addresses change
/// users more often than real shared addresses.
const JOURNAL: &str = "[journal]\nsegment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// The epoch in the cookie of the firewall.
fn epoch(firewall: &Srx) -> String {
    firewall.cookie().and_then(|cookie| cookie.split(['.', '-']).next()).unwrap().to_owned()
}

#[test]
fn a_kill_at_any_time_loses_no_acknowledged_event() {
    let kills = env::var("ROLLCALL_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = seed();
    let setup = with_fixed_port(Setup::new()).with(JOURNAL).with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start(setup.authority());
    let mut server = Server::start(setup.with(&edge.section("")));
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let first_epoch = epoch(&firewall);
    let mut generator = Generator::new(server.client("script"), seed);
    let mut chance = SeededRng::new(!seed);
    for kill in 1..=kills {
        let dead = AtomicBool::new(false);
        let alive = || !dead.load(SeqCst);
        server = thread::scope(|scope| {
            scope.spawn(|| generator.send_while(alive));
            scope.spawn(|| {
                while alive() {
                    // The firewall polls all the time, and retries when the server does not answer.
                    let _ = firewall.batches(0);
                    thread::sleep(Duration::from_millis(5));
                }
            });
            thread::sleep(Duration::from_millis(chance.below(MAX_RUN_MS)));
            let killed = server.kill();
            dead.store(true, SeqCst);
            killed
        })
        .start_again();
        let log = server.log();
        assert!(!log.contains("damaged") && !log.contains("panicked"), "kill {kill}: {log}");
        generator.check(&sessions(&server));
    }
    // An event with an unknown outcome is sent again until it is acknowledged.
    until("the last event is acknowledged", || generator.send().then_some(()));
    firewall.poll();
    let sessions = sessions(&server);
    assert_eq!(sessions, generator.acknowledged_sessions);
    let table: BTreeMap<String, String> =
        firewall.table().iter().map(|(at, entry)| (at.clone(), entry.user.clone())).collect();
    assert_eq!(table, sessions, "the firewall that polled during all kills");
    until("Secure Edge has the same sessions", || (edge.users() == sessions).then_some(()));
    assert_eq!(epoch(&firewall), first_epoch, "the epoch never changed");
    let Generator { acknowledged, revision, .. } = generator;
    let full_resyncs = edge.state().synchronised;
    println!("{kills} kills, {acknowledged} events acknowledged, revision {revision}, 0 lost");
    println!("Secure Edge received {full_resyncs} full resyncs");
    server.stop();
}
