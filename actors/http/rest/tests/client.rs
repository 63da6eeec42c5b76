//! A minimal HTTP client that shows the exact response of a listener, header by header.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A response, read to the end of its connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head ends with an empty line");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |line: &str| {
            let (key, value) = line.split_once(": ").expect("a header has a colon");
            (key.to_lowercase(), value.to_owned())
        };
        let headers = lines.map(header).collect();
        Self { status: status.expect("a status"), headers, body: body.to_owned() }
    }
}

/// Sends a request as HTTP/1.0, so that the body is neither chunked nor followed by another
/// response.
pub(super) async fn send(to: SocketAddr, method: &str, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {to}\r\n{length}{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

pub(super) async fn request(to: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut text = String::new();
    send(to, method, path, headers).await.read_to_string(&mut text).await.unwrap();
    Answer::parse(&text)
}

/// An event of a live stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) data: Value,
}

/// A client of a live stream.
pub(super) struct Events {
    stream: TcpStream,
    unread: String,
}

impl Events {
    pub(super) async fn open(to: SocketAddr, path: &str, headers: &str) -> Self {
        let mut events =
            Self { stream: send(to, "GET", path, headers).await, unread: String::new() };
        let head = events.block().await.expect("a head");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        events
    }

    /// The first block of the stream, with the start position.
    pub(super) async fn greeting(&mut self) -> String {
        self.block().await.expect("a first block")
    }

    /// The next event; `None` when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let mut event = Event::default();
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => event.id = Some(id.to_owned()),
                    Some(("event", name)) => event.name = name.to_owned(),
                    Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                    _ => {}
                }
            }
            if !event.data.is_null() {
                return Some(event);
            }
        }
    }

    /// The text up to the next empty line.
    async fn block(&mut self) -> Option<String> {
        loop {
            let text = self.unread.replace("\r\n", "\n");
            if let Some((block, rest)) = text.split_once("\n\n") {
                let block = block.to_owned();
                self.unread = rest.to_owned();
                return Some(block);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await.unwrap() {
                0 => return None,
                read => self.unread.push_str(std::str::from_utf8(&bytes[..read]).unwrap()),
            }
        }
    }
}
