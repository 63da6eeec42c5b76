//! Generates logins and logouts while a server is killed, and tracks the acknowledged events and
//! the sessions that must exist afterwards.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{SeededRng, Server, Srx, now};

/// The number of addresses: few, so that each has many events.
const ADDRESSES: u64 = 40;

/// One event at an address.
#[derive(Debug, Clone)]
struct Step {
    address: String,
    /// The user of the address afterwards.
    user: Option<String>,
    event: Value,
}

/// Pushes one event after another, and tracks the response to each.
pub(super) struct Generator {
    script: Srx,
    chance: SeededRng,
    steps: u64,
    last: Timestamp,
    /// The sessions after all acknowledged events: address and user.
    pub(super) acknowledged_sessions: BTreeMap<String, String>,
    /// An event without a response: it may be applied or not. It is sent again unchanged.
    unknown: Option<Step>,
    pub(super) acknowledged: u64,
    /// The highest revision in a response.
    pub(super) revision: u64,
}

impl Generator {
    pub(super) fn new(script: Srx, seed: u64) -> Self {
        Self {
            script,
            chance: SeededRng::new(seed),
            steps: 0,
            last: now(),
            acknowledged_sessions: BTreeMap::new(),
            unknown: None,
            acknowledged: 0,
            revision: 0,
        }
    }

    /// A login of a new user, or the logout of the current one, later than all steps before.
    fn next(&mut self) -> Step {
        self.steps += 1;
        let host = self.chance.below(ADDRESSES);
        let address = format!("10.61.0.{host}");
        self.last = now().max(self.last + jiff::SignedDuration::from_millis(1));
        let at = self.last.to_string();
        let is_logout = self.chance.below(4) == 0;
        match self.acknowledged_sessions.get(&address).filter(|_| is_logout) {
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

    /// Sends events as long as `is_running`.
    pub(super) fn send_while(&mut self, is_running: impl Fn() -> bool) {
        while is_running() {
            self.send();
        }
    }

    /// Sends the next event, or the event without a response again. Returns whether it was
    /// acknowledged.
    pub(super) fn send(&mut self) -> bool {
        let step = self.unknown.take().unwrap_or_else(|| self.next());
        self.unknown = Some(step.clone());
        match self.script.try_post_events(&step.event) {
            Ok(answer) if answer.status == 200 => {
                let revision = answer.json()["revision"].as_u64().unwrap();
                assert!(revision > self.revision, "{revision} after {}", self.revision);
                self.revision = revision;
                self.acknowledge(step);
            }
            // A token of an earlier process, or the server is starting or stopping.
            Ok(answer) => assert!([401, 503].contains(&answer.status), "{answer:?}"),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
        self.unknown.is_none()
    }

    fn acknowledge(&mut self, Step { address, user, .. }: Step) {
        match user {
            Some(user) => drop(self.acknowledged_sessions.insert(address, user)),
            None => drop(self.acknowledged_sessions.remove(&address)),
        }
        self.unknown = None;
        self.acknowledged += 1;
    }

    /// Whether the sessions after a restart match the acknowledged events, with or without the
    /// event that has no response.
    pub(super) fn agrees(&self, found: &BTreeMap<String, String>) -> bool {
        let mut other = self.acknowledged_sessions.clone();
        if let Some(Step { address, user, .. }) = &self.unknown {
            match user {
                Some(user) => drop(other.insert(address.clone(), user.clone())),
                None => drop(other.remove(address)),
            }
        }
        *found == self.acknowledged_sessions || *found == other
    }

    /// Panics unless [`Self::agrees`]; the message has the differences.
    #[track_caller]
    pub(super) fn check(&self, found: &BTreeMap<String, String>) {
        let (expected, unknown) = (&self.acknowledged_sessions, &self.unknown);
        assert!(
            self.agrees(found),
            "found: {found:?}\nexpected: {expected:?}\nunknown: {unknown:?}"
        );
    }
}

/// The sessions of the server: address and user.
pub(super) fn sessions(server: &Server) -> BTreeMap<String, String> {
    let body = server.get("/api/v1/sessions?limit=1000").json();
    let sessions = body["sessions"].as_array().unwrap_or_else(|| panic!("no list: {body}"));
    let text = |session: &Value, key: &str| session[key].as_str().unwrap().to_owned();
    sessions.iter().map(|one| (text(one, "address"), text(one, "user"))).collect()
}

/// The seed of `ROLLCALL_SEED`, or a new one. Prints it.
pub(super) fn seed() -> u64 {
    let seed = std::env::var("ROLLCALL_SEED")
        .map_or_else(|_| now().as_millisecond().cast_unsigned(), |seed| seed.parse().unwrap());
    println!("ROLLCALL_SEED={seed} repeats this run");
    seed
}
