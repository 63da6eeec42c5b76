//! A Secure Edge receiver over a real connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// What the receiver has received.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) batches: usize,
    /// The number of batches to which it may respond.
    responses: usize,
    /// The paths of requests that arrived while a batch had no response.
    pub(super) meanwhile: Vec<String>,
    pending: usize,
    sessions: usize,
}

/// A receiver that starts empty. It responds to a batch only when the test allows it.
#[derive(Default)]
pub(super) struct Receiver {
    received: Mutex<Received>,
    pub(super) changed: Condvar,
}

impl Receiver {
    pub(super) fn start() -> (Arc<Self>, String) {
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

    pub(super) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some((path, body)) = request(&mut stream) {
            let response = self.respond(&path, &body).to_string();
            let length = response.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            if stream.get_mut().write_all((head + &response).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn respond(&self, path: &str, body: &Value) -> Value {
        let mut received = self.received();
        if received.pending > 0 {
            received.meanwhile.push(path.to_owned());
            self.changed.notify_all();
        }
        match path {
            "/v1/oauth/token" => json!({"access_token": "token"}),
            "/v1/reports" => {
                received.batches += 1;
                received.pending += 1;
                let own = received.batches;
                let waits = |received: &mut Received| received.responses < own;
                let waited = self.changed.wait_while(received, waits);
                received = waited.unwrap_or_else(PoisonError::into_inner);
                let count = |list| body[list].as_array().map_or(0, Vec::len);
                let all: usize =
                    ["groups", "users", "devices", "sessions", "states"].map(count).iter().sum();
                received.pending -= 1;
                received.sessions += count("sessions");
                json!({"position": body["next"], "accepted": all, "duplicates": 0})
            }
            "/v1/synchronisations/end" => {
                json!({"position": body["position"], "sessions": received.sessions})
            }
            _ => json!({"position": null}),
        }
    }

    /// Allows responses to this number of batches in all.
    pub(super) fn allow(&self, responses: usize) {
        self.received().responses = responses;
        self.changed.notify_all();
    }
}

/// The path and the body of the next request.
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
