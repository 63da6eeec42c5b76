//! A Secure Edge that reads every report and keeps none: how fast everything can be told to it.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tempfile::TempDir;

/// The receiver, bound; nobody is answered before [`Edge::synchronised`].
pub struct Edge {
    listener: TcpListener,
    folder: TempDir,
}

/// What it was told in one synchronisation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// Sessions.
    pub sessions: u64,
    /// From the beginning to the end.
    pub took: Duration,
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

/// Read as a receiver would that keeps it.
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
    /// Binds it, and writes down credentials for whoever will push.
    pub fn bind() -> io::Result<Self> {
        let (listener, folder) = (TcpListener::bind("127.0.0.1:0")?, tempfile::tempdir()?);
        let file = folder.path().join("credentials");
        fs::write(&file, json!({"client_id": "bench", "client_secret": "bench"}).to_string())?;
        fs::set_permissions(file, Permissions::from_mode(0o600))?;
        Ok(Self { listener, folder })
    }

    /// The section that makes Rollcall push to it, compressed, in batches of `batch`.
    pub fn section(&self, batch: u32) -> io::Result<String> {
        let address: SocketAddr = self.listener.local_addr()?;
        let credentials = self.folder.path().join("credentials");
        let credentials = credentials.display();
        Ok(format!(
            "[[push.secure_edge]]\nname = \"edge\"\nurl = \"http://{address}\"\ninsecure = true\n\
             credentials_file = \"{credentials}\"\nbatch = {batch}\ntimeout = \"10m\"\n"
        ))
    }

    /// Answers whoever connected, until a synchronisation is at its end.
    pub fn synchronised(&self) -> io::Result<Told> {
        let mut told = Told::default();
        let mut began = now();
        loop {
            let mut stream = BufReader::new(self.listener.accept()?.0);
            while let Some((path, body)) = request(&mut stream)? {
                let answer = match path.as_str() {
                    "/v1/oauth/token" => json!({"access_token": "bench", "token_type": "Bearer"}),
                    "/v1/synchronisations" => {
                        (told, began) = (Told::default(), now());
                        json!({"position": null})
                    }
                    "/v1/reports" => {
                        let batch: Batch = serde_json::from_slice(&body)?;
                        told.sessions += batch.sessions.len() as u64;
                        let others = batch.groups.len() + batch.users.len() + batch.devices.len();
                        let all = others + batch.states.len() + batch.sessions.len();
                        json!({"position": batch.next, "accepted": all, "duplicates": 0})
                    }
                    "/v1/synchronisations/end" => {
                        let End { position } = serde_json::from_slice(&body)?;
                        respond(&mut stream, &json!({"position": position, "sessions": 0}))?;
                        told.took = began.elapsed();
                        return Ok(told);
                    }
                    _ => json!({"position": null}),
                };
                respond(&mut stream, &answer)?;
            }
        }
    }
}

/// The path and the body, as it was before it was compressed; `None` at the end.
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
