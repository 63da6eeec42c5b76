//! One HTTP/1.1 connection to a push target: kept alive, verified by rustls, bounded in time and
//! in the size of what comes back.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use flate2::write::GzEncoder;
use rollcall_config::{Compression, PushTarget};
use rollcall_identity::Timestamp;
use rollcall_wire::secure_edge::{OAuthError, ProblemDetails};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, http};

use super::error::PushError;
use rollcall_runtime::clock::Clock;

/// The longest answer that is read: digests of all pages take 280 KB.
const ANSWER: u64 = 2 << 20;

/// The longest Retry-After that is honoured. A target that says more is asked again once an hour.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The way to one target.
pub(super) struct Http {
    target: PushTarget,
    /// Made when it is first needed, and again until its files can be read.
    agent: Option<Agent>,
    clock: Clock,
    sent: u64,
}

/// What is sent.
pub(super) struct Post<'a> {
    pub(super) path: &'a str,
    pub(super) content_type: &'a str,
    pub(super) body: &'a [u8],
    pub(super) compression: Compression,
}

/// What came back, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    retry_after: Option<Duration>,
}

impl Http {
    /// The way to `target`. Nothing is read or connected yet.
    pub(super) fn new(target: PushTarget, clock: Clock) -> Self {
        Self { target, agent: None, clock, sent: 0 }
    }

    fn agent(&mut self) -> Result<Agent, PushError> {
        if let Some(agent) = &self.agent {
            // A copy shares its connections.
            return Ok(agent.clone());
        }
        let target = &self.target;
        let mut tls = TlsConfig::builder();
        // Whoever has no TLS needs no authorities.
        if target.url.starts_with("https:") {
            let roots = certificates(&target.authorities)?;
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
            // A redirection would carry secrets elsewhere.
            .max_redirects(0)
            .max_idle_connections_per_host(1)
            .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .into();
        self.agent = Some(agent.clone());
        Ok(agent)
    }

    /// How many bytes of bodies were sent since this was last asked.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Posts a body, and reads the answer whatever its status.
    pub(super) fn post(
        &mut self,
        post: &Post<'_>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, PushError> {
        let mut request = self.agent()?.post(format!("{}{}", self.target.url, post.path));
        request = request.header("Content-Type", post.content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match post.compression {
            Compression::Gzip => {
                let packed = gzip(post.body);
                self.sent += packed.len() as u64;
                request.header("Content-Encoding", "gzip").send(packed)
            }
            Compression::Plain => {
                self.sent += post.body.len() as u64;
                request.send(post.body)
            }
        };
        self.answer(response)
    }

    /// Asks for something.
    pub(super) fn get(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, PushError> {
        let mut request = self.agent()?.get(format!("{}{path}", self.target.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.call())
    }

    fn answer(
        &mut self,
        response: Result<http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, PushError> {
        let response = response.map_err(|why| {
            // What it is verified with, and what is shown to it, may be exchanged for this.
            self.agent = None;
            PushError::Unreachable(why.to_string())
        })?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get("Retry-After").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| retry_after_of(text, self.clock.now()));
        let mut read = Vec::new();
        let ended = body.into_reader().take(ANSWER + 1).read_to_end(&mut read);
        ended.map_err(|why| PushError::Unreachable(format!("its answer broke off: {why}")))?;
        if read.len() as u64 > ANSWER {
            let why = format!("its answer is longer than {ANSWER} bytes");
            return Err(PushError::Unaccepted(why));
        }
        Ok(Answer { status: head.status.as_u16(), body: read, retry_after })
    }
}

impl Answer {
    /// The body of an answer that says success.
    pub(super) fn success(self) -> Result<Vec<u8>, PushError> {
        let Self { status, body, retry_after: after } = self;
        let said = || ProblemDetails::read(&body);
        match status {
            200..=299 => Ok(body),
            429 | 503 => Err(PushError::Busy { status, after, said: said() }),
            401 | 403 => Err(PushError::Denied { status, said: said() }),
            409 => Err(PushError::PositionMismatch(said())),
            400 | 413 | 422 => Err(PushError::BatchRejected { status, said: said() }),
            _ => Err(PushError::Failed { status, said: said() }),
        }
    }

    /// The same of an answer to whoever asks for credentials or a token: nothing that was told is in
    /// it, so what is refused is whoever asks (RFC 6749 section 5.2).
    pub(super) fn granted(self) -> Result<Vec<u8>, PushError> {
        match self.status {
            429 => self.success(),
            status @ 400..=499 => {
                let said =
                    OAuthError::read(&self.body).or_else(|| ProblemDetails::read(&self.body));
                Err(PushError::Denied { status, said })
            }
            _ => self.success(),
        }
    }
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
fn retry_after_of(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Timestamp::from(date.timestamp()).since(now)
        }
    };
    Some(wait.min(PATIENCE))
}

/// RFC 1952. The fastest level: names of one domain compress well at any, and a core is scarcer than
/// a line.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packed =
        GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
    let done = packed.write_all(body).and_then(|()| packed.finish());
    done.expect("a Vec takes all bytes")
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, PushError> {
    let pem = read(file)?;
    let named = |why: &dyn std::fmt::Display| {
        PushError::NotConfigured(format!("{}: {why}", file.display()))
    };
    let mut chain = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|why| named(&why))? {
            chain.push(certificate);
        }
    }
    if chain.is_empty() { Err(named(&"holds no certificate")) } else { Ok(chain) }
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
        let seconds = |text| retry_after_of(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0), "it is past");
        assert_eq!(seconds("99999999999"), Some(3600), "nobody is waited for longer");
        for bad in ["", "-1", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn whoever_is_refused_a_token_is_not_told_that_its_reports_are_bad() {
        let granted = |status, body: &str| {
            let answer = Answer { status, body: body.into(), retry_after: None };
            answer.granted().map_err(|error| (error.word(), error.to_string()))
        };
        assert_eq!(granted(200, "{}"), Ok(b"{}".to_vec()));
        for (status, body, word, said) in [
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
            assert!(found == word && text.ends_with(said), "{status}: {found}: {text}");
        }
    }

    #[test]
    fn what_is_compressed_is_read_back() {
        let body = "name,".repeat(1000);
        let packed = gzip(body.as_bytes());
        assert!(packed.len() < 200);
        let mut read = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, body);
    }
}
