//! The power fails: whatever was not synchronised is gone. The journal lies on a file system in an
//! image; the server is stopped in the middle of its work, the image is copied as it is on the disk at
//! that moment, and a server is started on the copy.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::generator::{Generator, everybody, seed};
use super::with_fixed_port;
use crate::harness::{Running, SeededRng, Server, Setup, peer, run, skip, until};

/// How often the power fails; `tests/powercut.sh` sets more.
const CUTS: u64 = 8;

/// How often it fails while the disk only says that it synchronises.
const CONTROLS: u64 = 3;

/// The longest that a server lives, in milliseconds: less than the 5 seconds after which the kernel
/// writes everything of its own accord.
const LIFE: u64 = 1200;

const TERMS: &str = "segment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// A file system in an image, mounted while it lives.
struct Platter {
    image: PathBuf,
    place: PathBuf,
    // Removed when it is unmounted.
    _folder: TempDir,
}

impl Platter {
    /// Makes and mounts one; says why when this process may not.
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let (image, place) = (folder.path().join("disk.img"), folder.path().join("disk"));
        fs::create_dir_all(&place).unwrap();
        let made = fs::File::create(&image).and_then(|file| file.set_len(64 << 20));
        made.map_err(|error| error.to_string())?;
        let image_name = image.display().to_string();
        call("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", &image_name])?;
        let platter = Self { image, place, _folder: folder };
        platter.mount()?;
        Ok(platter)
    }

    fn mount(&self) -> Result<(), String> {
        let names = [&self.image, &self.place].map(|path| path.display().to_string());
        call("mount", &["-o", "loop", &names[0], &names[1]])
    }

    fn unmount(&self) -> Result<(), String> {
        call("umount", &[&self.place.display().to_string()])
    }

    /// Stops `server`, and copies what is on the disk at that moment.
    fn copy_of(&self, server: &Server) -> PathBuf {
        server.signal(Signal::SIGSTOP);
        until("none of its threads writes any more", || has_stopped(server.id()).then_some(()));
        let copy = self.image.with_extension("cut");
        let names = [&self.image, &copy].map(|path| path.display().to_string());
        call("cp", &["--sparse=always", &names[0], &names[1]]).unwrap();
        copy
    }

    /// Puts the copy in the disk's place.
    fn cut(&self, copy: &Path) {
        self.unmount().unwrap();
        fs::rename(copy, &self.image).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Platter {
    fn drop(&mut self) {
        // It may be unmounted already.
        let _ = self.unmount();
    }
}

fn call(program: &str, arguments: &[&str]) -> Result<(), String> {
    let path = peer(program).ok_or(format!("{program} is not installed"))?;
    let done = run(&path, arguments);
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {said}")) }
}

/// Whether all threads of a process have stopped, by themselves or under a tracer (proc(5)).
fn has_stopped(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut states = threads.map(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:\tT") || line.starts_with("State:\tt"))
    });
    states.all(|stopped| stopped)
}

/// A server on a platter, and who pushes to it.
struct Rig {
    server: Server,
    generator: Generator,
    chance: SeededRng,
    // After the server, whose files lie on it.
    platter: Platter,
}

impl Rig {
    fn new(seed: u64) -> Result<Self, String> {
        let platter = Platter::new()?;
        let journal = platter.place.join("journal");
        let section = format!("[journal]\nfolder = \"{}\"\n{TERMS}", journal.display());
        let server = Server::start(with_fixed_port(Setup::new()).with(&section));
        let generator = Generator::new(server.client("script"), seed);
        Ok(Self { server, generator, chance: SeededRng::new(!seed), platter })
    }

    /// Lets the power fail at some moment; `meanwhile` runs beside the server until then.
    fn cut(mut self, meanwhile: Option<Running>) -> Self {
        // However slow this machine is, there is something to lose.
        until("an event is acknowledged", || self.generator.send().then_some(()));
        let over = AtomicBool::new(false);
        let life = Duration::from_millis(100 + self.chance.below(LIFE));
        let copy = thread::scope(|scope| {
            let (generator, server) = (&mut self.generator, &self.server);
            scope.spawn(|| generator.send_while(|| !over.load(SeqCst)));
            thread::sleep(life);
            let copy = self.platter.copy_of(server);
            over.store(true, SeqCst);
            // Whoever waits for its answer learns that there will be none.
            server.signal(Signal::SIGKILL);
            copy
        });
        drop(meanwhile);
        self.go_on_with(&copy)
    }

    /// Lets the power fail while nobody pushes.
    fn cut_at_once(self) -> Self {
        let copy = self.platter.copy_of(&self.server);
        self.go_on_with(&copy)
    }

    fn go_on_with(self, copy: &Path) -> Self {
        let Self { server, generator, chance, platter } = self;
        let killed = server.kill();
        platter.cut(copy);
        Self { server: killed.start_again(), generator, chance, platter }
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let cuts = env::var("ROLLCALL_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut rig = match Rig::new(seed()) {
        Ok(rig) => rig,
        Err(why) => return skip("what_was_acknowledged_survives_a_power_cut", &why),
    };
    for cut in 1..=cuts {
        rig = rig.cut(None);
        let log = rig.server.log();
        assert!(!log.contains("damaged") && !log.contains("panicked"), "cut {cut}: {log}");
        rig.generator.check(&everybody(&rig.server));
    }
    let Generator { acknowledged, revision, .. } = rig.generator;
    println!("{cuts} power cuts, {acknowledged} events acknowledged, revision {revision}, 0 lost");
    rig.server.stop();
}

#[test]
fn a_disk_that_only_says_that_it_synchronises_loses_what_was_acknowledged() {
    const STORY: &str = "a_disk_that_only_says_that_it_synchronises_loses_what_was_acknowledged";
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let mut losses = 0;
    for control in 0..CONTROLS {
        let rig = match Rig::new(seed() + control) {
            Ok(rig) => rig,
            Err(why) => return skip(STORY, &why),
        };
        let process = rig.server.id().to_string();
        let mut command = Command::new(&strace);
        // The calls are answered, and not done.
        command.args(["-f", "-p", &process, "-e", "trace=fsync,fdatasync"]);
        let lying = Running::start(command.args(["-e", "inject=fsync,fdatasync:retval=0"]));
        until("it is traced", || lying.output().contains("attached").then_some(()));
        let rig = rig.cut(Some(lying));
        losses += u64::from(!rig.generator.agrees(&everybody(&rig.server)));
    }
    println!("{losses} of {CONTROLS} power cuts lost something");
    assert!(losses > 0, "nothing is lost without synchronising: the rig cuts no power");
}

/// How long the write-ahead log of the open segment is.
fn log_length(journal: &Path) -> u64 {
    let files = fs::read_dir(journal).unwrap().map(|file| file.unwrap());
    let logs = files.filter(|file| file.file_name().to_string_lossy().ends_with("-wal"));
    logs.map(|log| log.metadata().map_or(0, |about| about.len())).sum()
}

#[test]
fn what_a_killed_server_had_only_written_is_safe_once_it_is_shown() {
    const STORY: &str = "what_a_killed_server_had_only_written_is_safe_once_it_is_shown";
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let mut rig = match Rig::new(seed()) {
        Ok(rig) => rig,
        Err(why) => return skip(STORY, &why),
    };
    until("it takes events", || rig.generator.send().then_some(()));
    let mut command = Command::new(&strace);
    command.args(["-f", "-p", &rig.server.id().to_string(), "-e", "trace=fdatasync,fsync"]);
    let slow = Running::start(command.args(["-e", "inject=fdatasync,fsync:delay_enter=30000000"]));
    until("it is traced", || slow.output().contains("attached").then_some(()));
    let journal = rig.platter.place.join("journal");
    let before = log_length(&journal);
    let Rig { server, mut generator, chance, platter } = rig;
    thread::scope(|scope| {
        scope.spawn(|| generator.send());
        until("an event is written", || (log_length(&journal) > before).then_some(()));
        // Written, and not synchronised: that has not begun. It can end when its tracer is gone.
        server.signal(Signal::SIGKILL);
        drop(slow);
    });
    let server = server.kill_and_restart();
    let shown = everybody(&server);
    generator.check(&shown);
    assert_ne!(shown, generator.sure, "what was only written is read by the next process");
    let rig = Rig { server, generator, chance, platter }.cut_at_once();
    assert_eq!(everybody(&rig.server), shown, "what was shown to firewalls is never taken back");
    rig.server.stop();
}
