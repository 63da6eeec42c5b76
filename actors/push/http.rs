//! One HTTP/1.1 connection to a push target: kept alive, verified by rustls, with limits for the time
//! of a request and the size of a response.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::write::GzEncoder;
use rollcall_config::{Compression, PushTarget};
use rollcall_identity::Timestamp;
use rollcall_wire::http::{OAuthError, ProblemDetails};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, http};

use super::error::{ErrorResponse, PushError};
use rollcall_runtime::clock::Clock;

/// The maximum size of a response: digests of all pages take 280 KB.
const RESPONSE_LIMIT: u64 = 2 << 20;

/// The maximum delay taken from Retry-After. After a longer one, the target is tried once an hour.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(3600);

/// The connection to one target.
pub(super) struct Http {
    target: PushTarget,
    /// Created at the first request, and again after a failure.
    agent: Option<Agent>,
    clock: Clock,
    bytes_sent: u64,
}

/// A POST request.
pub(super) struct Post<'a> {
    pub(super) path: &'a str,
    pub(super) content_type: &'a str,
    pub(super) body: &'a [u8],
    pub(super) compression: Compression,
}

/// A complete response.
pub(super) struct HttpResponse {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Http {
    /// A connection to `target`. It reads its files and connects at the first request.
    pub(super) fn new(target: PushTarget, clock: Clock) -> Self {
        Self { target, agent: None, clock, bytes_sent: 0 }
    }

    fn agent(&mut self) -> Result<Agent, PushError> {
        if let Some(agent) = &self.agent {
            // A copy shares its connections.
            return Ok(agent.clone());
        }
        let target = &self.target;
        let mut tls = TlsConfig::builder();
        // The CA file is needed only for TLS.
        if target.url.starts_with("https:") {
            let roots = certificates(&target.ca)?;
            tls = tls.root_certs(RootCerts::new_with_certs(&roots));
        }
        if let Some((certificate, key)) = &target.identity {
            let chain = certificates(certificate)?;
            let private = PrivateKey::from_pem(&read(key)?)
                .map_err(|why| PushError::NotConfigured(format!("{}: {why}", key.display())))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, private)));
        }
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(target.timeout))
            .timeout_connect(Some(target.timeout))
            // A redirect would send secrets to another host.
            .max_redirects(0)
            .max_idle_connections_per_host(1)
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .into();
        self.agent = Some(agent.clone());
        Ok(agent)
    }

    /// The number of bytes of request bodies sent since the last call.
    pub(super) fn take_bytes_sent(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_sent)
    }

    /// Sends a POST request, and reads the response of any status.
    pub(super) fn post(
        &mut self,
        post: &Post<'_>,
        headers: &[(&str, &str)],
    ) -> Result<HttpResponse, PushError> {
        let mut request = self.agent()?.post(format!("{}{}", self.target.url, post.path));
        request = request.header("Content-Type", post.content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match post.compression {
            Compression::Gzip => {
                let compressed = gzip(post.body);
                self.bytes_sent += compressed.len() as u64;
                request.header("Content-Encoding", "gzip").send(compressed)
            }
            Compression::Plain => {
                self.bytes_sent += post.body.len() as u64;
                request.send(post.body)
            }
        };
        self.read_response(response)
    }

    /// Sends a GET request, and reads the response of any status.
    pub(super) fn get(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<HttpResponse, PushError> {
        let mut request = self.agent()?.get(format!("{}{path}", self.target.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.read_response(request.call())
    }

    fn read_response(
        &mut self,
        response: Result<http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<HttpResponse, PushError> {
        let response = response.map_err(|why| {
            // The certificates may be wrong: the next request reads them again.
            self.agent = None;
            PushError::Unreachable(why.to_string())
        })?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get("Retry-After").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, self.clock.now()));
        let mut bytes = Vec::new();
        let read = body.into_reader().take(RESPONSE_LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|why| PushError::Unreachable(format!("the response is incomplete: {why}")))?;
        if bytes.len() as u64 > RESPONSE_LIMIT {
            let why = format!("the response is longer than {RESPONSE_LIMIT} bytes");
            return Err(PushError::ProtocolError(why));
        }
        Ok(HttpResponse { status: head.status.as_u16(), body: bytes, retry_after })
    }
}

impl HttpResponse {
    /// The body of a response that reports success.
    pub(super) fn success(self) -> Result<Vec<u8>, PushError> {
        let Self { status, body, retry_after: after } = self;
        if (200..=299).contains(&status) {
            return Ok(body);
        }
        let response = ErrorResponse { status: Some(status), text: ProblemDetails::read(&body) };
        Err(match status {
            429 | 503 => PushError::Busy { response, after },
            401 | 403 => PushError::Denied(response),
            409 => PushError::PositionMismatch(response),
            400 | 413 | 422 => PushError::BatchRejected(response),
            _ => PushError::Failed(response),
        })
    }

    /// The body of a successful response to a request for credentials or a token. The request has no
    /// reports, so that any 4xx except 429 refuses the credentials (RFC 6749 section 5.2).
    pub(super) fn granted(self) -> Result<Vec<u8>, PushError> {
        match self.status {
            429 => self.success(),
            status @ 400..=499 => {
                let text =
                    OAuthError::read(&self.body).or_else(|| ProblemDetails::read(&self.body));
                Err(PushError::Denied(ErrorResponse { status: Some(status), text }))
            }
            _ => self.success(),
        }
    }
}

/// Parses `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Timestamp::from(date.timestamp()).since(now)
        }
    };
    Some(wait.min(RETRY_AFTER_LIMIT))
}

/// Compresses a body (RFC 1952) at the fastest level: names of one domain compress well at any level,
/// and CPU time is scarcer than bandwidth.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder =
        GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    let compressed = encoder.write_all(body).and_then(|()| encoder.finish());
    compressed.expect("writing to a Vec cannot fail")
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, PushError> {
    let pem = read(file)?;
    let invalid = |why: &dyn std::fmt::Display| {
        PushError::NotConfigured(format!("{}: {why}", file.display()))
    };
    let mut chain = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|why| invalid(&why))? {
            chain.push(certificate);
        }
    }
    if chain.is_empty() { Err(invalid(&"contains no certificate")) } else { Ok(chain) }
}

fn read(file: &Path) -> Result<Vec<u8>, PushError> {
    fs::read(file).map_err(|why| PushError::file(file, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "1994-11-06T08:49:30Z".parse().unwrap();
        let seconds = |text| parse_retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "the date is in the past");
        assert_eq!(seconds("99999999999"), Some(3600), "the limit is one hour");
        for bad in ["", "-1", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_refused_token_request_is_no_rejected_batch() {
        let granted = |status, body: &str| {
            let response = HttpResponse { status, body: body.into(), retry_after: None };
            response.granted().map_err(|error| (error.label(), error.to_string()))
        };
        assert_eq!(granted(200, "{}"), Ok(b"{}".to_vec()));
        for (status, body, label, detail) in [
            (400, "{\"error\":\"invalid_client\"}", "denied", "(status 400): invalid_client"),
            (401, "{\"detail\":\"no such client\"}", "denied", "(status 401): no such client"),
            (409, "", "denied", "(status 409)"),
            (422, "{}", "denied", "(status 422)"),
            (429, "", "busy", "(status 429)"),
            (503, "", "busy", "(status 503)"),
            (500, "no", "failed", "(status 500)"),
            (302, "", "failed", "(status 302)"),
        ] {
            let (found, text) = granted(status, body).unwrap_err();
            assert!(found == label && text.ends_with(detail), "{status}: {found}: {text}");
        }
    }

    #[test]
    fn a_compressed_body_is_decompressed_unchanged() {
        let body = "name,".repeat(1000);
        let compressed = gzip(body.as_bytes());
        assert!(compressed.len() < 200);
        let mut read = String::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, body);
    }
}
