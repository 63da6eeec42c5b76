//! A client of the REST API of a running server.

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

use super::{CommandError, ServerOptions, settings};

/// The timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout for each read: three heartbeats of the live stream.
const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// The maximum size of a response in bytes: a page of 1,000 sessions with many groups each.
const MAX_RESPONSE: u64 = 64 << 20;

/// The server, its URL and its token.
pub(super) struct Server {
    agent: Agent,
    url: String,
    token: Zeroizing<String>,
}

impl Server {
    /// The server of `options`. Missing options are taken from the configuration.
    pub(super) fn connect(
        options: &ServerOptions,
        config: Option<&Path>,
    ) -> Result<Self, CommandError> {
        match options {
            ServerOptions { url: Some(url), token_file: Some(token_file), ca_file } => {
                Self::new(url, token_file, ca_file.as_deref())
            }
            _ => Self::configured(options, &settings(config)?),
        }
    }

    /// As [`Self::connect`], with a loaded configuration.
    pub(super) fn configured(
        options: &ServerOptions,
        settings: &Settings,
    ) -> Result<Self, CommandError> {
        let rest = &settings.rest;
        let url = options.url.clone().unwrap_or_else(|| url_of(rest));
        let token_file = options.token_file.as_ref().unwrap_or(&rest.token_file);
        let own = (matches!(rest.tls, Tls::BuiltInCa { .. }) && options.url.is_none())
            .then(|| authority_file(&settings.data));
        Self::new(&url, token_file, options.ca_file.as_ref().or(own.as_ref()).map(AsRef::as_ref))
    }

    fn new(url: &str, token_file: &Path, ca_file: Option<&Path>) -> Result<Self, CommandError> {
        let token = token::read(token_file).map_err(|why| {
            let hint = "the server creates it at its first start";
            CommandError::Request(format!("token {}: {why} ({hint})", token_file.display()))
        })?;
        let roots = ca_file.map(roots).transpose()?.unwrap_or(RootCerts::WebPki);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            // Proxies of the environment are for external servers.
            .proxy(None)
            // A redirect would send the token to another server.
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .into();
        Ok(Self { agent, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Sends a GET request and returns the JSON of the response.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, CommandError> {
        let response = self.open(path, query, &[])?;
        self.answer(response)
    }

    /// Sends a POST request without a body.
    pub(super) fn post(&self, path: &str) -> Result<Response, CommandError> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", self.authorization().as_str());
        let response = request.send_empty().map_err(|why| self.unreachable(&why))?;
        self.answer(response)
    }

    /// Sends a GET request and returns the response for streaming.
    pub(super) fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<http::Response<Body>, CommandError> {
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

    /// Reads a response to its end. A status other than 404 that is not a success is an error.
    pub(super) fn answer(&self, response: http::Response<Body>) -> Result<Response, CommandError> {
        let status = response.status().as_u16();
        let mut text = String::new();
        let mut body = response.into_body().into_reader().take(MAX_RESPONSE);
        body.read_to_string(&mut text).map_err(|why| {
            CommandError::Request(format!("the connection to {} was lost: {why}", self.url))
        })?;
        let body: Value = serde_json::from_str(&text).map_err(|_| {
            CommandError::Request(format!(
                "{} is not a Rollcall server: the response is not JSON",
                self.url
            ))
        })?;
        match status {
            200 | 202 => Ok(Response::Found(body)),
            404 => Ok(Response::NotFound(detail(&body))),
            // An invalid parameter, or an invalid configuration.
            400 | 422 => Err(CommandError::Usage(detail(&body))),
            401 => Err(CommandError::Request(format!(
                "{} refuses the token: {}",
                self.url,
                detail(&body)
            ))),
            _ => Err(CommandError::Request(detail(&body))),
        }
    }

    fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.token.as_str()))
    }

    fn unreachable(&self, why: &ureq::Error) -> CommandError {
        CommandError::Request(format!("no server responds at {}: {why}; is it running?", self.url))
    }
}

/// A response of the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Response {
    /// The requested resource.
    Found(Value),
    /// The resource does not exist, with the explanation of the server.
    NotFound(String),
}

/// The detail of a problem document (RFC 9457), with its `reasons`.
fn detail(problem: &Value) -> String {
    let detail =
        problem["detail"].as_str().unwrap_or("the server refused the request without a reason");
    let reasons = problem["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.fold(detail.to_owned(), |text, reason| format!("{text}\n  {reason}"))
}

fn url_of(rest: &Rest) -> String {
    let scheme = if rest.tls == Tls::Disabled { "http" } else { "https" };
    let mut at = rest.listen;
    if at.ip().is_unspecified() {
        at.set_ip(match at.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{at}")
}

fn roots(file: &Path) -> Result<RootCerts, CommandError> {
    let named = |why: &dyn std::fmt::Display| {
        CommandError::Request(format!("certificate {}: {why}", file.display()))
    };
    let pem = fs::read(file).map_err(|why| named(&why))?;
    let certificate = Certificate::from_pem(&pem).map_err(|why| named(&why))?;
    Ok(RootCerts::new_with_certs(&[certificate]))
}
