//! History queries on a backup of a running journal.

use std::process::Command;

use rollcall_journal::archive_reader::Archive;
use rollcall_journal::{back_up, inspect};

use super::*;
use crate::{HistoryQuery, PointInTime, Reader};

fn small() -> JournalOptions {
    JournalOptions { segment_events: 8, ..JournalOptions::default() }
}

/// Twenty logins, one per second, of five users at five addresses in turn.
fn run(shelf: &TestFolder, life: &mut RunningJournal) {
    for n in 0..20u8 {
        let user = format!("user{}", n % 5 + n / 5);
        life.commit(&[login(&user, n % 5, i64::from(n) * 1000)], None);
        shelf.advance(Duration::from_secs(1));
        life.maintain(shelf.now());
    }
}

/// The extracted backup as a folder of its own.
fn restored_backup(shelf: &TestFolder) -> TestFolder {
    let copy = TestFolder { time: Arc::clone(&shelf.time), ..TestFolder::new(shelf.options) };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.tar");
    let done = back_up(shelf.path(), &file).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(copy.path()).status();
    assert!(tar.unwrap().success());
    assert_eq!((done.events, done.last.0, done.problems.len()), (20, 20, 0));
    copy
}

#[test]
fn a_backup_of_a_running_journal_has_the_same_sessions_in_a_new_epoch() {
    let shelf = TestFolder::new(small());
    let mut life = shelf.start();
    run(&shelf, &mut life);
    let (before, epoch) = (life.state(), life.journal.epoch());
    let copy = restored_backup(&shelf);
    assert!(copy.files("").iter().all(|file| !file.to_str().unwrap().contains(".open.")));
    // Events after the copy are not in it.
    life.commit(&[login("late", 9, 30_000)], None);
    inspect(copy.path(), |found| {
        assert_eq!(found.problems, Vec::<String>::new(), "{}", found.file);
        Ok::<(), rollcall_journal::Corruption>(())
    })
    .unwrap();
    let session_at = |shelf: &TestFolder, host| {
        let (now, mut archive) = (shelf.now(), Archive::new(shelf.path()));
        let clock = Clock::from_fn(move || now);
        let address = Address::from(std::net::Ipv4Addr::new(10, 7, 0, host));
        let query = PointInTime { address, at: Timestamp::from_millis(START + 12_500) };
        let session_at = query.answer(&mut Reader::new(&mut archive, Arc::new(rules()), &clock));
        session_at.unwrap().explanation.session
    };
    for host in 0..5 {
        assert_eq!(session_at(&copy, host), session_at(&shelf, host));
        assert!(session_at(&copy, host).is_some());
    }
    let mut restored = copy.start();
    assert_eq!(restored.state(), before);
    assert!(restored.journal.epoch() > epoch, "events that the copy lacks may have been published");
    restored.commit(&[login("carol", 7, 31_000)], None);
    assert_eq!(restored.newest, Revision(21));
}
