//! A server process: starting it, waiting for it, sending events and queries to it, and stopping it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use ureq::Agent;

use super::{
    Account, Metrics, RequestError, SECRET, Setup, Srx, WAIT_LIMIT, bound_to_this_thread, until,
    within,
};

/// A running server. It is killed when this is dropped, unless it was stopped.
pub(crate) struct Server {
    child: Child,
    setup: Arc<Setup>,
    listening: Arc<Mutex<Vec<Listening>>>,
    log: Arc<Mutex<String>>,
    rest: String,
    token: String,
    agent: Agent,
}

/// A killed server: its configuration and its data.
pub(crate) struct Killed(Arc<Setup>);

impl Killed {
    /// Starts it again, with the same configuration and the same data.
    pub(crate) fn start_again(self) -> Server {
        Server::run(self.0)
    }
}

/// One line of the output at start: `listening  <name>  <scheme>://<address>`.
#[derive(Debug, Clone)]
struct Listening {
    name: String,
    scheme: String,
    address: SocketAddr,
}

/// A response over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON. Panics when it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Reads a response to its end.
    pub(crate) fn read(response: ureq::http::Response<ureq::Body>) -> Self {
        Self::read_while_alive(response).unwrap_or_else(|failed| panic!("{failed:?}"))
    }

    /// Reads the response of a server that may be killed meanwhile.
    pub(crate) fn read_while_alive(
        response: ureq::http::Response<ureq::Body>,
    ) -> Result<Self, RequestError> {
        let (parts, mut body) = response.into_parts();
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = parts.headers.iter().map(header).collect();
        let text = body.with_config().limit(256 << 20).read_to_string();
        let text = text.map_err(|why| RequestError::Unreachable(why.to_string()))?;
        Ok(Self { status: parts.status.as_u16(), headers, text })
    }
}

impl Server {
    /// Starts the server and waits until `/readyz` reports that it is ready.
    pub(crate) fn start(setup: Setup) -> Self {
        Self::run(Arc::new(setup))
    }

    /// Stops it, and starts it again with the same configuration and data.
    pub(crate) fn restart(self) -> Self {
        let setup = Arc::clone(&self.setup);
        self.stop();
        Self::run(setup)
    }

    /// Kills it (SIGKILL), and starts it again with the same configuration and data.
    pub(crate) fn kill_and_restart(self) -> Self {
        self.kill().start_again()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(mut self) -> Killed {
        self.signal(Signal::SIGKILL);
        self.wait_for_exit();
        Killed(Arc::clone(&self.setup))
    }

    fn run(setup: Arc<Setup>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .arg("--config")
            .arg(setup.write())
            .current_dir(setup.folder())
            .envs(setup.environment().iter().map(|(name, value)| (name, value)));
        let mut child = bound_to_this_thread(&command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (listening, log) = (Arc::default(), Arc::default());
        note_listening(child.stdout.take().unwrap(), Arc::clone(&listening));
        note_log(child.stderr.take().unwrap(), Arc::clone(&log));
        let agent = agent();
        let mut server =
            Self { child, setup, listening, log, rest: String::new(), token: String::new(), agent };
        server.rest = until("the REST listener is announced", || {
            server.assert_alive();
            server.find(|it| it.name.contains("rest") && it.scheme.starts_with("http"))
        });
        until("the server is ready", || {
            server.assert_alive();
            let ready = server.agent.get(format!("{}/readyz", server.rest)).call();
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        });
        let token = server.data().join("admin.token");
        server.token = fs::read_to_string(token).unwrap().trim().to_owned();
        server
    }

    /// Starts a server with the configuration of [`Setup::new`].
    pub(crate) fn new() -> Self {
        Self::start(Setup::new())
    }

    fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the server ended at its start with {status}:\n{}", self.log());
        }
    }

    fn find(&self, wanted: impl Fn(&Listening) -> bool) -> Option<String> {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let found = listening.iter().find(|it| wanted(it))?;
        Some(format!("{}://{}", found.scheme, found.address))
    }

    fn syslog(&self, scheme: &str) -> SocketAddr {
        let wanted = |it: &&Listening| it.scheme == scheme && !it.name.contains("rest");
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let found = listening.iter().find(wanted);
        found.unwrap_or_else(|| panic!("{scheme} was not announced: {listening:?}")).address
    }

    /// The address of the syslog listener for UDP.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.syslog("udp")
    }

    /// The address of the syslog listener for TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.syslog("tcp")
    }

    /// The address of the syslog listener for TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.syslog("tls")
    }

    /// The URL of the enforcement listener, `https://address`.
    pub(crate) fn enforcement(&self) -> String {
        let found = self.find(|it| it.name.contains("enforcement"));
        found.expect("the enforcement listener was announced")
    }

    /// The URL of the validator listener, `https://address`.
    pub(crate) fn validator(&self) -> String {
        let found = self.find(|it| it.name.contains("validator"));
        found.expect("the validator listener was announced")
    }

    /// The URL of the REST listener, `http://address`.
    pub(crate) fn rest(&self) -> &str {
        &self.rest
    }

    /// The token of the administrators.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A client of the enforcement listener that trusts the server's certificate and has its secret.
    pub(crate) fn client(&self, client_id: &str) -> Srx {
        let authority = self.setup.authority().certificate();
        Srx::new(client_id, SECRET, &authority, &[&self.enforcement()])
    }

    /// The configuration that it was started with.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.setup.folder().join("data")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far, from standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until its log contains `words`, which may happen after a response.
    pub(crate) fn wait_for_log(&self, words: &str) {
        until(&format!("{words:?} in the log"), || self.log().contains(words).then_some(()));
    }

    /// Sends a GET request to the REST API as an administrator.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.rest));
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        Answer::read(request.call().unwrap())
    }

    /// Sends a POST request without a body to the REST API as an administrator.
    pub(crate) fn post(&self, path: &str) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.rest));
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        Answer::read(request.send_empty().unwrap())
    }

    /// The user at an address, from the REST API; `None` without a session.
    pub(crate) fn user_at(&self, address: &str) -> Option<String> {
        let answer = self.get(&format!("/api/v1/sessions/{address}"));
        match answer.status {
            200 => Some(answer.json()["user"].as_str().unwrap_or("").to_owned()),
            404 => None,
            _ => panic!("{answer:?}"),
        }
    }

    /// Waits until `address` has a session of `user`.
    #[track_caller]
    pub(crate) fn wait_for_user(&self, user: &str, address: &str) {
        let mut last = None;
        let seen = within(WAIT_LIMIT, || {
            last = self.user_at(address);
            (last.as_deref() == Some(user)).then_some(())
        });
        assert!(seen.is_some(), "{address} has {last:?}, not {user:?}\n{}", self.log());
    }

    /// Waits until `address` has no session.
    #[track_caller]
    pub(crate) fn wait_for_no_user(&self, address: &str) {
        until(&format!("{address} has no session"), || {
            self.user_at(address).is_none().then_some(())
        });
    }

    /// Sends one datagram of syslog.
    pub(crate) fn datagram(&self, line: impl AsRef<[u8]>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(line.as_ref(), self.udp()).unwrap();
    }

    /// Scrapes `/metrics`.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Metrics::parse(&answer.text)
    }

    /// The counters of `producer` once it has received `items` and all of them are accounted for.
    #[track_caller]
    pub(crate) fn account(&self, producer: &str, items: u64) -> Account {
        let mut last = None;
        let closed = within(WAIT_LIMIT, || {
            let account = self.metrics().account(producer);
            last = Some(account);
            (account.received >= items && account.is_closed()).then_some(account)
        });
        let account = closed.unwrap_or_else(|| panic!("not {items} and closed: {last:?}"));
        assert_eq!(account.received, items, "{account:?}");
        account
    }

    /// Changes the configuration file; the server is not told.
    pub(crate) fn rewrite(&self, change: impl FnOnce(&str) -> String) {
        let path = self.setup.folder().join("rollcall.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(&text)).unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are positive");
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        until("the server has ended", || self.child.try_wait().unwrap())
    }

    /// Stops it (SIGTERM), checks that it exits with status 0 and without a panic, and returns its log.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = self.wait_for_exit();
        let log = self.log();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
    }
}

/// Runs the command line client to its end, in `folder`.
pub(crate) fn rollcall(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(20))).build().new_agent()
}

fn note_listening(stdout: impl Read + Send + 'static, listening: Arc<Mutex<Vec<Listening>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut listening = listening.lock().unwrap_or_else(PoisonError::into_inner);
            listening.extend(read_listening(&line));
        }
    });
}

/// Parses a line of the start output. The name may consist of several words.
fn read_listening(line: &str) -> Option<Listening> {
    let rest = line.trim().strip_prefix("listening")?;
    let (name, url) = rest.trim().rsplit_once(char::is_whitespace)?;
    let (scheme, address) = url.split_once("://")?;
    let address = address.trim_end_matches('/').parse().ok()?;
    Some(Listening { name: name.trim().to_owned(), scheme: scheme.to_owned(), address })
}

fn note_log(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}
