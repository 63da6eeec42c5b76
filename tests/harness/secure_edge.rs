//! A Secure Edge service that implements docs/secure-edge.openapi.json strictly and keeps what is
//! pushed to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::https::{Fault, Https, Request, Response};
use super::{Authority, WAIT_LIMIT};

/// The onboarding token that its console shows, and the client secret that it is exchanged for.
/// Rollcall may never show either.
pub(crate) const ONBOARDING: &str = "canary-onboarding-2c7e";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-93ab";

/// The service.
pub(crate) struct SecureEdge {
    server: Https,
    edge: Arc<Mutex<Edge>>,
    gate: Arc<Gate>,
}

type Gate = (Mutex<Gathering>, Condvar);

/// A session: the user of an address, and the groups that the batch gave that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) user: Option<String>,
    pub(crate) domain: Option<String>,
    epoch: u64,
    revision: u64,
    /// The input of its digest.
    line: String,
}

/// Its state, and what it has received.
#[derive(Default)]
pub(crate) struct Edge {
    pub(crate) position: Option<String>,
    pub(crate) sessions: BTreeMap<String, Held>,
    synchronisation: Option<(String, Option<String>, BTreeMap<String, Held>)>,
    /// Valid bearer tokens.
    tokens: BTreeSet<String>,
    sold: usize,
    /// By idempotency key.
    onboarded: BTreeMap<String, ()>,
    /// Users whose sessions are refused.
    pub(crate) unwanted: BTreeSet<String>,
    /// The users and addresses of every accepted batch, in order.
    pub(crate) batches: Vec<Vec<(String, Option<String>)>>,
    pub(crate) synchronised: usize,
    pub(crate) duplicates: u64,
    /// The number of batches that it accepts in parallel; not announced when not set.
    pub(crate) window: Option<usize>,
    /// The ranges of the current generation that it accepted beyond `reached`, with the position after
    /// each.
    turn: Option<String>,
    reached: u64,
    ahead: BTreeMap<(u64, u64), Option<String>>,
    /// The number of batches that arrived before their predecessor.
    pub(crate) early: usize,
    /// Replies that replace the regular one, by path.
    pub(crate) replies: BTreeMap<&'static str, Reply>,
    /// The content encodings of the batches.
    pub(crate) encodings: BTreeSet<Option<String>>,
}

/// A reply that replaces the regular one.
#[derive(Clone)]
pub(crate) enum Reply {
    /// The request has no effect.
    Instead(u16, Value),
    /// The request has its effect first.
    AfterEffect(u16, Value),
}

/// Holds batches back until `wanted` have arrived; then the last of them is processed first.
#[derive(Default)]
struct Gathering {
    wanted: usize,
    /// The revisions that the batches start after.
    waiting: BTreeSet<u64>,
}

impl SecureEdge {
    /// Starts the service; `authority` signs its certificate.
    pub(crate) fn start(authority: &Authority) -> Self {
        Self::served(|handler| Https::start(&authority.named("edge"), handler))
    }

    /// Starts the service for clients with a certificate signed by `authority`.
    pub(crate) fn start_for_known(authority: &Authority) -> Self {
        let ca = authority.certificate();
        Self::served(|handler| Https::start_for_known(&authority.named("edge"), &ca, handler))
    }

    fn served(
        serve: impl FnOnce(Box<dyn Fn(&Request) -> Response + Send + Sync>) -> Https,
    ) -> Self {
        let (edge, gate): (Arc<Mutex<Edge>>, Arc<Gate>) = Default::default();
        let (own, gathering) = (Arc::clone(&edge), Arc::clone(&gate));
        let server = serve(Box::new(move |request| {
            let place = (request.path == "/v1/reports").then(|| gathered(&gathering, request));
            let mut edge = own.lock().unwrap_or_else(PoisonError::into_inner);
            let (status, body) = edge.say(request);
            if let Some(place) = place {
                leave(&gathering, place);
            }
            Response { status, body: body.to_string() }
        }));
        Self { server, edge, gate }
    }

    /// Holds the next `count` batches back until all have arrived, and processes the last one first.
    pub(crate) fn hold_batches(&self, count: usize) {
        let mut gathering = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        *gathering = Gathering { wanted: count, waiting: BTreeSet::new() };
    }

    /// The section that makes Rollcall push to it.
    pub(crate) fn section(&self, more: &str) -> String {
        let url = self.server.url();
        format!(
            "[[push.secure_edge]]\nname = \"edge\"\nurl = \"{url}\"\nca = \"ca.crt\"\n\
             onboarding_token_file = \"edge.token\"\ninitial_backoff = \"20ms\"\n\
             max_backoff = \"200ms\"\n{more}\n"
        )
    }

    /// Its state.
    pub(crate) fn state(&self) -> MutexGuard<'_, Edge> {
        self.edge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user at each address.
    pub(crate) fn users(&self) -> BTreeMap<String, String> {
        let edge = self.state();
        let user = |held: &Held| held.user.clone().unwrap_or_default();
        edge.sessions.iter().map(|(address, held)| (address.clone(), user(held))).collect()
    }

    /// Deletes its state except for the registered clients.
    pub(crate) fn lose_state(&self) {
        let mut edge = self.state();
        (edge.position, edge.synchronisation) = (None, None);
        edge.sessions.clear();
    }

    /// Revokes all tokens.
    pub(crate) fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Its HTTPS server.
    pub(crate) fn server(&self) -> &Https {
        &self.server
    }

    /// Injects one fault into each of the next requests.
    pub(crate) fn inject_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.server.inject_faults(faults);
    }
}

/// Waits until a batch that is held back may be processed.
fn gathered((gathering, changed): &Gate, request: &Request) -> u64 {
    let place = read(request)["from"].as_u64().expect("a revision");
    let mut now = gathering.lock().unwrap_or_else(PoisonError::into_inner);
    if now.waiting.len() < now.wanted {
        now.waiting.insert(place);
        changed.notify_all();
        let few = |now: &mut Gathering| now.waiting.len() < now.wanted;
        let waited = changed.wait_timeout_while(now, WAIT_LIMIT, few);
        let (all, late) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "only {:?} came at once", all.waiting);
        now = all;
        now.wanted = 0;
        let not_last = |now: &mut Gathering| now.waiting.last() != Some(&place);
        drop(changed.wait_while(now, not_last).unwrap_or_else(PoisonError::into_inner));
    }
    place
}

fn leave((gathering, changed): &Gate, place: u64) {
    gathering.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&place);
    changed.notify_all();
}

type Answered = Result<(u16, Value), (u16, Value)>;

fn refuse<T>(status: u16, detail: &str) -> Result<T, (u16, Value)> {
    Err((status, json!({"detail": detail})))
}

impl Edge {
    fn say(&mut self, request: &Request) -> (u16, Value) {
        let said = self.replies.get(request.path.as_str()).cloned();
        if let Some(Reply::Instead(status, body)) = said {
            return (status, body);
        }
        let answer = self.answer(request).unwrap_or_else(|refused| refused);
        match said {
            Some(Reply::AfterEffect(status, body)) => (status, body),
            _ => answer,
        }
    }

    fn answer(&mut self, request: &Request) -> Answered {
        let route = (request.method.as_str(), request.path.as_str());
        match route {
            ("POST", "/v1/onboarding") => return self.onboard(request),
            ("POST", "/v1/oauth/token") => return self.sell(request),
            _ => {}
        }
        let bearer = request.headers.get("authorization").and_then(|it| it.strip_prefix("Bearer "));
        if bearer.is_none_or(|token| !self.tokens.contains(token)) {
            return refuse(401, "no such token");
        }
        match route {
            ("GET", "/v1/position") => Ok((200, self.place())),
            ("POST", "/v1/synchronisations") => self.begin(&read(request)),
            ("POST", "/v1/reports") => {
                self.encodings.insert(request.headers.get("content-encoding").cloned());
                self.take(&read(request))
            }
            ("POST", "/v1/synchronisations/end") => self.end(&read(request)),
            ("GET", "/v1/digest") => Ok((200, self.digest())),
            other => panic!("unexpected request for {other:?}"),
        }
    }

    fn onboard(&mut self, request: &Request) -> Answered {
        if read(request)["token"] != ONBOARDING {
            return refuse(403, "no such token");
        }
        let key = request.headers["idempotency-key"].clone();
        if self.onboarded.keys().any(|used| *used != key) {
            return refuse(403, "the token is used up");
        }
        self.onboarded.insert(key, ());
        Ok((200, json!({"client_id": "collector-1", "client_secret": CLIENT_SECRET})))
    }

    fn sell(&mut self, request: &Request) -> Answered {
        let basic = format!("Basic {}", STANDARD.encode(format!("collector-1:{CLIENT_SECRET}")));
        if request.headers.get("authorization") != Some(&basic) {
            return refuse(401, "no such client");
        }
        assert_eq!(request.body, b"grant_type=client_credentials");
        self.sold += 1;
        let token = format!("canary-access-token-{}", self.sold);
        self.tokens.insert(token.clone());
        Ok((200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600})))
    }

    fn begin(&mut self, asked: &Value) -> Answered {
        let name = text(asked, "synchronisation").expect("a name");
        self.turn = Some(name.clone());
        (self.reached, self.ahead) = (0, BTreeMap::new());
        self.synchronisation = Some((name, None, BTreeMap::new()));
        self.position = None;
        Ok((200, self.place()))
    }

    fn place(&self) -> Value {
        let mut place = json!({"position": self.position});
        if let Some(window) = self.window {
            place["window"] = json!(window);
        }
        place
    }

    /// Whether a batch at the expected position is new; `None` for another position.
    fn admits(&mut self, batch: &Value) -> Option<bool> {
        let (after, next) = (text(batch, "after"), text(batch, "next"));
        let place = match &self.synchronisation {
            Some((_, place, _)) => place.clone(),
            None => self.position.clone(),
        };
        let Some(window) = self.window else {
            return (place == after || place == next).then_some(true);
        };
        let (turn, number) = (text(batch, "turn"), |key| batch[key].as_u64().expect("a revision"));
        let span @ (from, to) = (number("from"), number("to"));
        if turn != self.turn {
            if place != after || self.synchronisation.is_some() {
                return None;
            }
            (self.turn, self.reached, self.ahead) = (turn, from, BTreeMap::new());
        }
        if to <= self.reached || self.ahead.contains_key(&span) {
            return Some(false);
        }
        let overlaps = self.ahead.keys().any(|(begin, end)| from < *end && *begin < to);
        let early = from > self.reached;
        if from < self.reached || overlaps || early && self.ahead.len() + 1 >= window {
            return None;
        }
        self.early += usize::from(early);
        Some(true)
    }

    /// Moves the position past an accepted batch.
    fn moves(&mut self, batch: &Value) {
        let mut next = text(batch, "next");
        if self.window.is_some() {
            let number = |key| batch[key].as_u64().expect("a revision");
            self.ahead.insert((number("from"), number("to")), next.take());
            while let Some(first) = self.ahead.first_entry()
                && first.key().0 == self.reached
            {
                let ((_, to), place) = first.remove_entry();
                (self.reached, next) = (to, place);
            }
        }
        match &mut self.synchronisation {
            _ if next.is_none() => {}
            Some((_, place, _)) => *place = next,
            None => self.position = next,
        }
    }

    fn end(&mut self, asked: &Value) -> Answered {
        let position = text(asked, "position");
        match self.synchronisation.take() {
            Some((name, _, told))
                if text(asked, "synchronisation").as_ref() == Some(&name)
                    && self.ahead.is_empty() =>
            {
                self.sessions = told;
                self.synchronised += 1;
            }
            _ if self.position == position => {}
            other => {
                self.synchronisation = other;
                return refuse(409, "no such synchronisation");
            }
        }
        self.position = position;
        Ok((200, json!({"position": self.position, "sessions": self.sessions.len()})))
    }

    fn take(&mut self, batch: &Value) -> Answered {
        let named = text(batch, "synchronisation");
        if self.synchronisation.as_ref().map(|(name, ..)| name) != named.as_ref() {
            return refuse(409, "not in this synchronisation");
        }
        let next = text(batch, "next");
        match self.admits(batch) {
            None => return refuse(409, "not at this position"),
            Some(true) => {}
            Some(false) => {
                let lists = ["groups", "users", "devices", "sessions", "states"];
                let all = lists.map(|list| batch[list].as_array().unwrap().len());
                let all: usize = all.into_iter().sum();
                self.duplicates += all as u64;
                let known = json!({"position": next, "accepted": 0, "duplicates": all});
                return Ok((200, known));
            }
        }
        let (mut accepted, mut duplicates, mut refused) = (0, 0, Vec::new());
        for list in ["groups", "users", "devices", "states"] {
            accepted += batch[list].as_array().unwrap().len();
        }
        let mut seen = Vec::new();
        for (index, report) in batch["sessions"].as_array().unwrap().iter().enumerate() {
            let (address, user) = (text(report, "address").unwrap(), text(report, "user"));
            seen.push((address.clone(), user.clone()));
            if user.as_ref().is_some_and(|user| self.unwanted.contains(user)) {
                refused.push(json!({"list": "sessions", "index": index, "reason": "unwanted"}));
                continue;
            }
            let held = held(batch, report);
            let sessions = match &mut self.synchronisation {
                Some((_, _, told)) => told,
                None => &mut self.sessions,
            };
            let known = sessions.get(&address);
            if known.is_some_and(|it| it.epoch == held.epoch && it.revision >= held.revision) {
                duplicates += 1;
                continue;
            }
            match text(report, "presence").as_deref() {
                Some("present") => drop(sessions.insert(address, held)),
                Some("gone") => drop(sessions.remove(&address)),
                other => panic!("{other:?}"),
            }
            accepted += 1;
        }
        self.duplicates += duplicates;
        self.batches.push(seen);
        self.moves(batch);
        let taken = json!({"position": next, "accepted": accepted, "duplicates": duplicates,
                           "refused": refused});
        Ok((200, taken))
    }

    /// The digests of docs/secure-edge.openapi.json, without using Rollcall's code.
    fn digest(&self) -> Value {
        let mut pages = vec![[0_u8; 32]; 4096];
        for (address, held) in &self.sessions {
            let place = Sha256::digest(address);
            let page = u16::from_be_bytes([place[0], place[1]]) as usize % 4096;
            let digest = Sha256::digest(&held.line);
            pages[page].iter_mut().zip(digest).for_each(|(byte, other)| *byte ^= other);
        }
        let hex = |page: &[u8; 32]| page.iter().map(|b| format!("{b:02x}")).collect::<String>();
        json!({"position": self.position, "pages": pages.iter().map(hex).collect::<Vec<_>>()})
    }
}

/// One session, with the user and the device from the lists of its batch.
fn held(batch: &Value, report: &Value) -> Held {
    let named = |list: &str, name: &Option<String>, domain: Option<&Option<String>>| {
        let of = |it: &&Value| {
            text(it, "name") == *name && domain.is_none_or(|domain| text(it, "domain") == *domain)
        };
        let found = name.as_ref().map(|_| {
            let found = batch[list].as_array().unwrap().iter().find(of);
            found.unwrap_or_else(|| panic!("{name:?} is not among the {list}"))
        });
        let places = found.and_then(|it| it["groups"].as_array()).cloned().unwrap_or_default();
        let group = |place: &Value| {
            let group = &batch["groups"][place.as_u64().unwrap() as usize];
            format!("\u{1e}{}\\{}", text(group, "domain").unwrap(), text(group, "name").unwrap())
        };
        places.iter().map(group).collect::<String>()
    };
    let (user, domain) = (text(report, "user"), text(report, "domain"));
    let device = text(report, "device");
    let address = text(report, "address").unwrap();
    let posture = batch["states"].as_array().unwrap().iter();
    let posture = posture.filter(|state| state["address"] == report["address"]);
    let posture = posture.filter_map(|state| text(state, "posture")).next_back();
    let roles = report["roles"].as_array().cloned().unwrap_or_default();
    let roles = roles.iter().map(|role| format!("\u{1e}{}", role.as_str().unwrap()));
    let present = report["presence"] == "present";
    let groups =
        |list, name, domain| if present { named(list, name, domain) } else { String::new() };
    let of_user = groups("users", &user, Some(&domain));
    let of_device = groups("devices", &device, None);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        address,
        or_none(&user),
        or_none(&domain),
        or_none(&device),
        or_none(&posture),
        roles.collect(),
        of_user,
        of_device,
    ];
    let line = fields.join("\u{1f}");
    let epoch = batch["epoch"].as_u64().expect("an epoch");
    let revision = report["revision"].as_u64().expect("a revision");
    Held { user, domain, epoch, revision, line }
}

fn read(request: &Request) -> Value {
    assert_eq!(request.headers["content-type"], "application/json");
    serde_json::from_slice(&request.body).expect("what Rollcall sends is JSON")
}

fn text(of: &Value, key: &str) -> Option<String> {
    of[key].as_str().map(str::to_owned)
}
