//! Programs of others that take part in a story, and stories that are skipped without them.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use tempfile::NamedTempFile;

/// Where a program is, on the search path or in the folder where `tests/run` unpacks those that
/// cannot be installed beside each other.
pub(crate) fn peer(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps rsyslogd where only root looks.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Notes that a story was not told, and why. With `ROLLCALL_PEERS=required` this is a failure.
///
/// `tests/run` names the file in `ROLLCALL_SKIPS` and counts its lines.
pub(crate) fn skip(story: &str, reason: &str) {
    let required = env::var("ROLLCALL_PEERS").is_ok_and(|wish| wish == "required");
    assert!(!required, "{story}: {reason}, and ROLLCALL_PEERS=required");
    println!("skipped: {story}: {reason}");
    if let Some(file) = env::var_os("ROLLCALL_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        // One write, so that stories that run beside each other do not share a line.
        file.write_all(format!("{story}: {reason}\n").as_bytes()).unwrap();
    }
}

/// Runs a program to its end and returns what it wrote. Panics when it cannot be started.
pub(crate) fn run<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A program that runs beside a story and ends with it.
pub(crate) struct Running {
    child: Child,
    said: NamedTempFile,
}

impl Running {
    /// Starts it; what it says is shown when the story fails.
    pub(crate) fn start(command: &mut Command) -> Self {
        let said = NamedTempFile::new().unwrap();
        // Appended to, so that its two streams do not overwrite each other.
        let both = || OpenOptions::new().append(true).open(said.path()).unwrap();
        command.stdin(Stdio::null()).stdout(both()).stderr(both());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, said }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.said.path()).unwrap()).into_owned()
    }

    /// Panics when it has ended by itself.
    #[track_caller]
    pub(crate) fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended by itself with {status}");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = fs::read(self.said.path()).unwrap_or_default();
            eprintln!("what the peer said:\n{}", String::from_utf8_lossy(&said));
        }
    }
}
