//! The Nth write or the Nth sync of the disk fails (injected into the system calls of the running
//! server): every acknowledged event is still there afterwards.

use std::env;
use std::process::Command;
use std::time::Duration;

use super::generator::{Generator, seed, sessions};
use super::with_fixed_port;
use crate::harness::{Running, Server, Setup, peer, rollcall, skip, until, within};

const STORY: &str = "a_disk_error_in_any_call_loses_no_acknowledged_event";

/// The calls that fail, and their errors. After a failed sync, the kernel has discarded the pages.
const FAULTS: [(&str, &str); 4] = [
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fdatasync,fsync", "EIO"),
    ("fdatasync,fsync", "ENOSPC"),
];

/// The numbers of the failing calls in each run; `tests/faults.sh` tests all up to 200.
const NTH: [u64; 5] = [1, 2, 5, 13, 40];

/// Segments so small that the failing call often creates, seals or snapshots a segment.
const JOURNAL: &str = "[journal]\nsegment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// Injects one failure, pushes up to `pushes` events or until one is refused, and waits for the
/// recovery. Returns whether the failure was injected; `None` when tracing is not permitted.
fn fail(server: &Server, generator: &mut Generator, inject: &str, pushes: u64) -> Option<bool> {
    // Obtains a token of this server process.
    until("an event is acknowledged", || generator.send().then_some(()));
    let strace = peer("strace").expect("strace is installed");
    let calls = inject.split(':').next().expect("a list of calls");
    let mut command = Command::new(strace);
    command.args(["-f", "-p", &server.id().to_string(), "-e", &format!("trace={calls}")]);
    let mut failing = Running::start(command.args(["-e", &format!("inject={inject}")]));
    let attached =
        within(Duration::from_secs(10), || failing.output().contains("attached").then_some(()));
    attached?;
    failing.assert_alive();
    let refused = (0..pushes).any(|_| !generator.send());
    assert!(
        generator.agrees(&sessions(server)),
        "{inject}: the sessions match the acknowledged events"
    );
    let injected = failing.output().contains("(INJECTED)");
    assert!(injected || !refused, "{inject}: refused without a failure\n{}", server.log());
    drop(failing);
    let recovered = within(Duration::from_secs(10), || generator.send().then_some(()));
    assert!(recovered.is_some(), "{inject}: no recovery within 10 s\n{}", server.log());
    Some(injected)
}

#[test]
fn a_disk_error_in_any_call_loses_no_acknowledged_event() {
    if peer("strace").is_none() {
        return skip(STORY, "strace is not installed");
    }
    let all = env::var("ROLLCALL_FAULTS").map(|upto| (1..=upto.parse().unwrap()).collect());
    let all: Vec<u64> = all.unwrap_or(NTH.to_vec());
    let mut server = Server::start(with_fixed_port(Setup::new()).with(JOURNAL));
    let mut generator = Generator::new(server.client("script"), seed());
    let (mut tried, mut injected) = (0, 0);
    for (calls, error) in FAULTS {
        for (count, nth) in all.iter().enumerate() {
            let inject = format!("{calls}:error={error}:when={nth}");
            let Some(was_injected) = fail(&server, &mut generator, &inject, nth + 5) else {
                return skip(STORY, "tracing of the server is not permitted");
            };
            (tried, injected) = (tried + 1, injected + u64::from(was_injected));
            if count % 20 == 0 {
                server = server.kill_and_restart();
                generator.check(&sessions(&server));
            }
        }
    }
    server = server.kill_and_restart();
    generator.check(&sessions(&server));
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let checked = rollcall(server.setup().folder(), &["--config", &config, "journal", "verify"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    until("the server is ready", || (server.get("/readyz").status == 200).then_some(()));
    let acknowledged = generator.acknowledged;
    println!("{injected} failures of {tried} injected, {acknowledged} events acknowledged, 0 lost");
    assert!(injected * 2 > tried, "{injected} of {tried}: the failures miss the journal");
    server.stop();
}
