//! The listener on loopback, queried as by a web interface.

use std::sync::LazyLock;
use std::time::Duration;

use rollcall_identity::directory::{DomainNames, UnqualifiedNames};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::admission::secret;
use crate::listener::{BoundSockets, Listener, ListenerSpec};
use rollcall_engine::Engine;
use rollcall_engine::directory::sample::corp;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

static SECRET: LazyLock<SecretHash> = LazyLock::new(|| secret::hash("s3cr-t_"));

fn settings(address: &str) -> config::Validator {
    let name: Name = "branch-fw".parse().unwrap();
    let client = config::ValidatorClient {
        name,
        addresses: vec![address.parse().unwrap()],
        client_id: "jweb".to_owned(),
        secret: SECRET.clone(),
    };
    config::Validator {
        listen: Vec::new(),
        tls: config::Tls::Disabled,
        token_path: "/oauth_token/oauth".to_owned(),
        query_path: "/validator/v1".to_owned(),
        token_lifetime: Duration::from_secs(3600),
        limits: config::HttpLimits {
            body_size: 1 << 16,
            header_size: 16 << 10,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            connections: 100,
            connections_per_address: 100,
        },
        lockout: Lockout { threshold: 2, ..Lockout::default() },
        clients: vec![client],
    }
}

struct TestServer {
    at: std::net::SocketAddr,
    validator: Arc<Validator>,
    directory: SharedDirectory,
    _engine: Engine,
}

fn with_server(test: impl AsyncFnOnce(TestServer)) {
    actix::System::new().block_on(async { test(TestServer::open().await).await });
}

impl TestServer {
    async fn open() -> Self {
        let clock = Clock::system();
        let journal = rollcall_identity::MemoryJournal::new(7);
        let (rules, limits) = (rollcall_identity::Rules::default(), Default::default());
        let engine = Engine::start(journal, rules, limits, &clock).await.unwrap();
        let directory = engine.directory.clone();
        let settings = settings("127.0.0.1/32");
        let limits = settings.limits.clone();
        let validator = Arc::new(Validator::new(&settings, directory.clone(), clock.clone()));
        let routes = validator.routes();
        let spec =
            ListenerSpec { name: "validator", limits, drain: Duration::ZERO, tls: None, routes };
        let bound = BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
        let at = bound.addresses().unwrap()[0];
        let listener = Mailbox::<Listener>::new("validator", clock);
        let make = move || Listener::new(bound.clone(), spec.clone());
        engine.supervisor.send(Spawn::new(listener, make)).await.unwrap();
        Self { at, validator, directory, _engine: engine }
    }

    async fn request(&self, head: &str, headers: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")))
    }

    async fn login(&self, secret: &str) -> (u16, Value) {
        let body = format!("grant_type=client_credentials&client_id=jweb&client_secret={secret}");
        self.request("POST /oauth_token/oauth", "", &body).await
    }

    async fn token(&self) -> String {
        let (status, answer) = self.login("s3cr-t_").await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let header = format!("Authorization: Bearer {token}\r\n");
        self.request(&format!("GET /validator/v1{path}"), &header, "").await
    }
}

#[test]
fn users_groups_and_devices_in_a_directory_are_valid() {
    with_server(async |server| {
        corp(&mut server.directory.write());
        let token = server.token().await;
        let of =
            |name: &str| json!({"valid": true, "name": name, "domain-name": "corp.example.com"});
        let account = |name: &str| {
            let mut expected = of(name);
            expected["enabled"] = json!(true);
            expected
        };
        let none = json!({"valid": false});
        for (path, expected) in [
            ("/validate/user?name=alice&domain=corp.example.com", account("Alice")),
            ("/user/ALICE?domain=CORP", account("Alice")),
            ("/user/CORP%5Calice", account("Alice")),
            ("/users/alice", account("Alice")),
            ("/user/alice?domain=lab", none.clone()),
            ("/user/bob", none.clone()),
            ("/user/pc1$", none.clone()),
            ("/user/staff", none.clone()),
            ("/validate/group/staff?domain=corp", of("Staff")),
            ("/group/vpn-users", of("VPN-Users")),
            ("/group/alice", none.clone()),
            ("/device/pc1", account("PC1$")),
            ("/device/pc1.corp.example.com", account("PC1$")),
            ("/device/pc1$?domain=corp", account("PC1$")),
            ("/device/alice", none),
        ] {
            assert_eq!(server.get(&token, path).await, (200, expected), "{path}");
        }
    });
}

#[test]
fn lists_are_limited_by_prefix_start_and_count() {
    with_server(async |server| {
        let token = server.token().await;
        assert_eq!(server.get(&token, "/groups").await.0, 404);
        corp(&mut server.directory.write());
        let listed = |names: &[&str], total: usize, start: usize| json!({"domain-name": "corp.example.com", "total": total, "start": start, "names": names});
        for (path, expected) in [
            ("/groups", listed(&["Everybody", "Laptops", "Staff", "VPN-Users"], 4, 0)),
            ("/groups?start=1&count=2", listed(&["Laptops", "Staff"], 4, 1)),
            ("/domains/CORP/groups?prefix=vpn*", listed(&["VPN-Users"], 1, 0)),
            ("/users", listed(&["Alice"], 1, 0)),
            ("/list/devices?domain=corp.example.com", listed(&["PC1$"], 1, 0)),
        ] {
            assert_eq!(server.get(&token, path).await, (200, expected), "{path}");
        }
        assert_eq!(server.get(&token, "/domains/lab/groups").await.0, 404);
        let (dns, netbios) = ("lab.example.com".parse().unwrap(), "lab".parse().unwrap());
        let lab = DomainNames { dns, netbios, sid: "S-1-5-21-4-5-6".parse().unwrap() };
        server.directory.write().put_domain(lab, UnqualifiedNames::OtherDomain);
        let (status, problem) = server.get(&token, "/groups").await;
        assert_eq!(
            (status, &problem["detail"]),
            (404, &json!("there are several domains; specify one"))
        );
    });
}

#[test]
fn requests_without_a_token_of_this_listener_are_rejected() {
    with_server(async |server| {
        assert_eq!(server.request("GET /validator/v1/users", "", "").await.0, 401);
        let token = server.token().await;
        let in_query = format!("GET /validator/v1/users?access_token={token}");
        assert_eq!(server.request(&in_query, "", "").await.0, 401);
        assert_eq!(server.get(&token, "/printers").await.0, 404);
        assert_eq!(server.request("GET /user_query/v2", "", "").await.0, 404);
        let long = format!("/user/{}", "x".repeat(66));
        assert_eq!(server.get(&token, &long).await.0, 400);
        for _ in 0..3 {
            assert_eq!(server.login("wrong").await.0, 401);
        }
        assert_eq!(server.login("wrong").await.0, 429);
        assert_eq!(server.login("s3cr-t_").await.0, 200, "it is known to be right");
    });
}

#[test]
fn a_reload_revokes_tokens_of_removed_clients_and_rejects_other_addresses() {
    with_server(async |server| {
        let token = server.token().await;
        server.validator.apply_settings(&settings("127.0.0.1/32"));
        assert_eq!(
            server.get(&token, "/user/bob").await.0,
            200,
            "unchanged credentials keep the token"
        );
        let without_clients = config::Validator { clients: Vec::new(), ..settings("127.0.0.1/32") };
        server.validator.apply_settings(&without_clients);
        assert_eq!(server.get(&token, "/user/bob").await.0, 403);
        server.validator.apply_settings(&settings("127.0.0.1/32"));
        assert_eq!(server.get(&token, "/user/bob").await.0, 401, "its token is revoked");
        server.validator.apply_settings(&settings("127.0.0.2/32"));
        assert_eq!(server.get(&token, "/user/bob").await.0, 403);
    });
}
