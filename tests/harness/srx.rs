//! A firewall that behaves like Junos: it obtains a token, reads all sessions, then polls for changes,
//! and keeps an authentication table. It fails over to its secondary server and returns.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::Answer;

/// A firewall with its authentication table.
pub(crate) struct Srx {
    agent: Agent,
    client_id: String,
    secret: String,
    count: usize,
    servers: Vec<Connection>,
    table: BTreeMap<String, TableEntry>,
}

/// The state of a firewall for one of its servers.
struct Connection {
    url: String,
    token: Option<String>,
    cookie: Option<String>,
}

/// An entry of the firewall's authentication table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) user: String,
    pub(crate) domain: String,
    pub(crate) roles: Vec<String>,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// No server answers, or its certificate is not signed by the configured authority.
    Unreachable(String),
    /// The server refused it with this response.
    Refused(Answer),
}

impl Srx {
    /// A firewall that trusts only the certificates in `authority` and has a primary and optionally a
    /// secondary server. Its `items-per-batch` is 200, as by default in Junos.
    pub(crate) fn new(client_id: &str, secret: &str, authority: &Path, servers: &[&str]) -> Self {
        let pem = fs::read(authority).unwrap();
        let certificates = parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let roots = RootCerts::new_with_certs(&certificates.collect::<Vec<Certificate<'static>>>());
        let tls = TlsConfig::builder().root_certs(roots).build();
        let config = Agent::config_builder().http_status_as_error(false).tls_config(tls);
        let agent = config.timeout_global(Some(Duration::from_secs(20))).build().new_agent();
        let connection =
            |url: &&str| Connection { url: (*url).to_owned(), token: None, cookie: None };
        Self {
            agent,
            client_id: client_id.to_owned(),
            secret: secret.to_owned(),
            count: 200,
            servers: servers.iter().map(connection).collect(),
            table: BTreeMap::new(),
        }
    }

    /// Sets `items-per-batch`.
    pub(crate) fn items_per_batch(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Its authentication table.
    pub(crate) fn table(&self) -> &BTreeMap<String, TableEntry> {
        &self.table
    }

    /// The user of an address in its table.
    pub(crate) fn user_at(&self, address: &str) -> Option<&str> {
        self.table.get(address).map(|heard| heard.user.as_str())
    }

    /// One query interval: the primary is tried first, then the secondary. Returns the index of the
    /// server that answered, 0 for the primary.
    pub(crate) fn poll(&mut self) -> usize {
        let mut failures = Vec::new();
        for server in 0..self.servers.len() {
            match self.batches(server) {
                Ok(()) => return server,
                Err(failed) => failures.push(failed),
            }
        }
        panic!("no server answered: {failures:?}");
    }

    /// The cookie that the primary gave it.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.servers[0].cookie.as_deref()
    }

    /// Reads batches until one is not full.
    pub(crate) fn batches(&mut self, server: usize) -> Result<(), RequestError> {
        while self.page(server)? >= self.count {}
        Ok(())
    }

    /// Reads one batch into the table, and returns its number of reports.
    pub(crate) fn page(&mut self, server: usize) -> Result<usize, RequestError> {
        let query = match &self.servers[server].cookie {
            Some(cookie) => format!("?cookie={cookie}&entry_count={}", self.count),
            None => format!("?begintime=0&entry_count={}", self.count),
        };
        let body = self.ask(server, &query)?.json();
        let reports = body["report_entries"].as_array().expect("a list of reports");
        for report in reports {
            self.hear(report);
        }
        let cookie = body["cookie"].as_str().expect("every answer carries a cookie");
        self.servers[server].cookie = Some(cookie.to_owned());
        Ok(reports.len())
    }

    /// Queries one address; `None` without a session.
    pub(crate) fn query_address(&mut self, server: usize, address: &str) -> Option<TableEntry> {
        let answer = match self.ask(server, &format!("/ip/{address}")) {
            Ok(answer) => answer,
            Err(RequestError::Refused(answer)) if answer.status == 404 => return None,
            Err(failed) => panic!("{failed:?}"),
        };
        let body = answer.json();
        let report = body["report_entries"].as_array().expect("a list of reports").first()?;
        Some(table_entry(report)).filter(|heard| !heard.user.is_empty())
    }

    /// Posts `body` to `path` at the primary, with a token, as a firewall that reports its own users.
    pub(crate) fn push(&mut self, path: &str, content_type: &str, body: &str) -> Answer {
        let token = self.token(0).unwrap();
        let request = self.agent.post(format!("{}{path}", self.servers[0].url));
        let request = request.header("Authorization", format!("Bearer {token}"));
        Answer::read(request.content_type(content_type).send(body).unwrap())
    }

    /// Posts events in Rollcall's JSON format to a primary that may be killed meanwhile.
    pub(crate) fn try_post_events(&mut self, events: &Value) -> Result<Answer, RequestError> {
        let token = self.token(0)?;
        let request = self.agent.post(format!("{}/api/v1/events", self.servers[0].url));
        let request = request.header("Authorization", format!("Bearer {token}"));
        let answer = request.content_type("application/json").send(events.to_string());
        let answer = answer.map_err(|why| RequestError::Unreachable(why.to_string()))?;
        let answer = Answer::read_while_alive(answer)?;
        if answer.status == 401 {
            self.servers[0].token = None;
        }
        Ok(answer)
    }

    /// Posts events in Rollcall's JSON format to the primary.
    pub(crate) fn post_events(&mut self, events: &Value) -> Answer {
        self.push("/api/v1/events", "application/json", &events.to_string())
    }

    /// Clears its table, as `clear services user-identification` does; the next poll fills it.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        for server in &mut self.servers {
            server.cookie = None;
        }
    }

    /// Makes its tokens invalid, as when they have expired.
    pub(crate) fn corrupt_tokens(&mut self) {
        for server in &mut self.servers {
            server.token = Some("00000000-0000-4000-8000-000000000000".to_owned());
        }
    }

    /// Sends a query with a token; after a 401 it obtains a new token once.
    pub(crate) fn ask(&mut self, server: usize, rest: &str) -> Result<Answer, RequestError> {
        for first in [true, false] {
            let token = self.token(server)?;
            let url = format!("{}/user_query/v2{rest}", self.servers[server].url);
            let request = self.agent.get(url).header("Authorization", format!("Bearer {token}"));
            let answer =
                request.call().map_err(|why| RequestError::Unreachable(why.to_string()))?;
            match Answer::read_while_alive(answer)? {
                answer if answer.status == 200 => return Ok(answer),
                answer if answer.status == 401 && first => self.servers[server].token = None,
                answer => return Err(RequestError::Refused(answer)),
            }
        }
        unreachable!("the second answer is returned, whatever it is")
    }

    fn token(&mut self, server: usize) -> Result<String, RequestError> {
        if let Some(token) = &self.servers[server].token {
            return Ok(token.clone());
        }
        let answer = self.request_token(server)?;
        if answer.status != 200 {
            return Err(RequestError::Refused(answer));
        }
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        self.servers[server].token = Some(token.clone());
        Ok(token)
    }

    /// Requests a token with its client id and secret as a form; returns any response.
    pub(crate) fn request_token(&self, server: usize) -> Result<Answer, RequestError> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", &self.secret),
        ];
        let request = self.agent.post(format!("{}/oauth_token/oauth", self.servers[server].url));
        let answer = request.send_form(form);
        let answer = answer.map_err(|why| RequestError::Unreachable(why.to_string()))?;
        Answer::read_while_alive(answer)
    }

    fn hear(&mut self, report: &Value) {
        let address = text(report, "ip-address");
        match text(report, "activity").as_str() {
            "login" => drop(self.table.insert(address, table_entry(report))),
            "logout" => drop(self.table.remove(&address)),
            other => panic!("no activity: {other:?}"),
        }
    }
}

fn table_entry(report: &Value) -> TableEntry {
    let roles = report["roles"].as_array().expect("roles are a list");
    TableEntry {
        user: text(report, "user-name"),
        domain: text(report, "domain-name"),
        roles: roles.iter().map(|role| role.as_str().expect("a role is a text").into()).collect(),
    }
}

fn text(report: &Value, key: &str) -> String {
    report[key].as_str().unwrap_or_else(|| panic!("no {key}: {report}")).to_owned()
}
