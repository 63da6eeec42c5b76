//! A test server: the engine, and the REST routes on a listener of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::System;
use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::HttpLimits;
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Name, Origin, Principal, Producer,
    Rules, Timestamp,
};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::client::{Answer, Events, request};
use crate::listener::{BoundSockets, Listener, ListenerSpec};
use crate::rest::{AllowedHosts, Reload, ReloadReport, Rest, Token};
use rollcall_engine::Engine;
use rollcall_engine::cache::Cache;
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::messages::Apply;
use rollcall_identity::Receipt;
use rollcall_producers::registration::ProducerContext;
use rollcall_producers::{EventSink, InputBatch, ProducerActor, ProducerFuture, StopSignal};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::{self, Spawn, Supervisor};

pub(super) struct TestServer {
    address: SocketAddr,
    clock: Clock,
    supervisor: Mailbox<Supervisor>,
    cache: Mailbox<Cache>,
    pub(super) draining: watch::Sender<bool>,
    pub(super) directory: SharedDirectory,
}

/// The recorder of this process, shared by all tests.
fn prometheus() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            rollcall_runtime::prometheus::install(
                &[rollcall_runtime::actor_metrics::METRICS, crate::metrics::METRICS].concat(),
            )
            .unwrap()
        })
        .clone()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Runs a test on a server of its own.
pub(super) fn with_server(test: impl AsyncFnOnce(TestServer)) {
    System::new().block_on(async {
        let limits = ChangeLogLimits::default();
        let with_server = async { test(TestServer::open(limits).await).await };
        tokio::time::timeout(Duration::from_secs(60), with_server)
            .await
            .expect("the test ends in time");
    });
}

impl TestServer {
    pub(super) const TOKEN: &str = "a-token-of-the-tests-0123456789";
    pub(super) const EPOCH: u64 = 1_795_000_000_000;

    pub(super) async fn open(limits: ChangeLogLimits) -> Self {
        let prometheus = prometheus();
        let clock = Clock::system();
        let journal = MemoryJournal::new(Self::EPOCH);
        let engine = Engine::start(journal, rules(), limits, &clock).await.unwrap();
        let Engine { supervisor, cache, query, newest, journal_error, directory, .. } = engine;
        let draining = watch::Sender::new(false);
        let rest = Rest {
            query,
            cache: cache.clone(),
            history: None,
            supervisor: supervisor.clone(),
            newest,
            journal_error,
            draining: draining.subscribe(),
            points: Arc::new(|| json!([{"name": "srx1", "lag": 0}])),
            directory: directory.clone(),
            producers: ProducerContext::new(Clock::system(), SharedDirectory::default()),
            targets: rollcall_push::PushTargets::default(),
            reload: reload(),
            prometheus,
            token: Token::new(Self::TOKEN),
            hosts: AllowedHosts::default(),
            is_evaluation: false,
        };
        let bound = BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
        let address = bound.addresses().unwrap()[0];
        let spec = ListenerSpec {
            name: "rest",
            limits: limits_of_http(),
            drain: Duration::from_secs(1),
            tls: None,
            routes: rest.routes(),
        };
        let listener = Mailbox::<Listener>::new("rest", clock.clone());
        let spawn = Spawn::new(listener, move || Listener::new(bound.clone(), spec.clone()));
        supervisor.send(spawn).await.unwrap();
        let server = Self { address, clock, supervisor, cache, draining, directory };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&self) {
        while self.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn event(&self, address: &str, user: &str, kind: Kind) -> Event {
        let origin = Origin {
            kind: Producer::Syslog,
            producer: name("syslog"),
            client: name("branch-fw"),
            form: name("junos-vpn"),
        };
        Event {
            principal: Some(Principal::parse(user, None).unwrap()),
            ..Event::bare(kind, address.parse().unwrap(), self.now(), Arc::new(origin))
        }
    }

    pub(super) async fn apply(&self, events: Vec<Event>) -> Receipt {
        let account = EventAccount::open("test", events.len() as u64);
        self.cache.send(Apply { events, read: None, account }).await.unwrap().unwrap()
    }

    pub(super) async fn login(&self, address: &str, user: &str) {
        let event = self.event(address, user, Kind::Login);
        assert_eq!(self.apply(vec![event]).await.applied, 1);
    }

    pub(super) async fn logout(&self, address: &str, user: &str) {
        self.apply(vec![self.event(address, user, Kind::Logout)]).await;
    }

    pub(super) async fn stop_actor(&self, actor: &str) {
        self.supervisor.send(supervisor::Stop(actor.to_owned())).await.unwrap();
    }

    pub(super) async fn raw(&self, method: &str, path: &str, headers: &str) -> Answer {
        request(self.address, method, path, headers).await
    }

    pub(super) async fn request(&self, method: &str, path: &str) -> Answer {
        self.raw(method, path, &authorization()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).await
    }

    pub(super) async fn stream(&self, parameters: &str, headers: &str) -> Events {
        let path = format!("/api/v1/stream{parameters}");
        Events::open(self.address, &path, &(authorization() + headers)).await
    }

    /// Starts a producer whose input comes from the test.
    pub(super) async fn start_producer(&self, named: &str) -> ScriptedInput {
        let mailbox = Mailbox::<ProducerActor>::new(named, self.clock.clone());
        let (sender, receiver) = mpsc::channel(1);
        let producer = Arc::new(Scripted(std::sync::Mutex::new(Some(receiver))));
        let (own, cache) = (mailbox.clone(), self.cache.clone());
        let spawn = Spawn::new(mailbox, move || {
            ProducerActor::new(Arc::clone(&producer) as _, own.clone(), cache.clone())
        });
        self.supervisor.send(spawn).await.unwrap();
        ScriptedInput(sender)
    }
}

fn authorization() -> String {
    format!("Authorization: Bearer {}\r\n", TestServer::TOKEN)
}

/// Limits that no test reaches.
fn limits_of_http() -> HttpLimits {
    HttpLimits {
        body_size: 4096,
        header_size: 16384,
        header_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        connections: 64,
        connections_per_address: 64,
    }
}

/// Rules that allow all kinds of events from the one client.
fn rules() -> Rules {
    let kinds = vec![Kind::Login, Kind::Logout, Kind::VpnUp, Kind::DeviceSeen];
    let mut rules = Rules::default();
    let authority = Authority::unrestricted(kinds);
    rules.authorities.insert((name("syslog"), name("branch-fw")), authority);
    rules
}

/// A reload that succeeds the first time and fails after that.
fn reload() -> Reload {
    let failed_before = AtomicBool::new(false);
    Arc::new(move || {
        let report = ReloadReport { changed: vec!["rules".to_owned()], ..ReloadReport::default() };
        let error = "rollcall.toml:3: rest.listen is wrong".to_owned();
        let fail = failed_before.swap(true, SeqCst);
        async move { if fail { Err(vec![error]) } else { Ok(report) } }.boxed()
    })
}

type Input = (Vec<Event>, tokio::sync::oneshot::Sender<()>);

/// The input of a scripted producer.
pub(super) struct ScriptedInput(mpsc::Sender<Input>);

impl ScriptedInput {
    /// Submits `events` and one drop for a line without a user, and waits until they are decided.
    pub(super) async fn submit(&self, events: Vec<Event>) {
        let (done, decided) = tokio::sync::oneshot::channel();
        self.0.send((events, done)).await.unwrap();
        decided.await.unwrap();
    }
}

struct Scripted(std::sync::Mutex<Option<mpsc::Receiver<Input>>>);

impl rollcall_producers::Producer for Scripted {
    fn kind(&self) -> Producer {
        Producer::Syslog
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        let mut inputs = self.0.lock().unwrap().take().unwrap();
        Box::pin(async move {
            while let Some((events, done)) = inputs.recv().await {
                let mut batch = InputBatch::default();
                batch.events = events;
                batch.count_drop("no_user", None);
                sink.submit(&mut batch).await.unwrap().receipt().await.unwrap();
                done.send(()).unwrap();
            }
            stop.requested().await;
            Ok(())
        })
    }
}
