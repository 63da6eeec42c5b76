//! A test server with all actors, and a minimal HTTP/1.1 client.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rollcall_config as config;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Authority, ChangeLogLimits, Kind, MemoryJournal, Name, Rules, Timestamp};
use rollcall_wire::ptim::MissingTime;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::super::{Enforcement, Points};
use crate::admission::secret;
use crate::listener::{BoundSockets, Listener, ListenerSpec};
use rollcall_engine::Engine;
use rollcall_engine::directory::SharedDirectory;
use rollcall_producers::ProducerActor;
use rollcall_producers::ptim::{Ptim, PushSink};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::{Spawn, Stop, Supervisor};

/// The secret of every client, hashed once for all tests.
static SECRET: LazyLock<config::SecretHash> = LazyLock::new(|| secret::hash("s3cr-t_"));

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A firewall that may connect only from 127.0.0.1, and may query and push everything.
pub(in crate::enforcement) fn point(name_and_id: &str) -> config::EnforcementPoint {
    config::EnforcementPoint {
        name: name(name_and_id),
        addresses: vec!["127.0.0.1/32".parse().unwrap()],
        client_id: name_and_id.to_owned(),
        secret: SECRET.clone(),
        dialect: rollcall_wire::srx::Dialect::default(),
        groups: GroupFilter::default(),
        domains: Vec::new(),
        include: Vec::new(),
        exclude: Vec::new(),
        push: Some(all_kinds()),
        push_domain: None,
        push_missing_time: MissingTime::UseArrival,
    }
}

pub(super) fn all_kinds() -> Authority {
    let kinds = [Kind::Login, Kind::Logout, Kind::VpnUp, Kind::VpnDown, Kind::Rekey];
    Authority::unrestricted(kinds)
}

pub(in crate::enforcement) fn settings(
    points: Vec<config::EnforcementPoint>,
) -> config::Enforcement {
    config::Enforcement {
        listen: Vec::new(),
        tls: config::Tls::Disabled,
        token_path: "/oauth_token/oauth".to_owned(),
        query_path: "/user_query/v2".to_owned(),
        token_lifetime: HOUR,
        limits: config::HttpLimits {
            body_size: 1 << 20,
            header_size: 16 << 10,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            connections: 100,
            connections_per_address: 100,
        },
        lockout: config::Lockout {
            threshold: 2,
            initial_delay: Duration::from_secs(10),
            max_delay: Duration::from_secs(60),
        },
        points,
    }
}

/// A program that may connect only from 127.0.0.2.
pub(in crate::enforcement) fn pushers() -> config::Ptim {
    let pusher = config::PtimClient {
        name: name("portal"),
        addresses: vec!["127.0.0.2/32".parse().unwrap()],
        client_id: "portal".to_owned(),
        secret: SECRET.clone(),
        authority: all_kinds(),
        domain: Some(name("corp.example")),
        missing_time: MissingTime::UseArrival,
    };
    config::Ptim { name: name("ptim"), enabled: true, clients: vec![pusher] }
}

pub(super) struct TestServer {
    address: SocketAddr,
    now: Arc<AtomicI64>,
    supervisor: Mailbox<Supervisor>,
    pub(super) points: Arc<Points>,
    pub(super) directory: SharedDirectory,
}

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

/// Runs a test on a server with these points.
pub(super) fn with_server(
    points: Vec<config::EnforcementPoint>,
    test: impl AsyncFnOnce(TestServer),
) {
    actix::System::new().block_on(async { test(TestServer::open(points).await).await });
}

impl TestServer {
    async fn open(points: Vec<config::EnforcementPoint>) -> Self {
        let now = Arc::new(AtomicI64::new(1_795_000_000_000));
        let shared_now = Arc::clone(&now);
        let clock = Clock::from_fn(move || Timestamp::from_millis(shared_now.load(SeqCst)));
        let settings = settings(points);

        let mut rules = Rules::default();
        for (client, authority) in
            settings.points.iter().filter_map(|point| Some((&point.name, point.push.clone()?)))
        {
            rules.authorities.insert((name("ptim"), client.clone()), authority);
        }
        rules.authorities.insert((name("ptim"), name("portal")), all_kinds());

        let limits = ChangeLogLimits::default();
        let engine = Engine::start(MemoryJournal::new(7), rules, limits, &clock).await.unwrap();
        let (ptim, pushes) =
            (Mailbox::<ProducerActor>::new("ptim", clock.clone()), PushSink::default());
        let factory = {
            let (ptim, pushes, cache) = (ptim.clone(), pushes.clone(), engine.cache.clone());
            move || {
                let producer = Arc::new(Ptim::new(pushes.clone()));
                ProducerActor::new(producer, ptim.clone(), cache.clone())
            }
        };
        engine.supervisor.send(Spawn::new(ptim.clone(), factory)).await.unwrap();

        let newest = engine.newest.clone();
        let points = Arc::new(Points::new(&settings, &pushers(), newest, clock.clone()));
        let enforcement = Enforcement::new(Arc::clone(&points), &engine, pushes.clone());
        let spec = ListenerSpec {
            name: "enforcement",
            limits: settings.limits.clone(),
            drain: Duration::ZERO,
            tls: None,
            routes: enforcement.routes(),
        };
        let bound = BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
        let address = bound.addresses().unwrap()[0];
        let listener = Mailbox::<Listener>::new("enforcement", clock);
        let factory = move || Listener::new(bound.clone(), spec.clone());
        let Engine { supervisor, directory, .. } = engine;
        supervisor.send(Spawn::new(listener, factory)).await.unwrap();
        while pushes.get().is_none() {
            tokio::task::yield_now().await;
        }
        Self { address, now, supervisor, points, directory }
    }

    pub(super) fn advance(&self, by: Duration) {
        self.now.fetch_add(i64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    /// Stops an actor permanently.
    pub(super) async fn stop_actor(&self, actor: &str) {
        self.supervisor.send(Stop(actor.to_owned())).await.unwrap();
    }

    /// Sends a request from 127.0.0.1.
    pub(super) async fn request(&self, head: &str, headers: &[&str], body: &str) -> Answer {
        self.request_from([127, 0, 0, 1], head, headers, body).await
    }

    /// Sends a request with this request line (without the version), these headers and this body.
    pub(super) async fn request_from(
        &self,
        source: [u8; 4],
        head: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(source), 0).into()).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        );
        exchange(stream, &request).await
    }

    /// Obtains a token from 127.0.0.1.
    pub(super) async fn token(&self, client: &str) -> String {
        self.token_from([127, 0, 0, 1], client).await
    }

    pub(super) async fn token_from(&self, source: [u8; 4], client: &str) -> String {
        let body = login(client, "s3cr-t_");
        let answer = self.request_from(source, "POST /oauth_token/oauth", &[], &body).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// Logs in with this secret, and returns the status.
    pub(super) async fn try_login(&self, source: [u8; 4], client: &str, secret: &str) -> u16 {
        let body = login(client, secret);
        self.request_from(source, "POST /oauth_token/oauth", &[], &body).await.status
    }

    /// Sends a query with a token.
    pub(super) async fn get(&self, token: &str, path: &str) -> Answer {
        self.request(&format!("GET /user_query/v2{path}"), &[&bearer(token)], "").await
    }

    /// Posts events in Rollcall's JSON with a token.
    pub(super) async fn post(&self, token: &str, body: &str) -> Answer {
        self.request("POST /api/v1/events", &[&bearer(token)], body).await
    }
}

pub(super) fn login(client: &str, secret: &str) -> String {
    format!("grant_type=client_credentials&client_id={client}&client_secret={secret}")
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

async fn exchange(mut stream: TcpStream, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    let _ = read.expect("no end of the answer");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status: {answer:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
