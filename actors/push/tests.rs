//! A target that is told over a real connection while the query actor behind it is replaced.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rollcall_config::{Compression, SecureEdge as Settings};
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Name, Origin, Principal, Producer,
    Rules,
};
use serde_json::{Value, json};

use super::*;
use rollcall_engine::Engine;
use rollcall_engine::messages::Apply;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::supervisor::Fault;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What the receiver has seen.
#[derive(Debug, Default)]
struct Seen {
    reports: usize,
    /// How many batches it may answer.
    answers: usize,
    /// What was asked while a batch was not answered.
    meanwhile: Vec<String>,
    on_way: usize,
    sessions: usize,
}

/// A receiver that holds nothing and takes one batch after the other.
#[derive(Default)]
struct Receiver {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Receiver {
    fn start() -> (Arc<Self>, String) {
        let (receiver, listener) =
            (Arc::<Self>::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (url, own) =
            (format!("http://{}", listener.local_addr().unwrap()), Arc::clone(&receiver));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = Arc::clone(&own);
                thread::spawn(move || own.serve(stream));
            }
        });
        (receiver, url)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some((path, body)) = request(&mut stream) {
            let said = self.answer(&path, &body).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
            if stream.get_mut().write_all((head + &said).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str, body: &Value) -> Value {
        let mut seen = self.seen();
        if seen.on_way > 0 {
            seen.meanwhile.push(path.to_owned());
            self.changed.notify_all();
        }
        match path {
            "/v1/oauth/token" => json!({"access_token": "token"}),
            "/v1/reports" => {
                (seen.reports, seen.on_way) = (seen.reports + 1, seen.on_way + 1);
                let own = seen.reports;
                let waits = |seen: &mut Seen| seen.answers < own;
                let waited = self.changed.wait_while(seen, waits);
                seen = waited.unwrap_or_else(PoisonError::into_inner);
                let count = |list| body[list].as_array().map_or(0, Vec::len);
                let all: usize =
                    ["groups", "users", "devices", "sessions", "states"].map(count).iter().sum();
                (seen.on_way, seen.sessions) = (seen.on_way - 1, seen.sessions + count("sessions"));
                json!({"position": body["next"], "accepted": all, "duplicates": 0})
            }
            "/v1/synchronisations/end" => {
                json!({"position": body["position"], "sessions": seen.sessions})
            }
            _ => json!({"position": null}),
        }
    }

    /// Lets it answer so many batches in all.
    fn may_answer(&self, answers: usize) {
        self.seen().answers = answers;
        self.changed.notify_all();
    }
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path?, serde_json::from_slice(&body).unwrap_or_default()))
}

fn target(url: String, folder: &std::path::Path) -> PushTarget {
    let credentials = folder.join("edge.credentials");
    std::fs::write(&credentials, r#"{"client_id": "id", "client_secret": "secret"}"#).unwrap();
    let (compression, check) = (Compression::Plain, Duration::from_secs(3600));
    PushTarget {
        name: name("edge"),
        url,
        authorities: "none".into(),
        identity: None,
        timeout: Duration::from_secs(30),
        batch: 1,
        first_retry: Duration::from_millis(1),
        longest_retry: Duration::from_millis(20),
        domains: Vec::new(),
        include: Vec::new(),
        exclude: Vec::new(),
        protocol: PushProtocol::SecureEdge(Settings {
            credentials,
            onboarding: None,
            compression,
            in_flight: 1,
            check,
        }),
    }
}

fn login(host: u8, clock: &Clock) -> Event {
    let [producer, client, form] = ["syslog", "fw", "form"].map(name);
    let origin = Origin { kind: Producer::Syslog, producer, client, form };
    Event {
        principal: Some(Principal::parse(&format!("user{host}"), None).unwrap()),
        ..Event::bare(
            Kind::Login,
            format!("10.0.0.{host}").parse().unwrap(),
            clock.now(),
            Arc::new(origin),
        )
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

/// A server with one target that is told one change after the other, and holds all that there is.
struct Story {
    engine: Engine,
    clock: Clock,
    target: Arc<TargetHandle>,
    push: Push,
    told: tokio::task::JoinHandle<Result<(), PushError>>,
}

impl Story {
    async fn begin(url: String, folder: &std::path::Path) -> Self {
        let clock = Clock::system();
        let mut rules = Rules::default();
        let authority = Authority { kinds: vec![Kind::Login], ..Authority::default() };
        rules.authorities.insert((name("syslog"), name("fw")), authority);
        let journal = MemoryJournal::new(7);
        let engine =
            Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
        let (store, target) = (FileCursorStore::new(folder, "edge"), target(url, folder));
        let newest = engine.newest.clone();
        let target = TargetHandle::new(target, Arc::new(store), newest.clone(), clock.clone());
        let mut push = Push::new(Arc::new(target), engine.query.clone(), newest, clock.clone());
        let (target, inputs) = (Arc::clone(&push.target), push.inputs());
        let dialect = dialect(target.target.clone(), clock.clone());
        let workers = WorkerPool::new("edge", &target.floor, dialect).await.unwrap();
        let told = actix::spawn(DeliveryLoop::new(Arc::clone(&target), workers, inputs).run());
        until("it has begun", || target.status().revision.is_some()).await;
        Self { engine, clock, target, push, told }
    }

    async fn logins(&self, hosts: std::ops::RangeInclusive<u8>) {
        let events: Vec<_> = hosts.map(|host| login(host, &self.clock)).collect();
        let account = EventAccount::open("test", events.len() as u64);
        self.engine.cache.send(Apply { events, read: None, account }).await.unwrap().unwrap();
    }

    /// Everything up to there is told.
    async fn end(self, revision: u64) {
        let revision = Some(Revision(revision));
        until("all is told", || self.target.status().revision == revision).await;
        self.push.closing.send_replace(true);
        self.told.await.unwrap().unwrap();
    }
}

#[test]
fn nothing_is_asked_while_a_batch_is_on_its_way_though_the_next_page_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start();
    System::new().block_on(async {
        let story = Story::begin(url, folder.path()).await;
        story.logins(1..=6).await;
        // The second page is read while the first is told; the third when the second is on its way.
        until("a batch is on its way", || receiver.seen().reports == 1).await;
        assert!(story.engine.query.send(Fault).await.is_err());
        receiver.may_answer(1);
        until("the next one is, too", || receiver.seen().reports == 2).await;
        let waited = Arc::clone(&receiver);
        let waited = move || {
            // What must not come does so at once: the first pause is a millisecond.
            let none = |seen: &mut Seen| seen.meanwhile.is_empty();
            let quiet = Duration::from_millis(300);
            drop(waited.changed.wait_timeout_while(waited.seen(), quiet, none));
        };
        tokio::task::spawn_blocking(waited).await.unwrap();
        receiver.may_answer(usize::MAX);
        until("it is missed", || story.target.status().retries >= 1).await;
        assert_eq!(receiver.seen().meanwhile, [""; 0]);
        story.end(6).await;
    });
}

#[test]
fn a_comparison_does_not_wait_until_nothing_is_news() {
    let folder = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start();
    System::new().block_on(async {
        let story = Story::begin(url, folder.path()).await;
        story.logins(1..=1).await;
        until("a batch is on its way", || receiver.seen().reports == 1).await;
        let (answer, mut answered) = tokio::sync::oneshot::channel();
        let wishes = story.push.wishes.clone().unwrap();
        wishes.send(Command::Check(answer)).await.unwrap();
        // Whenever a batch is answered, the next change is there.
        let mut hosts = 1;
        while answered.try_recv().is_err() {
            hosts += 1;
            assert!(hosts < 50, "it waits for ever");
            story.logins(hosts..=hosts).await;
            receiver.may_answer(usize::from(hosts) - 1);
            until("the next is on its way", || receiver.seen().reports == usize::from(hosts)).await;
        }
        receiver.may_answer(usize::MAX);
        story.end(u64::from(hosts)).await;
    });
}
