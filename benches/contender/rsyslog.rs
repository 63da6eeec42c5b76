//! What would be built without Rollcall: rsyslog receives, liblognorm (mmnormalize) or two regular
//! expressions (re_extract) read user and address out of the line, and each becomes a key in Redis that
//! ends after a day.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::Contender;
use crate::outcome::missing;
use crate::process::{Running, free_port, wait_until};
use crate::receiver::BUFFER;

/// Long enough for both to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The rule of liblognorm for the line of a Junos VPN that came up. Only what is wanted has a name:
/// each name costs it an allocation.
const RULES: &str = "version=2
rule=: %-:word% VPN %-:word% from %-:word% is up. Local-ip: %-:char-to:,%, gateway name: %-:char-to:,%, vpn name: %-:char-to:,%, tunnel-id: %-:char-to:,%, local tunnel-if: %-:char-to:,%, remote tunnel-ip: %-:char-to:,%, Local IKE-ID: %-:char-to:,%, Remote IKE-ID: %-:char-to:,%, AAA username: %user:char-to:,%, VR id: %-:char-to:,%, Traffic-selector: %-:char-to:,%, Traffic-selector local ID: ipv4(%-:char-to:)%) , Traffic-selector remote ID: ipv4(%-:char-to:,%,%-:char-to:,%,%ip:char-to:-%-%-:rest%
";

/// The same with two regular expressions (POSIX, extended), which have less to say: where the user is, and
/// where the first address of the remote traffic selector.
const USER: &str = "AAA username: ([^,]+),";
const ADDRESS: &str = "Traffic-selector remote ID: ipv4\\\\([^)]*,([0-9.]+)-";

/// How user and address are read out of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extraction {
    /// By the rules of liblognorm: the fast way.
    Liblognorm,
    /// By regular expressions: the way that is written first.
    Regex,
}

pub(super) struct Rsyslog {
    rsyslog: Running,
    redis: Running,
    asking: BufReader<TcpStream>,
    address: SocketAddr,
    _folder: TempDir,
}

impl Rsyslog {
    pub(super) fn start(extraction: Extraction) -> io::Result<Self> {
        for module in ["mmnormalize", "omhiredis"] {
            if !is_installed(module) {
                return Err(missing(&format!("the module {module} of rsyslog")));
            }
        }
        let folder = tempfile::tempdir()?;
        let (address, store) = (free_port()?, free_port()?);
        let redis = Running::start(
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &store.port().to_string()])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(folder.path()),
            &folder.path().join("redis.log"),
        )?;
        wait_until("redis-server", PATIENCE, || Ok(TcpStream::connect(store).is_ok()))?;
        let rules = folder.path().join("junos.rulebase");
        fs::write(&rules, RULES)?;
        let configuration = folder.path().join("rsyslog.conf");
        let extracted = extracted(extraction, &rules.to_string_lossy());
        fs::write(&configuration, configured(address, store, &extracted))?;
        let rsyslog = Running::start(
            Command::new("rsyslogd").arg("-n").arg("-f").arg(&configuration).arg("-i").arg("NONE"),
            &folder.path().join("rsyslog.log"),
        )?;
        let log = folder.path().join("rsyslog.log");
        wait_until("rsyslogd", PATIENCE, || Ok(TcpStream::connect(address).is_ok()))
            .map_err(|late| io::Error::other(format!("{late}: {}", read(&log))))?;
        let asking = BufReader::new(TcpStream::connect(store)?);
        Ok(Self { rsyslog, redis, asking, address, _folder: folder })
    }
}

/// Whether rsyslog has a module, in one of the folders of the distributions.
fn is_installed(module: &str) -> bool {
    let folders = ["/usr/lib/rsyslog", "/usr/lib64/rsyslog"].map(PathBuf::from);
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut folders = folders.into_iter().chain(multiarch.map(|it| it.path().join("rsyslog")));
    folders.any(|folder| folder.join(format!("{module}.so")).exists())
}

fn read(log: &std::path::Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// The statements that set `$!user` and `$!ip`, and the condition that they were found.
fn extracted(extraction: Extraction, rules: &str) -> String {
    match extraction {
        Extraction::Liblognorm => format!(
            r#"    action(type="mmnormalize" ruleBase="{rules}")
    if $parsesuccess == "OK" then"#
        ),
        Extraction::Regex => format!(
            r#"    set $!user = re_extract($msg, "{USER}", 0, 1, "");
    set $!ip = re_extract($msg, "{ADDRESS}", 0, 1, "");
    if $!user != "" and $!ip != "" then"#
        ),
    }
}

/// Two workers and large batches: what serves it best on two cores, found by trying.
fn configured(address: SocketAddr, store: SocketAddr, extracted: &str) -> String {
    let (port, redis) = (address.port(), store.port());
    format!(
        r#"global(workDirectory="/tmp" net.enableDNS="off" maxMessageSize="8k")
module(load="imudp" batchSize="256" timeRequery="8")
module(load="imptcp" threads="1")
module(load="mmnormalize")
module(load="omhiredis")
template(name="session" type="string" string="SETEX %$!ip% 86400 %$!user%")
input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="{BUFFER}" ruleset="vpn")
input(type="imptcp" address="127.0.0.1" port="{port}" ruleset="vpn")
ruleset(name="vpn" queue.type="FixedArray" queue.size="200000" queue.dequeueBatchSize="4096"
        queue.workerThreads="2" queue.workerThreadMinimumMessages="4096") {{
{extracted}
        action(type="omhiredis" server="127.0.0.1" serverport="{redis}" mode="template" template="session")
}}
"#
    )
}

impl Contender for Rsyslog {
    fn listens(&self) -> SocketAddr {
        self.address
    }

    fn through(&mut self) -> io::Result<u64> {
        self.asking.get_mut().write_all(b"DBSIZE\r\n")?;
        let mut answer = String::new();
        self.asking.read_line(&mut answer)?;
        answer.trim().trim_start_matches(':').parse().map_err(io::Error::other)
    }

    fn processor_time(&self) -> io::Result<Duration> {
        Ok(self.rsyslog.processor_time()? + self.redis.processor_time()?)
    }
}
