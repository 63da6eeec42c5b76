//! External programs that take part in a test, and the skipping of tests whose program is missing.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use super::{WAIT_LIMIT, within};

/// The path of a program on the search path.
pub(crate) fn peer(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps rsyslogd in a folder that only root has on its search path.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Ends a test as skipped, with its reason. With `ROLLCALL_PEERS=required` this is a failure.
///
/// `tests/run` names the file of this test in `ROLLCALL_SKIP_NOTE`. The test then ends here, and
/// `tests/run` reports it as skipped. Under `cargo test` alone, which knows no such result, the
/// line goes to standard error past the capture of test output, and the caller returns.
pub(crate) fn skip(story: &str, reason: &str) {
    let required = env::var("ROLLCALL_PEERS").is_ok_and(|value| value == "required");
    assert!(!required, "skipped: {reason}, and ROLLCALL_PEERS=required");
    if let Some(note) = env::var_os("ROLLCALL_SKIP_NOTE") {
        fs::write(note, format!("{reason}\n")).unwrap();
        panic::resume_unwind(Box::new("skipped"));
    }
    let line = format!("skipped: {story}: {reason}\n");
    io::stderr().write_all(line.as_bytes()).unwrap();
}

/// The same command, which the kernel kills when the thread that starts it ends, however it ends:
/// `setpriv` asks for it (`PR_SET_PDEATHSIG`) and then becomes the command.
pub(crate) fn bound_to_this_thread(command: &Command) -> Command {
    let mut bound = match peer("setpriv") {
        Some(setpriv) => {
            let mut bound = Command::new(setpriv);
            bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
            bound
        }
        None => Command::new(command.get_program()),
    };
    bound.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Runs a program to its end and returns its output. Panics when it cannot be started.
pub(crate) fn run<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A program that runs beside a test and is killed with it.
pub(crate) struct Running {
    child: Child,
    output: NamedTempFile,
}

impl Running {
    /// Starts it. Its output is shown when the test fails. It ends with the calling thread.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut command = bound_to_this_thread(command);
        let output = NamedTempFile::new().unwrap();
        // In append mode, so that its two streams do not overwrite each other.
        let both = || OpenOptions::new().append(true).open(output.path()).unwrap();
        command.stdin(Stdio::null()).stdout(both()).stderr(both());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, output }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills its children, and waits until it ends with them. `unshare` then returns when no process
    /// of its process table is left, which killing `unshare` itself does not wait for.
    pub(crate) fn kill_children(mut self) {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            let child = Pid::from_raw(child.parse().expect("the kernel lists process ids"));
            // It may have ended by itself.
            let _ = kill(child, Signal::SIGKILL);
        }
        // Without a child there is nothing to wait for: the drop kills it.
        within(WAIT_LIMIT, || self.child.try_wait().unwrap());
    }

    /// Its output so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.output.path()).unwrap()).into_owned()
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
            let output = fs::read(self.output.path()).unwrap_or_default();
            eprintln!("the output of the peer:\n{}", String::from_utf8_lossy(&output));
        }
    }
}
