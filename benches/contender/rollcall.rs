//! Rollcall itself, with the shipped templates and one firewall that may ask.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, SaltString};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tempfile::TempDir;

use super::{Contender, Stand};
use crate::http::Connection;
use crate::process::{Running, free_port, not_started, wait_until};

/// Long enough to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The firewall's secret: good for a server that lives for seconds, on loopback.
const SECRET: &str = "a secret of the benchmark";

/// A server of its own, in a folder of its own.
pub struct Rollcall {
    process: Running,
    syslog: SocketAddr,
    enforcement: SocketAddr,
    rest: SocketAddr,
    tls: Arc<ClientConfig>,
    folder: TempDir,
}

/// Where every item went: received is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Events, and lines without one.
    pub received: u64,
    /// Events that changed something.
    pub applied: u64,
    /// Events that were known already.
    pub deduplicated: u64,
    /// Events that were refused.
    pub refused: u64,
    /// Lines that no template knows.
    pub unmatched: u64,
    /// Whatever else was dropped.
    pub dropped: u64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

impl Rollcall {
    /// Starts it, and waits until it is ready.
    pub fn start(stand: &Stand) -> io::Result<Self> {
        Self::start_with(stand, "")
    }

    /// The same with `more` at the end of its configuration.
    pub fn start_with(stand: &Stand, more: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let [syslog, enforcement, rest] = [free_port()?, free_port()?, free_port()?];
        certify(&folder)?;
        fs::write(
            folder.path().join("rollcall.toml"),
            configured([syslog, enforcement, rest])? + more,
        )?;
        let process = launch(stand, folder.path(), rest)?;
        let mut roots = RootCertStore::empty();
        let pem = folder.path().join("server.crt");
        let certificate = CertificateDer::from_pem_file(pem).map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tls = Arc::new(tls);
        Ok(Self { process, syslog, enforcement, rest, tls, folder })
    }

    /// Kills it, as a crash does, and starts it again in its folder.
    pub fn kill_and_start(&mut self, stand: &Stand) -> io::Result<()> {
        self.process.kill()?;
        self.process = launch(stand, self.folder.path(), self.rest)?;
        Ok(())
    }

    /// A firewall's connection, over TLS and with its token.
    pub fn firewall(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.enforcement, Some(&self.tls))?;
        let form = "application/x-www-form-urlencoded";
        let asked = format!(
            "grant_type=client_credentials&client_id=bench&client_secret={}",
            SECRET.replace(' ', "%20")
        );
        let answer = connection.post("/oauth_token/oauth", (form, asked.as_bytes()))?.ok()?;
        let granted: Granted = serde_json::from_slice(&answer)?;
        connection.authorize(&granted.access_token);
        Ok(connection)
    }

    /// A connection without a token.
    pub fn stranger(&self) -> io::Result<Connection> {
        Connection::open(self.enforcement, Some(&self.tls))
    }

    /// Further connections of the firewall whose token `like` was given, which costs no login.
    pub fn another(&self, like: &Connection) -> io::Result<Connection> {
        let mut connection = Connection::open(self.enforcement, Some(&self.tls))?;
        connection.authorize_like(like);
        Ok(connection)
    }

    fn metrics(&self) -> io::Result<String> {
        // A connection each time: one that is silent for some seconds is closed.
        let text = Connection::open(self.rest, None)?.get("/metrics")?.ok()?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    /// The buckets of a histogram without labels: bounds, and how many values are at most so large.
    pub fn buckets(&self, name: &str) -> io::Result<Vec<(f64, f64)>> {
        let bound_of = |series: &str| {
            let bound = series.strip_prefix(name)?.strip_prefix("_bucket{le=\"")?;
            bound.strip_suffix("\"}")?.parse().ok()
        };
        let text = self.metrics()?;
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let buckets = series.filter_map(|(series, value)| Some((bound_of(series)?, value)));
        buckets
            .map(|(bound, value)| Ok((bound, value.parse().map_err(io::Error::other)?)))
            .collect()
    }

    /// The sum of all series of the metric `name`.
    pub fn sum(&self, name: &str) -> io::Result<f64> {
        let text = self.metrics()?;
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = series.filter(|(series, _)| series.split('{').next() == Some(name));
        Ok(found.filter_map(|(_, value)| value.parse::<f64>().ok()).sum())
    }

    /// The account so far, from /metrics.
    pub fn account(&self) -> io::Result<Account> {
        let text = self.metrics()?;
        let mut account = Account::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let place = match series.split('{').next().unwrap_or_default() {
                "rollcall_events_received_total" => &mut account.received,
                "rollcall_events_dropped_total" if series.contains("\"unmatched\"") => {
                    &mut account.unmatched
                }
                "rollcall_events_dropped_total" => &mut account.dropped,
                // The cache's own expiries are not received.
                "rollcall_events_decided_total" if series.contains("producer=\"cache\"") => {
                    continue;
                }
                "rollcall_events_decided_total" if series.contains("\"applied\"") => {
                    &mut account.applied
                }
                "rollcall_events_decided_total" if series.contains("\"deduplicated\"") => {
                    &mut account.deduplicated
                }
                "rollcall_events_decided_total" => &mut account.refused,
                _ => continue,
            };
            *place += value.parse::<f64>().map_err(io::Error::other)? as u64;
        }
        Ok(account)
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where administrators ask.
    pub fn rest(&self) -> SocketAddr {
        self.rest
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        self.process.resident()
    }
}

impl Account {
    /// Whether every item that was received is somewhere.
    pub fn is_exact(&self) -> bool {
        let Self { received, applied, deduplicated, refused, unmatched, dropped } = *self;
        received == applied + deduplicated + refused + unmatched + dropped
    }
}

impl Contender for Rollcall {
    fn listens(&self) -> SocketAddr {
        self.syslog
    }

    fn through(&mut self) -> io::Result<u64> {
        let account = self.account()?;
        Ok(account.applied + account.unmatched)
    }

    fn processor_time(&self) -> io::Result<Duration> {
        self.process.processor_time()
    }
}

/// Starts the server that is configured in `folder`, and waits until it is ready.
fn launch(stand: &Stand, folder: &Path, rest: SocketAddr) -> io::Result<Running> {
    let log = folder.join("log");
    let mut command = Command::new(&stand.server);
    let mut process =
        Running::start(command.arg("--config").arg(folder.join("rollcall.toml")), &log)?;
    let ready = || -> io::Result<bool> {
        if process.has_ended() {
            return Err(io::Error::other(fs::read_to_string(&log)?));
        }
        let answer = Connection::open(rest, None).and_then(|mut asking| asking.get("/readyz"));
        Ok(answer.is_ok_and(|answer| answer.status == 200))
    };
    wait_until("rollcall", PATIENCE, ready)?;
    Ok(process)
}

/// Makes the certificate of loopback that the server shows and the firewalls trust.
fn certify(folder: &TempDir) -> io::Result<()> {
    let mut command = Command::new("openssl");
    let made = command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=rollcall bench"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.path().join("server.key"))
        .arg("-out")
        .arg(folder.path().join("server.crt"))
        .output()
        .map_err(|error| not_started(&command, &error))?;
    if made.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()))
}

/// The defaults, but for the ports, one firewall, and connections enough for all of them from one
/// address.
fn configured([syslog, enforcement, rest]: [SocketAddr; 3]) -> io::Result<String> {
    let salt = SaltString::encode_b64(b"rollcall bench").map_err(io::Error::other)?;
    let hash = argon2::Argon2::default().hash_password(SECRET.as_bytes(), &salt);
    let hash = hash.map_err(io::Error::other)?;
    Ok(format!(
        r#"data = "data"

[[syslog]]
name = "syslog"
udp = ["{syslog}"]
tcp = ["{syslog}"]

[[syslog.clients]]
name = "loopback"
addresses = ["127.0.0.0/8"]
zone = "UTC"
allow = ["login", "logout", "vpn_up", "vpn_down", "rekey", "refresh", "device_seen"]

[enforcement]
listen = ["{enforcement}"]

[enforcement.tls]
certificate = "server.crt"
key = "server.key"

[enforcement.limits]
connections_per_address = 256

[[enforcement.points]]
name = "bench"
addresses = ["127.0.0.1"]
client_id = "bench"
secret_hash = "{hash}"
push = {{ allow = ["login", "logout", "vpn_up", "vpn_down", "rekey"] }}

[rest]
listen = "{rest}"

[log]
level = "warn"
"#
    ))
}
