//! The disk fails in its Nth write or in its Nth synchronising (injected into the system calls of the
//! running server): nothing is acknowledged that is not there afterwards.

use std::env;
use std::process::Command;
use std::time::Duration;

use super::generator::{Generator, everybody, seed};
use super::with_fixed_port;
use crate::harness::{Running, Server, Setup, peer, rollcall, skip, until, within};

const STORY: &str = "a_disk_that_fails_in_its_nth_call_costs_nothing_that_was_acknowledged";

/// The calls that fail, and how. When synchronising fails, the kernel has thrown the pages away.
const FAULTS: [(&str, &str); 4] = [
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("fdatasync,fsync", "EIO"),
    ("fdatasync,fsync", "ENOSPC"),
];

/// Which call of a kind fails, in every run; `tests/faults.sh` goes through all up to 200.
const NTH: [u64; 5] = [1, 2, 5, 13, 40];

/// Segments so small that the failing call is often one that begins, seals or writes down another.
const TERMS: &str = "[journal]\nsegment_events = 100\ncheckpoint_interval = \"1s\"\n\
                     [rules.shared_addresses]\nmax_users_per_minute = 0";

/// Injects one failure, pushes until it is met or can hardly be, and waits until all is well. Whether
/// it was met; `None` when this system lets nobody trace the server.
fn fail(server: &Server, generator: &mut Generator, inject: &str, pushes: u64) -> Option<bool> {
    // With a token of this server's life.
    until("all is well", || generator.send().then_some(()));
    let strace = peer("strace").expect("it was looked for");
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
        generator.agrees(&everybody(server)),
        "{inject}: what is shown is what was acknowledged"
    );
    let met = failing.output().contains("(INJECTED)");
    assert!(met || !refused, "{inject}: refused, and nothing failed\n{}", server.log());
    drop(failing);
    let healed = within(Duration::from_secs(10), || generator.send().then_some(()));
    assert!(healed.is_some(), "{inject}: not healed within 10 s\n{}", server.log());
    Some(met)
}

#[test]
fn a_disk_that_fails_in_its_nth_call_costs_nothing_that_was_acknowledged() {
    if peer("strace").is_none() {
        return skip(STORY, "strace is not installed");
    }
    let all = env::var("ROLLCALL_FAULTS").map(|upto| (1..=upto.parse().unwrap()).collect());
    let all: Vec<u64> = all.unwrap_or(NTH.to_vec());
    let mut server = Server::start(with_fixed_port(Setup::new()).with(TERMS));
    let mut generator = Generator::new(server.client("script"), seed());
    let (mut tried, mut met) = (0, 0);
    for (calls, error) in FAULTS {
        for (count, nth) in all.iter().enumerate() {
            let inject = format!("{calls}:error={error}:when={nth}");
            let Some(was_met) = fail(&server, &mut generator, &inject, nth + 5) else {
                return skip(STORY, "this system lets nobody trace the server");
            };
            (tried, met) = (tried + 1, met + u64::from(was_met));
            if count % 20 == 0 {
                server = server.kill_and_restart();
                generator.check(&everybody(&server));
            }
        }
    }
    server = server.kill_and_restart();
    generator.check(&everybody(&server));
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let checked = rollcall(server.setup().folder(), &["--config", &config, "journal", "verify"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    until("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    let acknowledged = generator.acknowledged;
    println!("{met} failures of {tried} met, {acknowledged} events acknowledged, 0 lost");
    assert!(met * 2 > tried, "{met} of {tried}: the failures miss the journal");
    server.stop();
}
