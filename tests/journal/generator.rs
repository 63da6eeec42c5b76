//! Who logs in and out while a server is killed: what was acknowledged, what was not, and who must be
//! where afterwards.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{SeededRng, Server, Srx, now};

/// How many addresses there are: few, so that each is fought over.
const ADDRESSES: u64 = 40;

/// One thing that happens at an address.
#[derive(Debug, Clone)]
struct Step {
    address: String,
    /// Who is there afterwards.
    user: Option<String>,
    event: Value,
}

/// Pushes one event after the other, and knows what it was told of each.
pub(super) struct Generator {
    script: Srx,
    chance: SeededRng,
    steps: u64,
    last: Timestamp,
    /// Who must be where: everything that was acknowledged.
    pub(super) sure: BTreeMap<String, String>,
    /// What was sent and not answered: it may be in, or not. It is sent again as it was.
    unknown: Option<Step>,
    pub(super) acknowledged: u64,
    /// The highest revision of an answer.
    pub(super) revision: u64,
}

impl Generator {
    pub(super) fn new(script: Srx, seed: u64) -> Self {
        Self {
            script,
            chance: SeededRng::new(seed),
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

    /// Sends one after the other as long as it `goes_on`.
    pub(super) fn send_while(&mut self, goes_on: impl Fn() -> bool) {
        while goes_on() {
            self.send();
        }
    }

    /// Sends one event, the next or once more the one that is unknown; whether nothing is unknown
    /// after it.
    pub(super) fn send(&mut self) -> bool {
        let step = self.unknown.take().unwrap_or_else(|| self.next());
        self.unknown = Some(step.clone());
        match self.script.try_post_events(&step.event) {
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
        self.unknown.is_none()
    }

    fn take_in(&mut self, Step { address, user, .. }: Step) {
        match user {
            Some(user) => drop(self.sure.insert(address, user)),
            None => drop(self.sure.remove(&address)),
        }
        self.unknown = None;
        self.acknowledged += 1;
    }

    /// Whether a server that was started after a kill says what it must.
    pub(super) fn agrees(&self, there: &BTreeMap<String, String>) -> bool {
        let mut other = self.sure.clone();
        if let Some(Step { address, user, .. }) = &self.unknown {
            match user {
                Some(user) => drop(other.insert(address.clone(), user.clone())),
                None => drop(other.remove(address)),
            }
        }
        *there == self.sure || *there == other
    }

    /// The same, and what it says when it does not.
    #[track_caller]
    pub(super) fn check(&self, there: &BTreeMap<String, String>) {
        let (sure, unknown) = (&self.sure, &self.unknown);
        assert!(self.agrees(there), "there: {there:?}\nsure: {sure:?}\nunknown: {unknown:?}");
    }
}

/// Everybody that the server says is there.
pub(super) fn everybody(server: &Server) -> BTreeMap<String, String> {
    let body = server.get("/api/v1/sessions?limit=1000").json();
    let sessions = body["sessions"].as_array().unwrap_or_else(|| panic!("no list: {body}"));
    let text = |session: &Value, key: &str| session[key].as_str().unwrap().to_owned();
    sessions.iter().map(|one| (text(one, "address"), text(one, "user"))).collect()
}

/// The chance that a run is asked for by `ROLLCALL_SEED`, or one of its own, which it names.
pub(super) fn seed() -> u64 {
    let seed = std::env::var("ROLLCALL_SEED")
        .map_or_else(|_| now().as_millisecond().cast_unsigned(), |seed| seed.parse().unwrap());
    println!("ROLLCALL_SEED={seed} repeats the moments");
    seed
}
