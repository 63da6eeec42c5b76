//! Journals in temporary folders, and events for them, for the tests of this crate and the crates
//! above it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "test support: read beside its tests, and a failure ends the test"
)]

pub mod shared_log;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use proptest::prelude::*;
use rollcall_identity::directory::Group;
use rollcall_identity::{
    Address, Authority, Event, GroupSet, Journal, Kind, Name, Origin, Posture, Precision,
    Principal, Producer, Proof, ReadPosition, ReadSource, Revision, Rules, Session, Table,
    TableSnapshot, Timestamp,
};
use rollcall_runtime::clock::Clock;
use tempfile::TempDir;

use crate::layout::JournalLayout;
use crate::{DurableJournal, JournalOptions, Manifest, Sealed};

pub const START: i64 = 1_795_290_600_000;

/// A folder for consecutive journals, with a wall clock.
pub struct TestFolder {
    pub folder: TempDir,
    pub options: JournalOptions,
    pub time: Arc<AtomicI64>,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn rules() -> Rules {
    let kinds = vec![Kind::Login, Kind::Logout, Kind::DeviceSeen];
    let mut rules = Rules::default();
    let granted = Authority::unrestricted(kinds);
    rules.authorities.insert((name("syslog"), name("relay")), granted);
    rules
}

impl TestFolder {
    pub fn new(options: JournalOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, options, time: Arc::new(AtomicI64::new(START)) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(SeqCst))
    }

    pub fn advance(&self, time: Duration) {
        self.time.fetch_add(i64::try_from(time.as_millis()).unwrap(), SeqCst);
    }

    pub fn open(&self) -> DurableJournal {
        let time = Arc::clone(&self.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
        DurableJournal::open(self.path(), self.options, clock).unwrap()
    }

    /// Starts a journal and recovers its table.
    pub fn start(&self) -> RunningJournal {
        let mut journal = self.open();
        let (table, newest) = journal.restore(&rules()).unwrap();
        RunningJournal { journal, table, newest }
    }

    /// The files whose names begin with `prefix`.
    pub fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let named =
            |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        let mut files: Vec<_> = entries.filter(named).collect();
        files.sort();
        files
    }

    /// A copy of the files, as after a crash at this moment.
    pub fn copy(&self) -> Self {
        let copy = Self { time: Arc::clone(&self.time), ..Self::new(self.options) };
        for file in self.files("") {
            fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        copy
    }
}

/// A running journal with its table.
pub struct RunningJournal {
    pub journal: DurableJournal,
    pub table: Table,
    pub newest: Revision,
}

impl RunningJournal {
    /// Appends, commits and applies events as the cache does.
    pub fn commit(&mut self, events: &[Event], read: Option<&ReadPosition>) -> Revision {
        let first = self.journal.append(events, read).unwrap();
        let newest = self.journal.commit().unwrap();
        for (event, position) in events.iter().zip(first.0..) {
            self.table.apply(Revision(position), event, &rules());
        }
        self.newest = newest;
        newest
    }

    /// Runs maintenance as the journal's thread does between commits, and waits for the snapshot.
    pub fn maintain(&mut self, now: Timestamp) {
        if let Some(checkpoint_sink) = self.journal.maintain(now) {
            checkpoint_sink(self.table.snapshot(self.newest));
        }
        while !self.journal.maintenance.is_free() {
            std::thread::yield_now();
        }
    }

    pub fn state(&self) -> State {
        State::of(&self.table, self.newest)
    }
}

/// The observable state of a table.
#[derive(Debug, PartialEq)]
pub struct State {
    pub newest: Revision,
    pub present: Vec<Session>,
    pub ended: Vec<(Session, Timestamp, Revision)>,
    pub memories_text: String,
}

impl State {
    pub fn of(table: &Table, newest: Revision) -> Self {
        let TableSnapshot {
            sessions: mut active,
            ends,
            mut memories,
            competed,
            competed_without_session: without_session,
            ..
        } = table.snapshot(newest);
        active.sort_by_key(|one| one.session.address);
        memories.sort_by_key(|memory| memory.address);
        let was: Vec<_> = active.iter().map(|one| (one.published, &one.previous)).collect();
        let memories_text = format!("{:#?}", (was, memories, competed, without_session));
        let present = active.iter().map(|one| (*one.session).clone()).collect();
        let ended = ends
            .iter()
            .map(|shut_down| ((*shut_down.session).clone(), shut_down.at, shut_down.revision));
        Self { newest, present, ended: ended.collect(), memories_text }
    }
}

/// The state after the first `count` events, with positions from 1.
pub fn applied(events: &[Event], count: u64) -> State {
    let mut table = Table::default();
    for (event, position) in events.iter().zip(1..=count) {
        table.apply(Revision(position), event, &rules());
    }
    State::of(&table, Revision(count))
}

/// An event of the relay, `millis` after the start.
pub fn event(kind: Kind, user: &str, host: u8, millis: i64) -> Event {
    let origin = Origin {
        kind: Producer::Syslog,
        producer: name("syslog"),
        client: name("relay"),
        form: name("junos-vpn"),
    };
    let at = Timestamp::from_millis(START + millis);
    Event {
        principal: Some(Principal::parse(user, None).unwrap()),
        ..Event::bare(
            kind,
            Address::from(std::net::Ipv4Addr::new(10, 7, 0, host)),
            at,
            Arc::new(origin),
        )
    }
}

pub fn login(user: &str, host: u8, millis: i64) -> Event {
    event(Kind::Login, user, host, millis)
}

pub fn group(text: &str) -> Arc<Group> {
    Arc::new(Group {
        name: name(text),
        domain: name("corp.example.com"),
        dn: format!("CN={text},DC=corp").into(),
        sid: "S-1-5-21-1-2-3-1104".parse().ok(),
    })
}

/// Events of every form, each later than the one before.
pub fn arbitrary_events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    const KINDS: [Kind; 4] = [Kind::Login, Kind::Login, Kind::Logout, Kind::DeviceSeen];
    const USERS: [&str; 4] = ["alice", "CORP\\alice", "bob@corp.example.com", "zo\u{eb}"];
    let one = (
        prop::sample::select(&KINDS[..]),
        prop::option::of(prop::sample::select(&USERS[..])),
        prop::option::of(prop::sample::select(&["pc1", "pc2"][..])),
        prop::option::of(prop::collection::vec(prop::sample::select(&["it", "hr"][..]), 0..3)),
        prop::option::of(0usize..3),
        (1u8..6, any::<bool>(), any::<bool>()),
    );
    type Fields = (
        Kind,
        Option<&'static str>,
        Option<&'static str>,
        Option<Vec<&'static str>>,
        Option<usize>,
        (u8, bool, bool),
    );
    let event = |(index, one): (usize, Fields)| {
        let (kind, user, device, roles, groups, (host, coarse, renamed)) = one;
        let mut event = event(kind, "nobody", host, i64::try_from(index).unwrap() * 1500);
        event.principal = user.map(|user| Principal::parse(user, None).unwrap());
        event.device = device.map(name);
        let named = |roles: Vec<&str>| roles.into_iter().map(name).collect();
        event.roles = roles.map(named);
        let set = |count| GroupSet::new((0..count).map(|n| group(&format!("g{n}"))).collect());
        event.membership.user = groups.map(set);
        event.precision = if coarse { Precision::Second } else { Precision::Millisecond };
        event.posture = coarse.then_some(Posture::Quarantine);
        event.proof = if renamed { Proof::Ticket } else { Proof::Logon };
        event.sid = coarse.then(|| Box::new("S-1-5-21-1-2-3-1104".parse().unwrap()));
        event.renamed_from =
            renamed.then(|| Box::new(Principal::parse("OLD\\carol", None).unwrap()));
        event
    };
    prop::collection::vec(one, 1..most)
        .prop_map(move |all| all.into_iter().enumerate().map(event).collect())
}

pub fn read(position: &[u8]) -> ReadPosition {
    let source = ReadSource { producer: name("dc1"), name: name("Security") };
    ReadPosition { source, position: position.into() }
}

/// The sealed segments in the manifest of a folder.
pub fn sealed_segments(path: &Path) -> Vec<Sealed> {
    Manifest::load(&JournalLayout::make(path).unwrap()).unwrap().segments
}

/// The SHA-256 of a file, as in the manifest.
pub fn digest_of(path: &Path) -> String {
    crate::manifest::digest(path).unwrap()
}

impl RunningJournal {
    /// Commits each event when it is received, and runs maintenance between commits.
    pub fn run(&mut self, folder: &TestFolder, events: &[Event]) {
        for event in events {
            folder.time.store(event.seen.millis(), SeqCst);
            self.commit(std::slice::from_ref(event), None);
            self.maintain(folder.now());
        }
    }

    /// Stops cleanly after pending segments are sealed.
    pub fn shut_down(mut self, folder: &TestFolder) {
        for _ in 0..3 {
            folder.advance(Duration::from_secs(3600));
            self.maintain(folder.now());
        }
        let last = self.table.snapshot(self.newest);
        self.journal.close(Some(last));
    }
}
