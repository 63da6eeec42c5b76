//! A Secure Edge receiver that reads every report and discards it: the speed of a full resync.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tempfile::TempDir;

/// The receiver, bound. It does not respond before [`Edge::synchronised`].
pub struct Edge {
    listener: TcpListener,
    folder: TempDir,
    line: Line,
}

/// How it is reached.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The number of batches that it accepts in parallel.
    pub window: usize,
    /// The delay of a response.
    pub delay: Duration,
}

/// The content of one full resync.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Sessions.
    pub sessions: u64,
    /// The duration.
    pub took: Duration,
}

/// The counters of all connections.
#[derive(Default)]
struct Count {
    sessions: AtomicU64,
    began: Mutex<Option<Instant>>,
}

#[derive(Deserialize)]
struct Batch {
    next: String,
    groups: Vec<IgnoredAny>,
    users: Vec<IgnoredAny>,
    devices: Vec<IgnoredAny>,
    sessions: Vec<Session>,
    states: Vec<IgnoredAny>,
}

/// Parsed as by a receiver that stores it.
#[derive(Deserialize)]
struct Session {
    #[serde(rename = "revision")]
    _revision: u64,
    #[serde(rename = "address")]
    _address: std::net::IpAddr,
}

#[derive(Deserialize)]
struct End {
    position: String,
}

impl Edge {
    /// Binds it, and writes the credentials for the push target.
    pub fn bind(line: Line) -> io::Result<Self> {
        let (listener, folder) = (TcpListener::bind("127.0.0.1:0")?, tempfile::tempdir()?);
        let file = folder.path().join("credentials");
        fs::write(&file, json!({"client_id": "bench", "client_secret": "bench"}).to_string())?;
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
        Ok(Self { listener, folder, line })
    }

    /// The configuration section of this push target, with compression and batches of `batch`.
    pub fn section(&self, batch: u32) -> io::Result<String> {
        let address: SocketAddr = self.listener.local_addr()?;
        let credentials = self.folder.path().join("credentials");
        let (credentials, window) = (credentials.display(), self.line.window);
        Ok(format!(
            "[[push.secure_edge]]\nname = \"edge\"\nurl = \"http://{address}\"\ninsecure = true\n\
             credentials_file = \"{credentials}\"\nbatch_size = {batch}\nmax_in_flight = {window}\n\
             timeout = \"10m\"\n"
        ))
    }

    /// Serves connections until a full resync is complete.
    pub fn synchronised(&self) -> io::Result<Told> {
        let (count, line) = (Arc::new(Count::default()), self.line);
        let (ended, end) = mpsc::channel();
        let listener = self.listener.try_clone()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (count, ended) = (Arc::clone(&count), ended.clone());
                std::thread::spawn(move || {
                    let told = serve(BufReader::new(stream), line, &count);
                    if let Some(told) = told.transpose() {
                        // Only the first result is used.
                        let _ = ended.send(told);
                    }
                });
            }
        });
        end.recv().map_err(io::Error::other)?
    }
}

/// Serves one connection to its end, or to the end of the full resync.
fn serve(mut stream: BufReader<TcpStream>, line: Line, count: &Count) -> io::Result<Option<Told>> {
    stream.get_ref().set_nodelay(true)?;
    while let Some((path, body)) = request(&mut stream)? {
        let mut began = count.began.lock().map_err(|_| io::Error::other("a thread panicked"))?;
        let mut told = None;
        let answer = match path.as_str() {
            "/v1/oauth/token" => json!({"access_token": "bench", "token_type": "Bearer"}),
            "/v1/synchronisations" => {
                *began = Some(now());
                count.sessions.store(0, SeqCst);
                json!({"position": null, "window": line.window})
            }
            "/v1/reports" => {
                drop(began);
                let batch: Batch = serde_json::from_slice(&body)?;
                count.sessions.fetch_add(batch.sessions.len() as u64, SeqCst);
                let others = batch.groups.len() + batch.users.len() + batch.devices.len();
                let all = others + batch.states.len() + batch.sessions.len();
                json!({"position": batch.next, "accepted": all, "duplicates": 0})
            }
            "/v1/synchronisations/end" => {
                let End { position } = serde_json::from_slice(&body)?;
                let took = began.map(|began| began.elapsed()).unwrap_or_default();
                told = Some(Told { sessions: count.sessions.load(SeqCst), took });
                json!({"position": position, "sessions": 0})
            }
            _ => json!({"position": null, "window": line.window}),
        };
        std::thread::sleep(line.delay);
        respond(&mut stream, &answer)?;
        if told.is_some() {
            return Ok(told);
        }
    }
    Ok(None)
}

/// The path and the decompressed body; `None` at the end.
fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut packed) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "content-encoding" => packed = value == "gzip",
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    if packed {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain)?;
        body = plain;
    }
    Ok(Some((path, body)))
}

fn respond(stream: &mut BufReader<TcpStream>, answer: &serde_json::Value) -> io::Result<()> {
    let body = answer.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all((head + &body).as_bytes())
}

fn now() -> Instant {
    Instant::now()
}
