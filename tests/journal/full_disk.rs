//! The disk is full: queries are answered, pushes are rejected with `Retry-After`, and writes
//! continue automatically when space is available.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use jiff::SignedDuration;
use tempfile::TempDir;

use super::login;
use crate::harness::{
    Account, Server, Setup, Vpn, frame_3164, now, peer, run, skip, until, within,
};

/// A small file system in memory, which is unmounted at the end of the test.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts it. The error is the reason why it cannot be mounted.
    pub(crate) fn mount() -> Result<Self, String> {
        let at = tempfile::tempdir().unwrap();
        let mount = peer("mount").ok_or("mount is not installed")?;
        let target = at.path().display().to_string();
        let done = run(&mount, &["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", &target]);
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned());
        }
        Ok(Self(at))
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.0.path().join("filler")).unwrap();
        let page = [0x20; 4096];
        while file.write_all(&page).is_ok() {}
    }

    /// The configuration section that places the journal on it.
    pub(crate) fn section(&self) -> String {
        format!("[journal]\nfolder = \"{}\"", self.0.path().join("journal").display())
    }

    pub(crate) fn free_space(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(umount) = peer("umount") {
            run(&umount, &["-l".as_ref(), self.0.path().as_os_str()]);
        }
    }
}

#[test]
fn queries_continue_on_a_full_disk_and_writes_recover_automatically() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => {
            return skip(
                "queries_continue_on_a_full_disk_and_writes_recover_automatically",
                &format!("no file system can be mounted: {why}"),
            );
        }
    };
    let server = Server::start(Setup::new().with(&disk.section()));
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    let mut acknowledged = Vec::new();
    for round in 1..=3u8 {
        let address = format!("10.62.{round}.1");
        assert_eq!(script.post_events(&login(&address, "alice")).status, 200);
        acknowledged.push(address);
        disk.fill();
        let refused = within(Duration::from_secs(20), || {
            let address = format!("10.62.{round}.{}", acknowledged.len() + 1);
            let answer = script.post_events(&login(&address, "bob"));
            if answer.status == 200 {
                acknowledged.push(address);
                return None;
            }
            Some(answer)
        });
        let refused = refused.expect("a push is refused");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
        assert!(refused.text.contains("full"), "the reason is reported: {refused:?}");
        // Queries of firewalls, REST and metrics are answered.
        for address in &acknowledged {
            assert!(server.user_at(address).is_some(), "{address}");
        }
        firewall.poll();
        assert_eq!(firewall.table().len(), acknowledged.len());
        assert_eq!(server.metrics().sum("rollcall_journal_unavailable", &[]), 1);
        let ready = server.get("/readyz");
        assert_eq!(ready.status, 503, "{ready:?}");
        assert!(ready.text.contains("the journal is not writable"), "{ready:?}");
        disk.free_space();
        let address = format!("10.62.{round}.250");
        let recovered = within(Duration::from_secs(10), || {
            let answer = script.post_events(&login(&address, "carol"));
            (answer.status == 200).then_some(())
        });
        assert!(recovered.is_some(), "no recovery within 10 s\n{}", server.log());
        acknowledged.push(address);
        assert_eq!(server.get("/readyz").status, 200);
        assert_eq!(server.metrics().sum("rollcall_journal_unavailable", &[]), 0);
    }
    let server = server.kill_and_restart();
    for address in &acknowledged {
        assert!(server.user_at(address).is_some(), "{address} was acknowledged");
    }
    let all = server.get("/api/v1/sessions?limit=1000").json();
    assert_eq!(all["sessions"].as_array().unwrap().len(), acknowledged.len(), "{all}");
    server.stop();
}

#[test]
fn syslog_input_on_a_full_disk_is_held_back_or_counted() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => {
            return skip(
                "syslog_input_on_a_full_disk_is_held_back_or_counted",
                &format!("no file system can be mounted: {why}"),
            );
        }
    };
    let server = Server::start(Setup::new().with(&disk.section()));
    let mut stream = TcpStream::connect(server.tcp()).unwrap();
    let mut sent = 0_u64;
    let mut send = |third: u8| {
        sent += 1;
        let (user, address) = (format!("u{sent}"), format!("10.66.{third}.{}", sent % 250));
        let up = Vpn { user: &user, address: &address }.up();
        writeln!(stream, "{}", frame_3164(&up, SignedDuration::ZERO)).unwrap();
        (sent, address, user)
    };
    send(0);
    server.account("syslog", 1);
    disk.fill();
    let is_unavailable =
        |server: &Server| server.metrics().sum("rollcall_journal_unavailable", &[]) == 1;
    until("the journal is unavailable", || {
        let (sent, ..) = send(0);
        within(Duration::from_secs(5), || {
            let account = server.metrics().account("syslog");
            (account.received == sent && account.is_closed()).then_some(())
        });
        is_unavailable(&server).then_some(())
    });
    // From now on no input is read, because it could not be journaled.
    let held: Vec<_> = (0..60).map(|_| send(1)).collect();
    let datagram = Vpn { user: "late", address: "10.66.2.1" }.up();
    server.datagram(frame_3164(&datagram, SignedDuration::ZERO));
    assert!(held.iter().all(|(_, address, _)| server.user_at(address).is_none()));
    disk.free_space();
    for (_, address, user) in &held {
        server.wait_for_user(user, address);
    }
    server.wait_for_user("late", "10.66.2.1");
    let (total, ..) = send(1);
    let Account { received, applied, dropped, .. } = server.account("syslog", total + 1);
    assert_eq!((received, applied + dropped), (total + 1, total + 1));
    // What was under way when the disk was full, and nothing else.
    assert_eq!(dropped, server.metrics().dropped("syslog", "journal_unavailable"));
    assert_eq!(dropped, 1, "one line was on its way");
    // A stop does not wait for free space.
    disk.fill();
    until("the journal is unavailable again", || {
        let answer = server.client("script").post_events(&login("10.66.3.1", "alice"));
        (answer.status == 503).then_some(())
    });
    send(2);
    let began = now();
    server.stop();
    assert!(now().duration_since(began).as_secs() < 4, "the deadline of the drain is 5 s");
}
