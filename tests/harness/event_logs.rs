//! Simulated domain controllers with event logs (MS-EVEN6). A test starts them, and controls the
//! events and the faults.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Reserved, Running, skip, until};

/// Domain controllers, each at an address of its own.
pub(crate) struct EventLogs {
    folder: TempDir,
    _running: Running,
    // After the process, which listens there.
    _reserved: Reserved,
    network: u8,
    count: usize,
}

impl EventLogs {
    /// The password of the account that may read.
    pub(crate) const PASSWORD: &str = "canary-5e1d-password-of-a-reader";

    /// Starts `count` controllers; skips the test where the simulator cannot run.
    pub(crate) fn start(story: &str, count: usize) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/peers/dc-simulator/bin/python");
        if !python.is_file() {
            skip(story, "the simulator of a domain controller is not installed");
            return None;
        }
        if !nix::unistd::Uid::effective().is_root() {
            skip(story, "only root may listen on the port of the endpoint mapper");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (network, reserved) = Reserved::network();
        let users = folder.path().join("users");
        std::fs::write(&users, format!("CORP:reader:{}\n", Self::PASSWORD)).unwrap();
        let mut command = Command::new(python);
        command.arg(root.join("tests/peers/dc-simulator/simulator.py"));
        command.args(["--address", &format!("127.0.{network}.1")]);
        command.args(["--controllers", &count.to_string()]);
        command.arg("--control").arg(folder.path().join("control")).arg("--users").arg(users);
        let mut running = Running::start(&mut command);
        until("the domain controllers listen", || {
            running.assert_alive();
            UnixStream::connect(folder.path().join("control")).ok()
        });
        Some(Self { folder, _running: running, _reserved: reserved, network, count })
    }

    /// The address of the first controller.
    pub(crate) fn address(&self) -> String {
        self.address_of(0)
    }

    /// The address of a controller, counted from 0.
    pub(crate) fn address_of(&self, index: usize) -> String {
        format!("127.0.{}.{}", self.network, index + 1)
    }

    /// Sends a command (see the README of the simulator), and returns the response.
    #[track_caller]
    pub(crate) fn control(&self, command: &Value) -> Value {
        let mut stream = UnixStream::connect(self.folder.path().join("control")).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{command}: {answer}");
        answer
    }

    /// A logon: `user` requests a Kerberos ticket from the first controller at `ip` (event 4768).
    pub(crate) fn ticket(&self, user: &str, ip: &str) {
        let controller = self.address();
        self.control(&json!({"controller": controller, "id": 4768, "user": user, "ip": ip}));
    }

    /// The configuration that reads all of them, as `dc1`, `dc2` and so on; `more` are further keys.
    pub(crate) fn sections(&self, more: &str) -> String {
        let mut text = format!(
            "[[event_log]]\naccount = 'CORP\\reader'\nsecret_file = \"reader.password\"\n\
             auth = \"ntlm\"\n{more}\n"
        );
        for index in 0..self.count {
            let (number, host) = (index + 1, self.address_of(index));
            text += &format!("[[event_log.sources]]\nname = \"dc{number}\"\nhost = \"{host}\"\n");
        }
        text
    }
}
