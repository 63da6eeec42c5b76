//! The real server: started, waited for, asked, told, and stopped.

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
    Account, Failed, Metrics, PATIENCE, SECRET, Setup, Srx, bound_to_this_thread, until, within,
};

/// A server that runs; killed when dropped, unless it was stopped.
pub(crate) struct Server {
    child: Child,
    setup: Arc<Setup>,
    listening: Arc<Mutex<Vec<Listening>>>,
    log: Arc<Mutex<String>>,
    rest: String,
    token: String,
    agent: Agent,
}

/// What is left of a server that was killed.
pub(crate) struct Killed(Arc<Setup>);

impl Killed {
    /// Starts it again, with the same configuration and the same data.
    pub(crate) fn start_again(self) -> Server {
        Server::run(self.0)
    }
}

/// One line of what the server says at its start: `listening  <name>  <scheme>://<address>`.
#[derive(Debug, Clone)]
struct Listening {
    name: String,
    scheme: String,
    address: SocketAddr,
}

/// What came back over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON. Panics when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Reads an answer to its end.
    pub(crate) fn read(response: ureq::http::Response<ureq::Body>) -> Self {
        Self::read_while_alive(response).unwrap_or_else(|failed| panic!("{failed:?}"))
    }

    /// The same of a server that may be killed meanwhile.
    pub(crate) fn read_while_alive(
        response: ureq::http::Response<ureq::Body>,
    ) -> Result<Self, Failed> {
        let (parts, mut body) = response.into_parts();
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = parts.headers.iter().map(header).collect();
        let text = body.with_config().limit(256 << 20).read_to_string();
        let text = text.map_err(|why| Failed::Unreachable(why.to_string()))?;
        Ok(Self { status: parts.status.as_u16(), headers, text })
    }
}

impl Server {
    /// Starts the server and waits until it says that it is ready.
    pub(crate) fn start(setup: Setup) -> Self {
        Self::run(Arc::new(setup))
    }

    /// Stops it, and starts it again with the same configuration and the same data.
    pub(crate) fn restart(self) -> Self {
        let setup = Arc::clone(&self.setup);
        self.stop();
        Self::run(setup)
    }

    /// Kills it, as a crash or the kernel would, and starts it again.
    pub(crate) fn killed_and_started(self) -> Self {
        self.kill().start_again()
    }

    /// Kills it, as a crash or the kernel would.
    pub(crate) fn kill(mut self) -> Killed {
        self.signal(Signal::SIGKILL);
        self.ended();
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

    /// Starts a server with two firewalls and a gateway that may say everything.
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

    /// Where syslog datagrams go.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.syslog("udp")
    }

    /// Where syslog streams go.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.syslog("tcp")
    }

    /// Where encrypted syslog streams go.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.syslog("tls")
    }

    /// Where firewalls ask, `https://address`.
    pub(crate) fn enforcement(&self) -> String {
        let found = self.find(|it| it.name.contains("enforcement"));
        found.expect("the enforcement listener was announced")
    }

    /// Where the web interfaces of firewalls ask, `https://address`.
    pub(crate) fn validator(&self) -> String {
        let found = self.find(|it| it.name.contains("validator"));
        found.expect("the validator listener was announced")
    }

    /// Where administrators ask, `http://address`.
    pub(crate) fn rest(&self) -> &str {
        &self.rest
    }

    /// The administrators' token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A firewall, or the script, that trusts this server's authority and knows its secret.
    pub(crate) fn client(&self, client_id: &str) -> Srx {
        let authority = self.setup.authority().certificate();
        Srx::new(client_id, SECRET, &authority, &[&self.enforcement()])
    }

    /// The configuration it was started with.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.setup.folder().join("data")
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has written `words` to its log, which may come later than an answer.
    pub(crate) fn writes(&self, words: &str) {
        until(&format!("{words:?} in the log"), || self.log().contains(words).then_some(()));
    }

    /// Asks REST as an administrator.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.rest));
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        Answer::read(request.call().unwrap())
    }

    /// Posts to REST as an administrator, without a body.
    pub(crate) fn post(&self, path: &str) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.rest));
        let request = request.header("Authorization", format!("Bearer {}", self.token));
        Answer::read(request.send_empty().unwrap())
    }

    /// The user at an address, by REST: `None` when nobody is there.
    pub(crate) fn who(&self, address: &str) -> Option<String> {
        let answer = self.get(&format!("/api/v1/sessions/{address}"));
        match answer.status {
            200 => Some(answer.json()["user"].as_str().unwrap_or("").to_owned()),
            404 => None,
            _ => panic!("{answer:?}"),
        }
    }

    /// Waits until `user` is at `address`.
    #[track_caller]
    pub(crate) fn sees(&self, user: &str, address: &str) {
        let mut last = None;
        let seen = within(PATIENCE, || {
            last = self.who(address);
            (last.as_deref() == Some(user)).then_some(())
        });
        assert!(seen.is_some(), "{address} has {last:?}, not {user:?}\n{}", self.log());
    }

    /// Waits until nobody is at `address`.
    #[track_caller]
    pub(crate) fn sees_nobody(&self, address: &str) {
        until(&format!("nobody is at {address}"), || self.who(address).is_none().then_some(()));
    }

    /// Sends one datagram of syslog.
    pub(crate) fn datagram(&self, line: impl AsRef<[u8]>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(line.as_ref(), self.udp()).unwrap();
    }

    /// One scrape.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Metrics::parse(&answer.text)
    }

    /// The account of `producer` once it has received `items` and is closed.
    #[track_caller]
    pub(crate) fn account(&self, producer: &str, items: u64) -> Account {
        let mut last = None;
        let closed = within(PATIENCE, || {
            let account = self.metrics().account(producer);
            last = Some(account);
            (account.received >= items && account.is_closed()).then_some(account)
        });
        let account = closed.unwrap_or_else(|| panic!("not {items} and closed: {last:?}"));
        assert_eq!(account.received, items, "{account:?}");
        account
    }

    /// Puts another configuration in the place of its file, without telling it.
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

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the server ends", || self.child.try_wait().unwrap())
    }

    /// Asks it to end by SIGTERM, and checks that it ends well. Returns its log.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        let log = self.log();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended, or been stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
    }
}

/// Runs a command of `rollcall` to its end, in `folder`.
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

/// Reads an announcement; the name may be of several words.
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
