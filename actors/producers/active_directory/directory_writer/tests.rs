//! Directory updates reach the sessions even if a writer stops halfway, and readers are not blocked
//! meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::System;
use rollcall_identity::directory::{
    Account as DirectoryAccount, AccountKind, AccountState, DirectorySnapshot, Guid, Object, Sid,
    Update,
};
use rollcall_identity::{
    Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Principal, Rules, Timestamp,
};

use super::*;
use crate::test_producer;
use rollcall_engine::Engine;
use rollcall_engine::messages::Apply;
use rollcall_engine::messages::LookupAddress;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::event_accounting::EventAccount;

const CORP: &str = "corp.example.com";

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn names() -> DomainNames {
    let sid: Sid = "S-1-5-21-1-2-3".parse().unwrap();
    DomainNames { dns: name(CORP), netbios: name("corp"), sid }
}

fn user(number: u32) -> Update {
    named(number, &format!("user{number}"))
}

fn named(number: u32, login: &str) -> Update {
    let account = DirectoryAccount {
        kind: AccountKind::User,
        name: name(login),
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: None,
    };
    let mut guid = [0; 16];
    guid[..4].copy_from_slice(&number.to_le_bytes());
    let dn = format!("CN=User {number},DC=corp,DC=example,DC=com").into();
    Update::Upsert { guid: Guid(guid), dn, sid: None, object: Object::Account(account) }
}

fn image(users: u32) -> DirectoryUpdate {
    let mut image = DirectorySnapshot::default();
    (0..users).for_each(|number| image.add(user(number)));
    DirectoryUpdate::Full(Box::new(image))
}

fn section(more: &str) -> config::ActiveDirectory {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.toml");
    let text = format!(
        "[[active_directory]]\nname = \"corp\"\ndomain = \"{CORP}\"\naccount = \"a@x.org\"\n\
         transport = \"ldap\"\nallow_clear_text = true\nsecret_env = \"PASSWORD\"\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    let variable = |name: &str| (name == "PASSWORD").then(|| "canary".to_owned());
    let environment = config::Environment::new(variable, jiff::tz::TimeZone::UTC);
    config::load(Some(&file), &environment).unwrap().active_directory.remove(0)
}

/// An engine, and the sink of a producer with the name `corp`.
async fn start_engine() -> (Engine, EventSink) {
    let mut rules = Rules::default();
    let kinds = vec![Kind::Login, Kind::Logout];
    rules.authorities.insert((name("syslog"), name("dc1")), Authority::unrestricted(kinds));
    let clock = Clock::from_fn(|| Timestamp::from_millis(1_795_290_600_000));
    let engine = Engine::start(MemoryJournal::new(7), rules, ChangeLogLimits::default(), &clock)
        .await
        .unwrap();
    let sink = sink(&engine, "corp").await;
    (engine, sink)
}

/// The sink of another producer.
async fn sink(engine: &Engine, producer: &str) -> EventSink {
    let clock = Clock::from_fn(|| Timestamp::from_millis(1_795_290_600_000));
    test_producer::sink(engine, (ProducerKind::ActiveDirectory, producer), clock).await
}

async fn log_in(engine: &Engine, user: &str) {
    log_in_at(engine, "10.0.0.7", user).await;
}

async fn log_in_at(engine: &Engine, address: &str, user: &str) {
    let at = Timestamp::from_millis(1_795_290_600_000);
    let [producer, client, form] = ["syslog", "dc1", "line"].map(name);
    let event = Event {
        principal: Some(Principal::parse(user, None).unwrap()),
        ..Event::bare(
            Kind::Login,
            address.parse().unwrap(),
            at,
            Arc::new(Origin { kind: ProducerKind::Syslog, producer, client, form }),
        )
    };
    let account = EventAccount::open("syslog", 1);
    let apply = Apply { events: vec![event], read: None, account };
    assert_eq!(engine.cache.send(apply).await.unwrap().unwrap().applied, 1);
}

async fn shown(engine: &Engine) -> String {
    shown_at(engine, "10.0.0.7").await.unwrap()
}

async fn shown_at(engine: &Engine, address: &str) -> Option<String> {
    let session = engine.query.send(LookupAddress(address.parse().unwrap())).await.unwrap()?;
    Some(session.principal.as_ref().unwrap().to_string())
}

fn run_test(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends in time");
    });
}

#[test]
fn pending_updates_of_a_stopped_writer_are_submitted_by_its_successor() {
    run_test(async {
        let (engine, sink) = start_engine().await;
        log_in(&engine, "user3@corp").await;
        let directory = engine.directory.clone();
        let first = DirectoryWriter::new(&section(""), directory.clone());
        first.set_event_sink(sink.clone());
        let names = names();
        let mut learning = first.apply_update(&names, image(10));
        assert!(futures_util::poll!(&mut learning).is_pending(), "it is written on another thread");
        drop(learning);
        while directory.pending(&names.dns).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(shown(&engine).await, "user3@corp", "the sessions are not updated yet");

        let successor = DirectoryWriter::new(&section(""), directory.clone());
        successor.set_event_sink(sink);
        successor.apply_update(&names, DirectoryUpdate::Changes(Vec::new())).await.unwrap();
        assert_eq!(shown(&engine).await, "user3@corp.example.com");
        assert!(directory.pending(&names.dns).is_none(), "nothing is pending");
    });
}

/// An empty directory and a new writer are the state of a new process over the same journal.
#[test]
fn stored_members_distinguish_deleted_from_renamed_accounts_after_a_restart() {
    run_test(async {
        let (engine, sink) = start_engine().await;
        let (directory, names) = (engine.directory.clone(), names());
        let begin = || writer(&section(""), &directory, &sink);
        let first = begin();
        assert_eq!(first.load_position().await, Ok(None));
        first.apply_update(&names, image(10)).await.unwrap();
        first.store_position(&names, Arc::from(b"here".as_slice())).await.unwrap();
        // The stored members follow later changes.
        let changes = vec![named(3, "user3.b"), named(11, "user11")];
        first.apply_update(&names, DirectoryUpdate::Changes(changes)).await.unwrap();
        first.store_position(&names, Arc::from(b"there".as_slice())).await.unwrap();
        let users = ["user2", "user3.b", "user4", "user11", "stranger"];
        for (host, user) in users.into_iter().enumerate() {
            log_in_at(&engine, &format!("10.0.0.{host}"), &format!("corp\\{user}")).await;
        }

        directory.remove(&names.dns);
        let second = begin();
        assert_eq!(second.load_position().await.unwrap().as_deref(), Some(b"there".as_slice()));
        // 4 is deleted, and 20 has its name; 2 and 3 are renamed; 11 has the former name of 2.
        let now = [(2, "user9"), (3, "user3.c"), (11, "user2"), (20, "user4")];
        let now = now.into_iter().map(|(number, login)| named(number, login));
        second.apply_update(&names, whole(now)).await.unwrap();
        let mut there = Vec::new();
        for host in 0..users.len() {
            there.push(shown_at(&engine, &format!("10.0.0.{host}")).await);
        }
        let there: Vec<_> = there.iter().map(Option::as_deref).collect();
        assert_eq!(
            there,
            [
                Some("user9@corp.example.com"),
                Some("user3.c@corp.example.com"),
                None,
                Some("user2@corp.example.com"),
                Some("stranger@corp"),
            ]
        );
    });
}

fn whole(updates: impl IntoIterator<Item = Update>) -> DirectoryUpdate {
    let mut image = DirectorySnapshot::default();
    updates.into_iter().for_each(|update| image.add(update));
    DirectoryUpdate::Full(Box::new(image))
}

/// A new writer of the directory of `section`, as at a start.
fn writer(
    section: &config::ActiveDirectory,
    directory: &SharedDirectory,
    sink: &EventSink,
) -> DirectoryWriter {
    let writer = DirectoryWriter::new(section, directory.clone());
    writer.set_event_sink(sink.clone());
    writer
}

#[test]
fn an_account_renamed_just_before_a_crash_is_recognized_by_either_name_at_the_next_start() {
    run_test(async {
        let (engine, sink) = start_engine().await;
        let (directory, names) = (engine.directory.clone(), names());
        let first = writer(&section(""), &directory, &sink);
        first.apply_update(&names, image(10)).await.unwrap();
        first.store_position(&names, Arc::from(b"here".as_slice())).await.unwrap();
        log_in(&engine, "corp\\user3").await;
        first
            .apply_update(&names, DirectoryUpdate::Changes(vec![named(3, "user3.b")]))
            .await
            .unwrap();
        assert_eq!(shown(&engine).await, "user3.b@corp.example.com");
        // Rollcall is killed before it stores the rename, and the controller is restored from a
        // copy.
        directory.remove(&names.dns);
        let second = writer(&section(""), &directory, &sink);
        second.load_position().await.unwrap();
        second.apply_update(&names, image(10)).await.unwrap();
        assert_eq!(shown(&engine).await, "user3@corp.example.com");
        second.store_position(&names, Arc::from(b"there".as_slice())).await.unwrap();
        // Only the names of the sessions are stored: another account may get the other name.
        let third = writer(&section(""), &directory, &sink);
        third.load_position().await.unwrap();
        directory.remove(&names.dns);
        let mut now: Vec<Update> = (0..10).map(user).collect();
        now.push(named(20, "user3.b"));
        log_in_at(&engine, "10.0.0.8", "corp\\user3.b").await;
        third.apply_update(&names, whole(now)).await.unwrap();
        assert_eq!(shown_at(&engine, "10.0.0.8").await.unwrap(), "user3.b@corp.example.com");
        assert_eq!(shown(&engine).await, "user3@corp.example.com");
    });
}

/// Reads two domains, with users 3 and 4 of the first logged on. Then it repeats a start, at which
/// the first domain is read without these users.
async fn read_without_moved_users(
    engine: &Engine,
    sink: &EventSink,
) -> (DirectoryWriter, DirectoryWriter, DomainNames) {
    let (directory, names) = (engine.directory.clone(), names());
    directory.write().expect_domains(2);
    let other = section("").domain.as_str().replace("corp", "lab");
    let sid: Sid = "S-1-5-21-4-5-6".parse().unwrap();
    let lab_names = DomainNames { dns: name(&other), netbios: name("lab"), sid };
    let lab_section = config::ActiveDirectory { domain: name(&other), ..section("") };
    let lab_sink = self::sink(engine, "lab").await;
    let both =
        || (writer(&section(""), &directory, sink), writer(&lab_section, &directory, &lab_sink));
    let (corp, lab) = both();
    corp.apply_update(&names, image(10)).await.unwrap();
    corp.store_position(&names, Arc::from(b"here".as_slice())).await.unwrap();
    lab.apply_update(&lab_names, whole([user(11)])).await.unwrap();
    corp.apply_update(&names, DirectoryUpdate::Changes(Vec::new())).await.unwrap();
    for (address, user) in [("10.0.0.3", "corp\\user3"), ("10.0.0.4", "corp\\user4")] {
        log_in_at(engine, address, user).await;
    }
    // Two starts with a kill between: accounts that may have moved keep their sessions.
    for _ in 0..2 {
        directory.remove(&names.dns);
        directory.remove(&lab_names.dns);
        let (corp, _) = both();
        corp.load_position().await.unwrap();
        let others = (0..10).filter(|number| ![3, 4].contains(number));
        corp.apply_update(&names, whole(others.map(user))).await.unwrap();
        corp.store_position(&names, Arc::from(b"there".as_slice())).await.unwrap();
        assert_eq!(shown_at(engine, "10.0.0.3").await.unwrap(), "user3@corp.example.com");
        assert_eq!(shown_at(engine, "10.0.0.4").await.unwrap(), "user4@corp.example.com");
    }
    let (corp, lab) = both();
    (corp, lab, lab_names)
}

#[test]
fn a_session_of_an_account_moved_to_a_domain_read_later_continues_there() {
    run_test(async {
        let (engine, sink) = start_engine().await;
        let (corp, lab, lab_names) = read_without_moved_users(&engine, &sink).await;
        lab.apply_update(&lab_names, whole([user(3), user(11)])).await.unwrap();
        corp.apply_update(&names(), DirectoryUpdate::Changes(Vec::new())).await.unwrap();
        assert_eq!(shown_at(&engine, "10.0.0.3").await.unwrap(), "user3@lab.example.com");
        assert_eq!(shown_at(&engine, "10.0.0.4").await, None, "4 is in neither domain");
    });
}

#[test]
fn the_removal_of_an_account_is_not_deferred_longer_than_the_read_limit() {
    run_test(async {
        let (engine, sink) = start_engine().await;
        let (corp, _, _) = read_without_moved_users(&engine, &sink).await;
        let directory = &engine.directory;
        directory.release_deferred(&names().dns, Duration::from_secs(1800));
        assert!(directory.pending(&names().dns).is_none(), "the removals are deferred");
        directory.release_deferred(&names().dns, Duration::ZERO);
        corp.apply_update(&names(), DirectoryUpdate::Changes(Vec::new())).await.unwrap();
        for address in ["10.0.0.3", "10.0.0.4"] {
            assert_eq!(shown_at(&engine, address).await, None);
        }
    });
}

#[test]
fn lookups_are_answered_while_a_large_directory_is_ingested() {
    let (directory, names, done) = (SharedDirectory::default(), names(), AtomicBool::new(false));
    let principal = Principal::parse("user0@corp.example.com", None).unwrap();
    std::thread::scope(|scope| {
        let lookups = scope.spawn(|| {
            // Lookups answered between the first and the last slice.
            let mut between = 0_u32;
            while !done.load(Ordering::Acquire) {
                let directory = directory.read();
                let counts = directory.counts(&names.dns).unwrap_or_default();
                between += u32::from(counts.users > 0 && directory.resolve(&principal).is_none());
            }
            between
        });
        let DirectoryUpdate::Full(image) = image(50_000) else { unreachable!("it is whole") };
        directory
            .ingest(&names.dns, |directory| {
                directory.put_domain(names.clone(), UnqualifiedNames::ThisDomain);
                directory.begin_replace(&names.dns, *image)
            })
            .unwrap();
        done.store(true, Ordering::Release);
        assert!(lookups.join().unwrap() > 1, "lookups waited for the end");
    });
    assert!(directory.read().resolve(&principal).is_some());
}
