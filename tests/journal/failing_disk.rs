//! The disk fails in a write or in the synchronising after it (injected into the system calls of the
//! running server): nothing is acknowledged that is not there afterwards.

use std::process::Command;
use std::time::Duration;

use super::login;
use crate::harness::{Running, Server, peer, rollcall, skip, until, within};

const STORY: &str = "a_disk_that_fails_in_any_call_costs_nothing_that_was_acknowledged";

/// The calls that fail, and how: when synchronising, the kernel has thrown the pages away.
const FAULTS: [&str; 4] = [
    "fdatasync,fsync:error=EIO",
    "fdatasync,fsync:error=ENOSPC",
    "pwrite64:error=EIO:when=2+3",
    "pwrite64:error=ENOSPC:when=5+7",
];

#[test]
fn a_disk_that_fails_in_any_call_costs_nothing_that_was_acknowledged() {
    let Some(strace) = peer("strace") else { return skip(STORY, "strace is not installed") };
    let mut server = Server::new();
    let mut script = server.client("script");
    let mut acknowledged = Vec::new();
    for (round, fault) in FAULTS.iter().enumerate() {
        let process = server.id().to_string();
        let inject = format!("inject={fault}");
        let traced = format!("trace={}", fault.split(':').next().unwrap());
        let mut command = Command::new(&strace);
        command.args(["-f", "-p", &process, "-e", &traced, "-e", &inject]);
        let failing = Running::start(&mut command);
        let mut host = 0u8;
        let mut push = || {
            host += 1;
            let address = format!("10.63.{round}.{host}");
            let answer = script.post_events(&login(&address, "alice"));
            assert!([200, 503].contains(&answer.status), "{answer:?}");
            if answer.status == 200 {
                acknowledged.push(address);
            }
            answer.status
        };
        let refused = within(Duration::from_secs(20), || (push() == 503).then_some(()));
        if refused.is_none() && round == 0 {
            return skip(STORY, "this system lets nobody trace the server");
        }
        assert!(refused.is_some(), "{fault}: every push went well");
        let answered = server.get("/api/v1/sessions?limit=1000");
        assert_eq!(answered.status, 200, "who asks is answered while the disk fails");
        drop(failing);
        let healed = within(Duration::from_secs(10), || (push() == 200).then_some(()));
        assert!(healed.is_some(), "{fault}: not healed within 10 s\n{}", server.log());
        server = server.killed_and_started();
        for address in &acknowledged {
            assert!(server.who(address).is_some(), "{fault}: {address} was acknowledged");
        }
        script = server.client("script");
    }
    let config = server.setup().folder().join("rollcall.toml").display().to_string();
    let checked = rollcall(server.setup().folder(), &["--config", &config, "journal", "check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    until("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    server.stop();
}
