//! An HTTPS server that parses HTTP/1.1 strictly, keeps connections alive, and can inject faults of
//! servers and networks.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::authority::Pair;

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status is returned; the request has no effect.
    Status(u16),
    /// 429 with a `Retry-After` in seconds is returned; the request has no effect.
    Busy(u64),
    /// 200 with a body that is not JSON is returned; the request has no effect.
    Garbage,
    /// The request has its effect; the response is cut off.
    Half,
    /// The request has its effect; the connection is closed without a response.
    Unanswered,
    /// The response is sent one byte at a time and never ends.
    SlowLoris,
    /// The connection is closed in the middle of the request.
    ClosedInBody,
}

/// A complete request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Decompressed.
    pub(crate) body: Vec<u8>,
}

/// A response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// A running server. It ends when this is dropped.
pub(crate) struct Https {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    handler: Handler,
    faults: Mutex<VecDeque<Fault>>,
    down: AtomicBool,
    ended: AtomicBool,
    connections: AtomicUsize,
}

impl Https {
    /// Serves `handler` with the certificate of `pair`, on loopback.
    pub(crate) fn start(
        pair: &Pair,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        Self::serve(pair, WebPkiClientVerifier::no_client_auth(), handler)
    }

    /// The same, for clients only that show a certificate which `authority` signed.
    pub(crate) fn start_for_known(
        pair: &Pair,
        authority: &Path,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Self::serve(pair, verifier.build().unwrap(), handler)
    }

    fn serve(
        pair: &Pair,
        clients: Arc<dyn ClientCertVerifier>,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let chain = CertificateDer::pem_file_iter(&pair.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Arc::new(handler),
            faults: Mutex::default(),
            down: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let (config, serving) = (Arc::new(config), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(SeqCst) {
                    return;
                }
                let (config, serving) = (Arc::clone(&config), Arc::clone(&serving));
                thread::spawn(move || serve(stream, config, &serving));
            }
        });
        Self { address, shared }
    }

    /// Where it listens, `https://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Misbehaves with the next requests, one after the other.
    pub(crate) fn inject_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults().extend(faults);
    }

    /// Behaves from now on.
    pub(crate) fn behave(&self) {
        self.shared.faults().clear();
    }

    /// How many requests are still to be misbehaved with.
    pub(crate) fn faults_left(&self) -> usize {
        self.shared.faults().len()
    }

    /// Every connection is closed at once, until it is up again.
    pub(crate) fn down(&self) {
        self.shared.down.store(true, SeqCst);
    }

    pub(crate) fn up(&self) {
        self.shared.down.store(false, SeqCst);
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        self.down();
        // It looks whether it has ended when somebody connects.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn faults(&self) -> std::sync::MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) {
    if shared.down.load(SeqCst) {
        return;
    }
    shared.connections.fetch_add(1, SeqCst);
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let connection = ServerConnection::new(config).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    // Whoever closes between two requests, or trusts another authority, ends this.
    while let Some((head, length)) = head(&mut stream) {
        let fault = shared.faults().pop_front();
        if shared.down.load(SeqCst) {
            return;
        }
        if fault == Some(Fault::ClosedInBody) {
            let _ = stream.read_exact(&mut vec![0; length / 2]);
            return;
        }
        let Some(request) = body(&mut stream, head, length) else { return };
        if answer(&mut stream, &request, fault, shared).is_none() {
            return;
        }
    }
}

/// The request line, the headers and the length of the body; `None` when the connection is closed.
fn head(stream: &mut impl BufRead) -> Option<(Request, usize)> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [method, path, "HTTP/1.1"] = words[..] else { panic!("no request line: {line:?}") };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("cut: {line:?}"));
        let Some((name, value)) = line.split_once(':') else {
            assert!(line.is_empty(), "no header: {line:?}");
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    assert!(!headers.contains_key("transfer-encoding"), "its length is known: {headers:?}");
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    Some((Request { method, path, headers, body: Vec::new() }, length))
}

fn body(stream: &mut impl Read, mut request: Request, length: usize) -> Option<Request> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = match request.headers.get("content-encoding").map(String::as_str) {
        None => body,
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        }
        Some(other) => panic!("encoded as {other}"),
    };
    Some(request)
}

/// Sends the response, subject to `fault`; `None` when the connection has to be closed.
fn answer(
    stream: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
    request: &Request,
    fault: Option<Fault>,
    shared: &Shared,
) -> Option<()> {
    let stream = stream.get_mut();
    let done = |response: &Response| whole(response.status, "", &response.body);
    match fault {
        None => stream.write_all(done(&(shared.handler)(request)).as_bytes()).ok()?,
        Some(Fault::Status(status)) => {
            let text = whole(status, "", "{\"detail\":\"told to fail\"}");
            stream.write_all(text.as_bytes()).ok()?;
        }
        Some(Fault::Busy(seconds)) => {
            let header = format!("Retry-After: {seconds}\r\n");
            stream.write_all(whole(429, &header, "").as_bytes()).ok()?;
        }
        Some(Fault::Garbage) => {
            stream.write_all(whole(200, "", "<p>It works!</p>").as_bytes()).ok()?;
        }
        Some(Fault::Half) => {
            let text = done(&(shared.handler)(request));
            stream.write_all(&text.as_bytes()[..text.len() - 5]).ok()?;
            stream.flush().ok()?;
            return None;
        }
        Some(Fault::Unanswered) => {
            (shared.handler)(request);
            return None;
        }
        Some(Fault::SlowLoris) => {
            for byte in "HTTP/1.1 200 OK\r\nX: ".bytes().chain(std::iter::repeat(b'x')) {
                stream.write_all(&[byte]).and_then(|()| stream.flush()).ok()?;
                // Slow enough that the client reaches its deadline first.
                thread::sleep(Duration::from_millis(50));
            }
        }
        Some(Fault::ClosedInBody) => unreachable!("the body was not read"),
    }
    stream.flush().ok()
}

fn whole(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Reply\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}
