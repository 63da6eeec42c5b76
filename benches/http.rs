//! One HTTP/1.1 connection that is kept open, plain or with TLS, as an SRX keeps its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// An answer takes less, or the server is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// No answer of Rollcall is longer, in bytes: a page has 1000 reports of a few hundred bytes.
const LONGEST: usize = 16 * 1024 * 1024;

trait Transport: Read + Write + Send + Sync {}

impl<T: Read + Write + Send + Sync> Transport for T {}

/// A connection.
pub struct Connection {
    transport: BufReader<Box<dyn Transport>>,
    authorization: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to `to`, with TLS when there is a configuration for it.
    pub fn open(to: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let transport: Box<dyn Transport> = match tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::IpAddress(to.ip().into());
                let session = ClientConnection::new(Arc::clone(config), name);
                Box::new(StreamOwned::new(session.map_err(io::Error::other)?, stream))
            }
        };
        Ok(Self {
            transport: BufReader::with_capacity(64 * 1024, transport),
            authorization: String::new(),
        })
    }

    /// Shows `token` with every request from now on.
    pub fn authorize(&mut self, token: &str) {
        self.authorization = format!("Authorization: Bearer {token}\r\n");
    }

    /// Shows the token that `other` shows.
    pub fn authorize_like(&mut self, other: &Self) {
        self.authorization.clone_from(&other.authorization);
    }

    /// Asks with GET.
    pub fn get(&mut self, target: &str) -> io::Result<Response> {
        self.request("GET", target, None)
    }

    /// Sends `body`, of this media type, with POST.
    pub fn post(&mut self, target: &str, body: (&str, &[u8])) -> io::Result<Response> {
        self.request("POST", target, Some(body))
    }

    fn request(
        &mut self,
        method: &str,
        target: &str,
        body: Option<(&str, &[u8])>,
    ) -> io::Result<Response> {
        let authorization = &self.authorization;
        let head = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}");
        let mut message = head.into_bytes();
        if let Some((media_type, body)) = body {
            let length = body.len();
            write!(message, "Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n")?;
            message.extend_from_slice(body);
        } else {
            message.extend_from_slice(b"\r\n");
        }
        let transport = self.transport.get_mut();
        transport.write_all(&message)?;
        transport.flush()?;
        self.response()
    }

    fn response(&mut self) -> io::Result<Response> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| bad("no status line"))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = value.trim().parse().map_err(|_| bad("bad content-length"))?;
                }
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let size = self.line()?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(|_| bad("bad chunk"))?;
                self.append(&mut body, size)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.append(&mut body, length)?;
        }
        Ok(Response { status, body })
    }

    fn append(&mut self, body: &mut Vec<u8>, size: usize) -> io::Result<()> {
        let begin = body.len();
        if begin + size > LONGEST {
            return Err(io::Error::other("an answer without end"));
        }
        body.resize(begin + size, 0);
        self.transport.read_exact(&mut body[begin..])
    }

    /// The next line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.transport.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed"));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Response {
    /// The body, when the status is 200.
    pub fn ok(self) -> io::Result<Vec<u8>> {
        match self.status {
            200 => Ok(self.body),
            status => {
                let body = String::from_utf8_lossy(&self.body).into_owned();
                Err(io::Error::other(format!("answered {status}: {body}")))
            }
        }
    }
}
