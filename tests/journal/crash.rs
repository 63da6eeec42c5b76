//! The server is killed at random moments while events are pushed, a firewall polls and a Secure Edge
//! is told: no event that was acknowledged is lost, and nobody is there who never was.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::generator::{Generator, everybody, seed};
use super::with_fixed_port;
use crate::harness::{ONBOARDING, SecureEdge, SeededRng, Server, Setup, Srx, until};

/// How often the server is killed: `tests/crash.sh` sets more.
const KILLS: u64 = 200;

/// The longest that a server lives, in milliseconds: long enough to seal a segment now and then.
const LIFE: u64 = 400;

/// Small segments, many snapshots: a kill meets each of them half done. The addresses are fought over
/// by more users than share one in earnest.
const TERMS: &str = "[journal]\nsegment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// The life of the positions, as a cookie says it.
fn epoch(firewall: &Srx) -> String {
    firewall.cookie().and_then(|cookie| cookie.split(['.', '-']).next()).unwrap().to_owned()
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_acknowledged() {
    let kills = env::var("ROLLCALL_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = seed();
    let setup = with_fixed_port(Setup::new()).with(TERMS).with_secret("edge.token", ONBOARDING);
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
                    // It polls through everything; who does not answer is asked again.
                    let _ = firewall.batches(0);
                    thread::sleep(Duration::from_millis(5));
                }
            });
            thread::sleep(Duration::from_millis(chance.below(LIFE)));
            let killed = server.kill();
            dead.store(true, SeqCst);
            killed
        })
        .start_again();
        let log = server.log();
        assert!(!log.contains("damaged") && !log.contains("panicked"), "kill {kill}: {log}");
        generator.check(&everybody(&server));
    }
    // Whatever is unknown is sent again, until everything is sure.
    until("the last event is acknowledged", || generator.send().then_some(()));
    firewall.poll();
    let there = everybody(&server);
    assert_eq!(there, generator.sure);
    let heard: BTreeMap<String, String> =
        firewall.table().iter().map(|(at, heard)| (at.clone(), heard.user.clone())).collect();
    assert_eq!(heard, there, "the firewall that polled through all of it");
    until("the Secure Edge that was told through all of it holds the same", || {
        (edge.users() == there).then_some(())
    });
    assert_eq!(epoch(&firewall), first_epoch, "no position was ever in doubt");
    let Generator { acknowledged, revision, .. } = generator;
    let synchronised = edge.state().synchronised;
    println!("{kills} kills, {acknowledged} events acknowledged, revision {revision}, 0 lost");
    println!("the Secure Edge was synchronised from nothing {synchronised} times");
    server.stop();
}
