//! Push targets with an engine, and what they share: a fixture with one target.

mod dialects;
mod interrupted_reads;
mod receiver;
mod record_dialect;

use std::path::Path;
use std::time::Duration;

use rollcall_config::{Compression, DialectSection, PushTarget, SecureEdge};
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Name, Origin, Principal, Producer,
    Rules,
};

use super::*;
use crate::dialect::DialectFactory;
use rollcall_engine::Engine;
use rollcall_engine::messages::Apply;
use rollcall_runtime::event_accounting::EventAccount;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A target with short delays.
fn target(url: &str, dialect: DialectSection) -> PushTarget {
    PushTarget {
        name: name("target"),
        url: url.to_owned(),
        ca: "none".into(),
        identity: None,
        timeout: Duration::from_secs(30),
        batch_size: 1,
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(20),
        domains: Vec::new(),
        include: Vec::new(),
        exclude: Vec::new(),
        dialect,
    }
}

/// The settings of a Secure Edge with credentials in `folder`.
fn secure_edge(folder: &Path) -> DialectSection {
    let credentials = folder.join("edge.credentials");
    std::fs::write(&credentials, r#"{"client_id": "id", "client_secret": "secret"}"#).unwrap();
    let (compression, check) = (Compression::Plain, Duration::from_secs(3600));
    let settings = SecureEdge { credentials, onboarding: None, compression, in_flight: 1, check };
    DialectSection::new(settings)
}

/// An event of this kind about the user of the address 10.0.0.`host`.
fn event(kind: Kind, host: u8, clock: &Clock) -> Event {
    let [producer, client, form] = ["syslog", "fw", "form"].map(name);
    let origin = Origin { kind: Producer::Syslog, producer, client, form };
    let address = format!("10.0.0.{host}").parse().unwrap();
    Event {
        principal: Some(Principal::parse(&format!("user{host}"), None).unwrap()),
        ..Event::bare(kind, address, clock.now(), Arc::new(origin))
    }
}

async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not reached: {what}");
}

/// An engine with one push target.
struct Fixture {
    engine: Engine,
    clock: Clock,
    target: Arc<TargetHandle>,
    push: Push,
    delivery: tokio::task::JoinHandle<Result<(), PushError>>,
}

impl Fixture {
    async fn start(target: PushTarget, dialect: Arc<dyn DialectFactory>, folder: &Path) -> Self {
        let clock = Clock::system();
        let mut rules = Rules::default();
        let kinds = vec![Kind::Login, Kind::Logout];
        let authority = Authority::unrestricted(kinds);
        rules.authorities.insert((name("syslog"), name("fw")), authority);
        let journal = MemoryJournal::new(7);
        let engine =
            Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
        let (store, newest) = (FileCursorStore::new(folder, "target"), engine.newest.clone());
        let target = TargetHandle::with_dialect(
            target,
            dialect,
            Arc::new(store),
            newest.clone(),
            clock.clone(),
        );
        let target = Arc::new(target);
        let query = engine.query.clone();
        let mut push = Push::new(Arc::clone(&target), query, newest, clock.clone());
        let delivery = actix::spawn(push.delivery_loop());
        until("the target has a position", || target.status().revision.is_some()).await;
        Self { engine, clock, target, push, delivery }
    }

    async fn logins(&self, hosts: std::ops::RangeInclusive<u8>) {
        self.apply(hosts.map(|host| event(Kind::Login, host, &self.clock)).collect()).await;
    }

    async fn apply(&self, events: Vec<Event>) {
        let account = EventAccount::open("test", events.len() as u64);
        self.engine.cache.send(Apply { events, read: None, account }).await.unwrap().unwrap();
    }

    /// The result of a consistency check.
    async fn check(&self) -> ComparisonStatus {
        let (reply, result) = tokio::sync::oneshot::channel();
        self.push.commands.clone().unwrap().send(Command::Check(reply)).await.unwrap();
        result.await.unwrap()
    }

    /// Waits until all changes up to `revision` are acknowledged, and stops the target.
    async fn stop_at(self, revision: u64) {
        let revision = Some(Revision(revision));
        until("all changes are acknowledged", || self.target.status().revision == revision).await;
        self.push.closing.send_replace(true);
        self.delivery.await.unwrap().unwrap();
    }
}
