//! The running server, as the command line reaches it: by its REST interface, with its token.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rollcall_config::{Rest, Settings, Tls};
use rollcall_http::rest::token;
use rollcall_runtime::tls::authority_file;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};
use zeroize::Zeroizing;

use super::{Failed, Reach, settings};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the server may be silent: three heartbeats of the live stream.
const SILENCE: Duration = Duration::from_secs(45);

/// The longest answer that is read, in bytes: a page of 1000 sessions with many groups each.
const ANSWER: u64 = 64 << 20;

/// A server and the way to it.
pub(super) struct Server {
    agent: Agent,
    url: String,
    token: Zeroizing<String>,
}

impl Server {
    /// The server that `reach` names, with what it leaves out taken from the configuration.
    pub(super) fn reach(reach: &Reach, config: Option<&Path>) -> Result<Self, Failed> {
        match reach {
            Reach { url: Some(url), token_file: Some(token_file), ca_file } => {
                Self::new(url, token_file, ca_file.as_deref())
            }
            _ => Self::configured(reach, &settings(config)?),
        }
    }

    /// The same for a configuration that was read already.
    pub(super) fn configured(reach: &Reach, settings: &Settings) -> Result<Self, Failed> {
        let rest = &settings.rest;
        let url = reach.url.clone().unwrap_or_else(|| url_of(rest));
        let token_file = reach.token_file.as_ref().unwrap_or(&rest.token_file);
        let own = (matches!(rest.tls, Tls::SelfMade { .. }) && reach.url.is_none())
            .then(|| authority_file(&settings.data));
        Self::new(&url, token_file, reach.ca_file.as_ref().or(own.as_ref()).map(AsRef::as_ref))
    }

    fn new(url: &str, token_file: &Path, ca_file: Option<&Path>) -> Result<Self, Failed> {
        let token = token::read(token_file).map_err(|why| {
            let hint = "the server makes it when it starts for the first time";
            Failed::Request(format!("token {}: {why} ({hint})", token_file.display()))
        })?;
        let roots = ca_file.map(roots).transpose()?.unwrap_or(RootCerts::WebPki);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            // A proxy of the environment is for the way out, not for a server of one's own.
            .proxy(None)
            // A redirection would carry the token elsewhere.
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .into();
        Ok(Self { agent, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Asks for `path`, and gives the JSON of the answer.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failed> {
        let response = self.open(path, query, &[])?;
        self.answer(response)
    }

    /// Asks the server to do something.
    pub(super) fn post(&self, path: &str) -> Result<Answer, Failed> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", self.authorization().as_str());
        let response = request.send_empty().map_err(|why| self.unreachable(&why))?;
        self.answer(response)
    }

    /// Opens `path` for reading as it comes.
    pub(super) fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<http::Response<Body>, Failed> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        request = request.header("Authorization", self.authorization().as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        request.call().map_err(|why| self.unreachable(&why))
    }

    /// Reads an answer to its end. A problem other than 404 is a failure.
    pub(super) fn answer(&self, response: http::Response<Body>) -> Result<Answer, Failed> {
        let status = response.status().as_u16();
        let mut text = String::new();
        let mut body = response.into_body().into_reader().take(ANSWER);
        body.read_to_string(&mut text)
            .map_err(|why| Failed::Request(format!("{} broke off: {why}", self.url)))?;
        let body: Value = serde_json::from_str(&text).map_err(|_| {
            Failed::Request(format!("{} is not a Rollcall server: no JSON came", self.url))
        })?;
        match status {
            200 | 202 => Ok(Answer::Found(body)),
            404 => Ok(Answer::Nothing(detail(&body))),
            // What was asked is wrong, or the configuration that was to be put in force.
            400 | 422 => Err(Failed::Usage(detail(&body))),
            401 => {
                Err(Failed::Request(format!("{} refuses the token: {}", self.url, detail(&body))))
            }
            _ => Err(Failed::Request(detail(&body))),
        }
    }

    fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.token.as_str()))
    }

    fn unreachable(&self, why: &ureq::Error) -> Failed {
        Failed::Request(format!("no server answers at {}: {why}", self.url))
    }
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// What was asked for.
    Found(Value),
    /// It is not there, in the server's words.
    Nothing(String),
}

/// What a problem says, its single reasons included.
fn detail(problem: &Value) -> String {
    let detail = problem["detail"].as_str().unwrap_or("the server refused without a reason");
    let reasons = problem["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.fold(detail.to_owned(), |text, reason| format!("{text}\n  {reason}"))
}

fn url_of(rest: &Rest) -> String {
    let scheme = if rest.tls == Tls::Plain { "http" } else { "https" };
    let mut at = rest.listen;
    if at.ip().is_unspecified() {
        at.set_ip(match at.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{at}")
}

fn roots(file: &Path) -> Result<RootCerts, Failed> {
    let named = |why: &dyn std::fmt::Display| {
        Failed::Request(format!("certificate {}: {why}", file.display()))
    };
    let pem = fs::read(file).map_err(|why| named(&why))?;
    let certificate = Certificate::from_pem(&pem).map_err(|why| named(&why))?;
    Ok(RootCerts::new_with_certs(&[certificate]))
}
