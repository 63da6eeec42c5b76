//! Simulated domain controllers, as the stories have them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::outcome::missing;
use crate::process::{Running, wait_until};

/// Where the simulator is.
pub fn folder() -> PathBuf {
    repository().join("tests/peers/dc-simulator")
}

/// The Python that it is installed in.
///
/// # Errors
/// It is not installed: `tests/run` does so.
pub fn python() -> io::Result<PathBuf> {
    let python = repository().join("target/peers/dc-simulator/bin/python");
    match python.is_file() {
        true => Ok(python),
        false => {
            Err(missing("the simulator of domain controllers (tests/runner/install simulator)"))
        }
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Domain controllers, each at an address of its own, and each with a port for its event log.
pub struct Simulator {
    _running: Running,
    folder: TempDir,
    places: Vec<(String, u16)>,
}

/// The password of the account that may read: good for controllers that live for seconds, on loopback.
const PASSWORD: &str = "a password of the benchmark";

/// What the simulator says when it can be connected to.
#[derive(Deserialize)]
struct Said {
    ready: BTreeMap<Ipv4Addr, Ports>,
}

#[derive(Deserialize)]
struct Ports {
    even6: u16,
}

impl Simulator {
    /// Starts `count` of them.
    pub fn start(count: usize) -> io::Result<Self> {
        let tmp = tempfile::tempdir()?;
        let [users, password, log] = ["users", "password", "log"].map(|name| tmp.path().join(name));
        fs::write(&users, format!("CORP:reader:{PASSWORD}\n"))?;
        fs::write(&password, format!("{PASSWORD}\n"))?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        let mut command = Command::new(python()?);
        command.arg(folder().join("simulator.py")).args(["--mapper-port", "0"]);
        command.args(["--address", "127.0.201.1", "--controllers", &count.to_string()]);
        command.arg("--control").arg(tmp.path().join("control")).arg("--users").arg(users);
        let mut running = Running::start(&mut command, &log)?;
        let mut said = None;
        wait_until("domain controllers", Duration::from_secs(60), || {
            let text = fs::read_to_string(&log)?;
            if running.has_ended() {
                return Err(io::Error::other(text));
            }
            let line = text.lines().find(|line| line.starts_with("{\"ready\""));
            said = line.and_then(|line| serde_json::from_str::<Said>(line).ok());
            Ok(said.is_some())
        })?;
        let ready = said.map(|said| said.ready).unwrap_or_default();
        let places = ready.into_iter().map(|(at, ports)| (at.to_string(), ports.even6)).collect();
        Ok(Self { _running: running, folder: tmp, places })
    }

    /// Says what happens, at the first of them or at all, and gives the answer.
    pub fn tell(&self, said: &Value) -> io::Result<Value> {
        let mut stream = UnixStream::connect(self.folder.path().join("control"))?;
        stream.write_all(format!("{said}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        match answer["ok"] == true {
            true => Ok(answer),
            false => Err(io::Error::other(format!("{said}: {answer}"))),
        }
    }

    /// The sections that read them all.
    pub fn sections(&self) -> String {
        let password = self.folder.path().join("password");
        let mut text = format!(
            "\n[[event_log]]\naccount = 'CORP\\reader'\nsecret_file = \"{}\"\nauth = \"ntlm\"\n",
            password.display()
        );
        for (index, (host, port)) in self.places.iter().enumerate() {
            text += &format!("[[event_log.sources]]\nname = \"dc{index}\"\n");
            text += &format!("host = \"{host}\"\nport = {port}\n");
        }
        text
    }
}
