//! Clients that are slow, send too much, are too many, or make a handler panic; and a listener that
//! is replaced.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::*;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::{RestartPolicy, Spawn, Supervisor};

fn limits() -> HttpLimits {
    HttpLimits {
        body_size: 1000,
        header_size: 2000,
        header_timeout: Duration::from_secs(1),
        body_timeout: Duration::from_secs(1),
        connections: 8,
        connections_per_address: 4,
    }
}

async fn echo(payload: web::Payload) -> HttpResponse {
    let limits = limits();
    match body::read(payload, limits.body_size, limits.body_timeout).await {
        Ok(body) => HttpResponse::Ok().body(body),
        Err(unread) => HttpResponse::build(unread.status()).force_close().finish(),
    }
}

fn spec(routes: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> ListenerSpec {
    ListenerSpec {
        name: "test",
        limits: limits(),
        drain: Duration::from_secs(5),
        tls: None,
        routes: Arc::new(routes),
    }
}

struct TestListener {
    listener: Mailbox<Listener>,
    at: SocketAddr,
}

impl TestListener {
    async fn open(spec: ListenerSpec) -> Self {
        let bound = BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
        let at = bound.addresses().unwrap()[0];
        let policy = RestartPolicy { first: Duration::from_millis(5), ..RestartPolicy::default() };
        let supervisor = Supervisor::start(&Clock::system(), policy);
        let listener = Mailbox::<Listener>::new("test", Clock::system());
        let factory = move || Listener::new(bound.clone(), spec.clone());
        supervisor.send(Spawn::new(listener.clone(), factory)).await.unwrap();
        Self { listener, at }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// The response up to the end of the connection.
    async fn response(&self, request: &str) -> String {
        read_to_end(self.send(request).await).await
    }
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut response = Vec::new();
    let read = stream.read_to_end(&mut response);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    // A reset after the response also ends it.
    let _ = read.expect("the server never closed the connection");
    String::from_utf8(response).unwrap()
}

fn with_listener(test: impl AsyncFnOnce(TestListener)) {
    actix::System::new().block_on(async {
        let spec = spec(|config| {
            let bad = || async { panic!("test panic") as HttpResponse };
            config.route("/echo", web::post().to(echo)).route("/panic", web::get().to(bad));
        });
        test(TestListener::open(spec).await).await;
    });
}

const LAST: &str =
    "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_panicking_handler_ends_only_its_own_connection() {
    with_listener(async |listener| {
        assert!(listener.response(LAST).await.ends_with("\r\n\r\nhi"));
        assert_eq!(listener.response("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
        assert!(listener.response(LAST).await.ends_with("\r\n\r\nhi"));
    });
}

#[test]
fn a_slow_head_and_a_slow_body_end_with_408() {
    with_listener(async |listener| {
        let head = listener.response("POST /echo HTTP/1.1\r\nHost:").await;
        assert!(head.starts_with("HTTP/1.1 408"), "{head}");
        let body = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
        let body = listener.response(body).await;
        assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    });
}

#[test]
fn a_long_head_ends_with_431_and_a_long_body_with_413() {
    with_listener(async |listener| {
        let padding = "x".repeat(2000);
        let head = format!("POST /echo HTTP/1.1\r\nHost: x\r\nPadding: {padding}\r\n\r\n");
        let head = listener.response(&head).await;
        assert!(head.starts_with("HTTP/1.1 431"), "{head}");
        let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "y".repeat(1001));
        for (header, body) in
            [("Content-Length: 1001", "y".repeat(1001)), ("Transfer-Encoding: chunked", chunk)]
        {
            let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n{body}");
            let response = listener.response(&request).await;
            assert!(response.starts_with("HTTP/1.1 413"), "{header}: {response}");
        }
    });
}

#[test]
fn connections_over_the_limit_of_an_address_are_closed_until_slots_are_released() {
    with_listener(async |listener| {
        let mut open = Vec::new();
        for _ in 0..4 {
            let kept = LAST.replace("Connection: close\r\n", "");
            let mut stream = listener.send(&kept).await;
            let mut first = [0; 4];
            stream.read_exact(&mut first).await.unwrap();
            open.push(stream);
        }
        assert_eq!(listener.response(LAST).await, "");
        drop(open);
        for _ in 0..200 {
            if listener.response(LAST).await.ends_with("hi") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no connection slot was released");
    });
}

#[test]
fn close_completes_requests_in_progress() {
    actix::System::new().block_on(async {
        let (started, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (started_signal, proceed_signal) = (Arc::clone(&started), Arc::clone(&proceed));
        let spec = spec(move |config| {
            let (started_signal, proceed_signal) =
                (Arc::clone(&started_signal), Arc::clone(&proceed_signal));
            let slow = move || {
                let (started_signal, proceed_signal) =
                    (Arc::clone(&started_signal), Arc::clone(&proceed_signal));
                async move {
                    started_signal.notify_one();
                    proceed_signal.notified().await;
                    HttpResponse::Ok().body("late")
                }
            };
            config.route("/slow", web::get().to(slow));
        });
        let listener = TestListener::open(spec).await;
        let slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        let pending = listener.send(slow).await;
        started.notified().await;
        let closed = listener.listener.queue(Close).await.unwrap();
        let mut closed = std::pin::pin!(closed);
        let early = tokio::time::timeout(Duration::from_millis(100), closed.as_mut()).await;
        assert!(early.is_err(), "a request is still in progress");
        proceed.notify_one();
        assert!(read_to_end(pending).await.ends_with("late"));
        closed.await.unwrap();
    });
}

#[test]
fn a_replaced_listener_serves_the_same_sockets() {
    actix::System::new().block_on(async {
        let bound = BoundSockets::bind(&["127.0.0.1:0".parse().unwrap()], None).unwrap();
        let at = bound.addresses().unwrap()[0];
        let spec = spec(|config| {
            config.route("/echo", web::post().to(echo));
        });
        let gate = Arc::new(ConnectionLimiter::new(&spec.limits));
        for _ in 0..3 {
            let sockets = bound.duplicates().unwrap();
            let (running, ended) = server::start(sockets, &spec, &gate).unwrap();
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(LAST.as_bytes()).await.unwrap();
            assert!(read_to_end(stream).await.ends_with("hi"));
            drop(running);
            ended.await.unwrap();
        }
    });
}

#[test]
fn tls_connections_use_http_1_1_only() {
    actix::System::new().block_on(async {
        let data = tempfile::tempdir().unwrap();
        let authority_files = rollcall_runtime::tls::SelfSigned::new(data.path(), "test", &[], &[]);
        let tls = Some(authority_files.serve(Clock::system().now()).unwrap());
        let spec = spec(|config| {
            config.route("/echo", web::post().to(echo));
        });
        let listener = TestListener::open(ListenerSpec { tls, ..spec }).await;
        let mut stream = tls_client(data.path(), &[b"h2", b"http/1.1"])
            .connect("localhost".try_into().unwrap(), listener.send("").await)
            .await
            .unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream.write_all(LAST.as_bytes()).await.unwrap();
        let mut response = String::new();
        // The server may close the connection without a TLS close_notify after the response.
        let _ = stream.read_to_string(&mut response).await;
        assert!(response.ends_with("\r\n\r\nhi"), "{response}");
        let plain = listener.response(LAST).await;
        assert!(!plain.contains("HTTP"), "a TLS alert at most: {plain:?}");
    });
}

/// A client that trusts the authority in `data` and offers these protocols.
fn tls_client(data: &std::path::Path, protocols: &[&[u8]]) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let authority = rollcall_runtime::tls::authority_file(data);
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(client).into()
}
