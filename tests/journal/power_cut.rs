//! Power cuts: unsynced data is lost. The journal is on a file system in an image. The server is
//! stopped during its work, the image is copied in its current state on disk, and a server is
//! started on the copy.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::generator::{Generator, seed, sessions};
use super::with_fixed_port;
use crate::harness::{Running, SeededRng, Server, Setup, peer, run, skip, until};

/// The number of power cuts; `tests/powercut.sh` sets more.
const CUTS: u64 = 8;

/// The number of power cuts with a disk that ignores syncs.
const IGNORED_SYNC_CUTS: u64 = 3;

/// The longest run of a server, in milliseconds: less than the 5 seconds after which the kernel
/// writes all data.
const MAX_RUN_MS: u64 = 1200;

const JOURNAL: &str = "segment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// A file system in an image, mounted until it is dropped.
struct ImageDisk {
    image: PathBuf,
    mount_point: PathBuf,
    // Removed when it is unmounted.
    _folder: TempDir,
}

impl ImageDisk {
    /// Creates and mounts one. The error is the reason why it cannot be mounted.
    fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let (image, mount_point) = (folder.path().join("disk.img"), folder.path().join("disk"));
        fs::create_dir_all(&mount_point).unwrap();
        let made = fs::File::create(&image).and_then(|file| file.set_len(64 << 20));
        made.map_err(|error| error.to_string())?;
        let image_name = image.display().to_string();
        call("mkfs.ext4", &["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", &image_name])?;
        let disk = Self { image, mount_point, _folder: folder };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let names = [&self.image, &self.mount_point].map(|path| path.display().to_string());
        call("mount", &["-o", "loop", &names[0], &names[1]])
    }

    fn unmount(&self) -> Result<(), String> {
        call("umount", &[&self.mount_point.display().to_string()])
    }

    /// Stops `server`, and copies the current state of the disk.
    fn copy_of(&self, server: &Server) -> PathBuf {
        server.signal(Signal::SIGSTOP);
        until("all its threads have stopped", || has_stopped(server.id()).then_some(()));
        let copy = self.image.with_extension("cut");
        let names = [&self.image, &copy].map(|path| path.display().to_string());
        call("cp", &["--sparse=always", &names[0], &names[1]]).unwrap();
        copy
    }

    /// Replaces the disk with the copy.
    fn replace_with(&self, copy: &Path) {
        self.unmount().unwrap();
        fs::rename(copy, &self.image).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for ImageDisk {
    fn drop(&mut self) {
        // It may be unmounted already.
        let _ = self.unmount();
    }
}

fn call(program: &str, arguments: &[&str]) -> Result<(), String> {
    let path = peer(program).ok_or(format!("{program} is not installed"))?;
    let done = run(&path, arguments);
    let error = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {error}")) }
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

/// A server whose journal is on an image disk, and the generator that pushes to it.
struct Rig {
    server: Server,
    generator: Generator,
    chance: SeededRng,
    // Dropped after the server, whose files are on it.
    disk: ImageDisk,
}

impl Rig {
    fn new(seed: u64) -> Result<Self, String> {
        let disk = ImageDisk::new()?;
        let journal = disk.mount_point.join("journal");
        let section = format!("[journal]\nfolder = \"{}\"\n{JOURNAL}", journal.display());
        let server = Server::start(with_fixed_port(Setup::new()).with(&section));
        let generator = Generator::new(server.client("script"), seed);
        Ok(Self { server, generator, chance: SeededRng::new(!seed), disk })
    }

    /// Cuts the power at a random time; `meanwhile` runs beside the server until then.
    fn cut(mut self, meanwhile: Option<Running>) -> Self {
        // At least one event is acknowledged, however slow the machine is.
        until("an event is acknowledged", || self.generator.send().then_some(()));
        let over = AtomicBool::new(false);
        let run = Duration::from_millis(100 + self.chance.below(MAX_RUN_MS));
        let copy = thread::scope(|scope| {
            let (generator, server) = (&mut self.generator, &self.server);
            scope.spawn(|| generator.send_while(|| !over.load(SeqCst)));
            thread::sleep(run);
            let copy = self.disk.copy_of(server);
            over.store(true, SeqCst);
            // The generator stops waiting for a response.
            server.signal(Signal::SIGKILL);
            copy
        });
        drop(meanwhile);
        self.restart_on(&copy)
    }

    /// Cuts the power without pushes.
    fn cut_at_once(self) -> Self {
        let copy = self.disk.copy_of(&self.server);
        self.restart_on(&copy)
    }

    fn restart_on(self, copy: &Path) -> Self {
        let Self { server, generator, chance, disk } = self;
        let killed = server.kill();
        disk.replace_with(copy);
        Self { server: killed.start_again(), generator, chance, disk }
    }
}

#[test]
fn acknowledged_events_survive_a_power_cut() {
    let cuts = env::var("ROLLCALL_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut rig = match Rig::new(seed()) {
        Ok(rig) => rig,
        Err(why) => return skip("acknowledged_events_survive_a_power_cut", &why),
    };
    for cut in 1..=cuts {
        rig = rig.cut(None);
        let log = rig.server.log();
        assert!(!log.contains("damaged") && !log.contains("panicked"), "cut {cut}: {log}");
        rig.generator.check(&sessions(&rig.server));
    }
    let Generator { acknowledged, revision, .. } = rig.generator;
    println!("{cuts} power cuts, {acknowledged} events acknowledged, revision {revision}, 0 lost");
    rig.server.stop();
}

#[test]
fn a_disk_that_ignores_sync_loses_acknowledged_events() {
    const STORY: &str = "a_disk_that_ignores_sync_loses_acknowledged_events";
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let mut losses = 0;
    for control in 0..IGNORED_SYNC_CUTS {
        let rig = match Rig::new(seed() + control) {
            Ok(rig) => rig,
            Err(why) => return skip(STORY, &why),
        };
        let process = rig.server.id().to_string();
        let mut command = Command::new(&strace);
        // The calls return success without an effect.
        command.args(["-f", "-p", &process, "-e", "trace=fsync,fdatasync"]);
        let ignoring = Running::start(command.args(["-e", "inject=fsync,fdatasync:retval=0"]));
        until("it is traced", || ignoring.output().contains("attached").then_some(()));
        let rig = rig.cut(Some(ignoring));
        losses += u64::from(!rig.generator.agrees(&sessions(&rig.server)));
    }
    println!("{losses} of {IGNORED_SYNC_CUTS} power cuts lost something");
    assert!(losses > 0, "nothing is lost without syncs: the test does not cut the power");
}

/// The length of the write-ahead log of the open segment.
fn log_length(journal: &Path) -> u64 {
    let files = fs::read_dir(journal).unwrap().map(|file| file.unwrap());
    let logs = files.filter(|file| file.file_name().to_string_lossy().ends_with("-wal"));
    logs.map(|log| log.metadata().map_or(0, |about| about.len())).sum()
}

#[test]
fn events_recovered_without_a_sync_are_durable_before_they_are_visible() {
    const STORY: &str = "events_recovered_without_a_sync_are_durable_before_they_are_visible";
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let mut rig = match Rig::new(seed()) {
        Ok(rig) => rig,
        Err(why) => return skip(STORY, &why),
    };
    until("events are acknowledged", || rig.generator.send().then_some(()));
    let mut command = Command::new(&strace);
    command.args(["-f", "-p", &rig.server.id().to_string(), "-e", "trace=fdatasync,fsync"]);
    let slow = Running::start(command.args(["-e", "inject=fdatasync,fsync:delay_enter=30000000"]));
    until("it is traced", || slow.output().contains("attached").then_some(()));
    let journal = rig.disk.mount_point.join("journal");
    let before = log_length(&journal);
    let Rig { server, mut generator, chance, disk } = rig;
    thread::scope(|scope| {
        scope.spawn(|| generator.send());
        until("an event is written", || (log_length(&journal) > before).then_some(()));
        // The event is written, and its sync has not begun. The process can end when the tracer is
        // gone.
        server.signal(Signal::SIGKILL);
        drop(slow);
    });
    let server = server.kill_and_restart();
    let shown = sessions(&server);
    generator.check(&shown);
    assert_ne!(shown, generator.acknowledged_sessions, "the next process reads the unsynced event");
    let rig = Rig { server, generator, chance, disk }.cut_at_once();
    assert_eq!(sessions(&rig.server), shown, "visible sessions survive the power cut");
    rig.server.stop();
}
