//! The server is killed at random moments while events are pushed, a firewall polls and a Secure Edge
//! is told: no event that was acknowledged is lost, and nobody is there who never was.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::on_one_port;
use crate::harness::{Chance, ONBOARDING, SecureEdge, Server, Setup, Srx, now, until};

/// How often the server is killed: `tests/crash.sh` sets more.
const KILLS: u64 = 200;

/// How many addresses there are: few, so that each is fought over.
const ADDRESSES: u64 = 40;

/// The longest that a server lives, in milliseconds: long enough to seal a segment now and then.
const LIFE: u64 = 400;

/// Small segments, many snapshots: a kill meets each of them half done. The addresses are fought over
/// by more users than share one in earnest.
const TERMS: &str = "[journal]\nsegment_events = 100\nsnapshot_interval = \"1s\"\n\
                     [rules.sharing]\nusers_per_minute = 0";

/// One thing that happens at an address.
#[derive(Debug, Clone)]
struct Step {
    address: String,
    /// Who is there afterwards.
    user: Option<String>,
    event: Value,
}

/// What the generator was told, and what it does not know.
struct Generator {
    script: Srx,
    chance: Chance,
    steps: u64,
    last: Timestamp,
    /// Who must be where: everything that was acknowledged.
    sure: BTreeMap<String, String>,
    /// What was sent and not answered: it may be in, or not. It is sent again as it was.
    unknown: Option<Step>,
    acknowledged: u64,
    /// The highest revision of an answer.
    revision: u64,
}

impl Generator {
    fn new(script: Srx, seed: u64) -> Self {
        Self {
            script,
            chance: Chance::new(seed),
            steps: 0,
            last: now(),
            sure: BTreeMap::new(),
            unknown: None,
            acknowledged: 0,
            revision: 0,
        }
    }

    /// A login of somebody new, or the logout of who is there, later than every step before.
    fn next(&mut self) -> Step {
        self.steps += 1;
        let host = self.chance.below(ADDRESSES);
        let address = format!("10.61.0.{host}");
        self.last = now().max(self.last + jiff::SignedDuration::from_millis(1));
        let at = self.last.to_string();
        let leaves = self.chance.below(4) == 0;
        match self.sure.get(&address).filter(|_| leaves) {
            Some(user) => {
                let event = json!({"kind": "logout", "address": address, "user": user, "at": at});
                Step { address, user: None, event }
            }
            None => {
                let user = format!("u{}", self.steps);
                let event = json!({"kind": "login", "address": address, "user": user, "at": at});
                Step { address, user: Some(user), event }
            }
        }
    }

    /// Sends until nobody answers or `stop` is set.
    fn send_while(&mut self, goes_on: impl Fn() -> bool) {
        while goes_on() {
            let step = self.unknown.take().unwrap_or_else(|| self.next());
            self.unknown = Some(step.clone());
            match self.script.offer(&step.event) {
                Ok(answer) if answer.status == 200 => {
                    let revision = answer.json()["revision"].as_u64().unwrap();
                    assert!(revision > self.revision, "{revision} after {}", self.revision);
                    self.revision = revision;
                    self.take_in(step);
                }
                // A token of the life before; or it is starting, or stopping.
                Ok(answer) => assert!([401, 503].contains(&answer.status), "{answer:?}"),
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn take_in(&mut self, Step { address, user, .. }: Step) {
        match user {
            Some(user) => drop(self.sure.insert(address, user)),
            None => drop(self.sure.remove(&address)),
        }
        self.unknown = None;
        self.acknowledged += 1;
    }

    /// Checks what a server says that was started after a kill.
    fn check(&self, there: &BTreeMap<String, String>) {
        let mut other = self.sure.clone();
        if let Some(Step { address, user, .. }) = &self.unknown {
            match user {
                Some(user) => drop(other.insert(address.clone(), user.clone())),
                None => drop(other.remove(address)),
            }
        }
        let fine = *there == self.sure || *there == other;
        assert!(fine, "there: {there:?}\nsure: {:?}\nunknown: {:?}", self.sure, self.unknown);
    }
}

/// Everybody that the server says is there.
fn everybody(server: &Server) -> BTreeMap<String, String> {
    let body = server.get("/api/v1/sessions?limit=1000").json();
    let sessions = body["sessions"].as_array().unwrap_or_else(|| panic!("no list: {body}"));
    let text = |session: &Value, key: &str| session[key].as_str().unwrap().to_owned();
    sessions.iter().map(|one| (text(one, "address"), text(one, "user"))).collect()
}

/// The life of the positions, as a cookie says it.
fn epoch(firewall: &Srx) -> String {
    firewall.cookie().and_then(|cookie| cookie.split(['.', '-']).next()).unwrap().to_owned()
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_acknowledged() {
    let kills = env::var("ROLLCALL_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = env::var("ROLLCALL_SEED")
        .map_or_else(|_| now().as_millisecond().cast_unsigned(), |seed| seed.parse().unwrap());
    println!("ROLLCALL_SEED={seed} repeats the moments");
    let setup = on_one_port(Setup::new()).with(TERMS).with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start(setup.authority());
    let mut server = Server::start(setup.with(&edge.section("")));
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let first_epoch = epoch(&firewall);
    let mut generator = Generator::new(server.client("script"), seed);
    let mut chance = Chance::new(!seed);
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
    until("the last event is acknowledged", || {
        let mut once = Some(()).into_iter();
        let once = std::cell::RefCell::new(&mut once);
        generator.send_while(|| once.borrow_mut().next().is_some());
        generator.unknown.is_none().then_some(())
    });
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
    let synchronised = edge.holds().synchronised;
    println!("{kills} kills, {acknowledged} events acknowledged, revision {revision}, 0 lost");
    println!("the Secure Edge was synchronised from nothing {synchronised} times");
    server.stop();
}
