//! The journal on disk is written, cut, mangled and read again: what was acknowledged is there, and
//! nothing that never was.

mod ahead;
mod backup;
mod damage;
mod forgetting;
mod keeping;
mod past;
mod reading;
mod recalling;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use proptest::prelude::*;
use rollcall_identity::directory::Group;
use rollcall_identity::{
    Address, Authority, Event, GroupSet, Handover, Journal, Kind, Name, Origin, Posture, Precision,
    Principal, Producer, Proof, ReadPosition, Revision, Rules, Session, Source, Table, Timestamp,
};
use tempfile::TempDir;

use super::{DurableJournal, Terms};
use crate::clock::Clock;

const START: i64 = 1_795_290_600_000;

/// A folder in which journals live one after the other, and the clock on the wall.
struct Shelf {
    folder: TempDir,
    terms: Terms,
    time: Arc<AtomicI64>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn rules() -> Rules {
    let kinds = vec![Kind::Login, Kind::Logout, Kind::DeviceSeen];
    let mut rules = Rules::default();
    let granted = Authority { kinds, ..Authority::default() };
    rules.authorities.insert((name("syslog"), name("relay")), granted);
    rules
}

impl Shelf {
    fn new(terms: Terms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, terms, time: Arc::new(AtomicI64::new(START)) }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(SeqCst))
    }

    fn pass(&self, time: Duration) {
        self.time.fetch_add(i64::try_from(time.as_millis()).unwrap(), SeqCst);
    }

    fn open(&self) -> DurableJournal {
        let time = Arc::clone(&self.time);
        let clock = Clock::from_fn(move || Timestamp::from_millis(time.load(SeqCst)));
        DurableJournal::open(self.path(), self.terms, clock).unwrap()
    }

    /// A journal, and the table it begins with.
    fn begin(&self) -> Life {
        let mut journal = self.open();
        let (table, newest) = journal.restore(&rules()).unwrap();
        Life { journal, table, newest }
    }

    /// What lies there, by the beginning of its name.
    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let named =
            |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        let mut files: Vec<_> = entries.filter(named).collect();
        files.sort();
        files
    }

    /// The same files in another folder, as a crash at this moment leaves them.
    fn copy(&self) -> Self {
        let copy = Self { time: Arc::clone(&self.time), ..Self::new(self.terms) };
        for file in self.files("") {
            fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
        copy
    }
}

/// A journal at work, with the table that it folds to.
struct Life {
    journal: DurableJournal,
    table: Table,
    newest: Revision,
}

impl Life {
    /// Appends and commits, and folds as the cache does.
    fn commit(&mut self, events: &[Event], read: Option<&ReadPosition>) -> Revision {
        let first = self.journal.append(events, read).unwrap();
        let newest = self.journal.commit().unwrap();
        for (event, position) in events.iter().zip(first.0..) {
            self.table.apply(Revision(position), event, &rules());
        }
        self.newest = newest;
        newest
    }

    /// What the journal's thread does between commits, and until what it asked for is written down.
    fn tend(&mut self, now: Timestamp) {
        if let Some(survey) = self.journal.tend(now) {
            survey(self.table.hand_over(self.newest));
        }
        while !self.journal.keeper.is_free() {
            std::thread::yield_now();
        }
    }

    fn state(&self) -> State {
        State::of(&self.table, self.newest)
    }
}

/// What a table amounts to for everybody who asks.
#[derive(Debug, PartialEq)]
struct State {
    newest: Revision,
    present: Vec<Session>,
    ended: Vec<(Session, Timestamp, Revision)>,
    remembered: String,
}

impl State {
    fn of(table: &Table, newest: Revision) -> Self {
        let Handover { mut standing, ends, mut memories, competed, strangers, .. } =
            table.hand_over(newest);
        standing.sort_by_key(|one| one.session.address);
        memories.sort_by_key(|memory| memory.address);
        let was: Vec<_> = standing.iter().map(|one| (one.told, &one.was)).collect();
        let remembered = format!("{:#?}", (was, memories, competed, strangers));
        let present = standing.iter().map(|one| (*one.session).clone()).collect();
        let ended = ends.iter().map(|end| ((*end.session).clone(), end.at, end.revision));
        Self { newest, present, ended: ended.collect(), remembered }
    }
}

/// The state after the first `count` of the events that begin at 1.
fn folded(events: &[Event], count: u64) -> State {
    let mut table = Table::default();
    for (event, position) in events.iter().zip(1..=count) {
        table.apply(Revision(position), event, &rules());
    }
    State::of(&table, Revision(count))
}

/// An event of the relay, `millis` after the start.
fn event(kind: Kind, user: &str, host: u8, millis: i64) -> Event {
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

fn login(user: &str, host: u8, millis: i64) -> Event {
    event(Kind::Login, user, host, millis)
}

fn group(text: &str) -> Arc<Group> {
    Arc::new(Group {
        name: name(text),
        domain: name("corp.example.com"),
        dn: format!("CN={text},DC=corp").into(),
        sid: "S-1-5-21-1-2-3-1104".parse().ok(),
    })
}

/// Events of every shape, each a moment after the one before.
fn arbitrary_events(most: usize) -> impl Strategy<Value = Vec<Event>> {
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
    type Shape = (
        Kind,
        Option<&'static str>,
        Option<&'static str>,
        Option<Vec<&'static str>>,
        Option<usize>,
        (u8, bool, bool),
    );
    let event = |(index, one): (usize, Shape)| {
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
        event.formerly = renamed.then(|| Box::new(Principal::parse("OLD\\carol", None).unwrap()));
        event
    };
    prop::collection::vec(one, 1..most)
        .prop_map(move |all| all.into_iter().enumerate().map(event).collect())
}

fn read(place: &[u8]) -> ReadPosition {
    let source = Source { producer: name("dc1"), name: name("Security") };
    ReadPosition { source, place: place.into() }
}

#[test]
fn what_was_committed_is_there_after_a_crash_and_goes_on_in_the_same_epoch() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    let epoch = life.journal.epoch();
    life.commit(&[login("alice", 1, 0), login("bob", 2, 1)], None);
    life.commit(&[event(Kind::Logout, "bob", 2, 2000)], Some(&read(b"<Bookmark 7/>")));
    // Appended and not committed: it was never acknowledged.
    life.journal.append(&[login("mallory", 3, 3000)], Some(&read(b"too far"))).unwrap();
    let before = life.state();
    for file in shelf.files("events-") {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: who was where is nobody else's", file.display());
    }
    drop(life);
    let mut life = shelf.begin();
    assert_eq!(life.state(), before);
    assert_eq!(life.journal.epoch(), epoch);
    let place = life.journal.read_position(&read(b"").source);
    assert_eq!(place.as_deref(), Some(&b"<Bookmark 7/>"[..]));
    assert_eq!(life.commit(&[login("carol", 4, 4000)], None), Revision(4));
}

#[test]
fn other_rules_than_those_that_told_begin_a_new_epoch_and_a_clean_stop_does_not() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let epoch = life.journal.epoch();
    drop(life);
    // Alice was told, and by these rules she never came.
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    let mut journal = shelf.open();
    let (table, newest) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), newest), (0, Revision(1)));
    assert!(journal.epoch() > epoch);
    let epoch = journal.epoch();
    journal.close(Some(table.hand_over(newest)));
    drop(journal);
    assert_eq!(shelf.begin().journal.epoch(), epoch, "nothing is folded by other rules");
}

#[test]
fn rules_that_change_while_it_runs_are_written_down_with_the_table() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.0/16".parse().unwrap());
    life.journal.govern(&strict);
    life.tend(shelf.now());
    let epoch = life.journal.epoch();
    life.journal.close(None);
    drop(life);
    let mut journal = shelf.open();
    let (table, _) = journal.restore(&strict).unwrap();
    assert_eq!((table.len(), journal.epoch()), (1, epoch), "what is, stays");
}

#[test]
fn what_other_rules_told_before_a_crash_begins_a_new_epoch_although_they_are_changed_back() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let epoch = life.journal.epoch();
    let mut strict = rules();
    strict.ignore.networks.push("10.7.0.2/32".parse().unwrap());
    life.journal.govern(&strict);
    // By these, nobody was told of bob; the process ends before the table is written down.
    life.commit(&[login("bob", 2, 1)], None);
    drop(life);
    let life = shelf.begin();
    assert_eq!(life.table.len(), 2);
    assert!(life.journal.epoch() > epoch, "a firewall that goes on would never hear of bob");
}

#[test]
fn a_clean_stop_leaves_a_snapshot_and_nothing_to_fold() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    life.commit(&[login("alice", 1, 0)], None);
    let (before, last) = (life.state(), life.table.hand_over(life.newest));
    life.journal.close(Some(last));
    drop(life);
    assert_eq!(shelf.files("snapshot-").len(), 1);
    assert_eq!(shelf.begin().state(), before);
}

#[test]
fn two_processes_never_write_one_journal() {
    let shelf = Shelf::new(Terms::default());
    let _life = shelf.begin();
    let clock = Clock::system();
    let error = DurableJournal::open(shelf.path(), Terms::default(), clock).err().unwrap();
    assert_eq!(error.to_string(), "another process writes there");
}

#[test]
fn an_empty_batch_may_carry_how_far_was_read() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    life.commit(&[], Some(&read(b"1")));
    life.commit(&[], Some(&read(b"2")));
    drop(life);
    let place = shelf.begin().journal.read_position(&read(b"").source);
    assert_eq!(place.as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_read_position_beyond_all_measure_is_refused_and_the_journal_goes_on() {
    let shelf = Shelf::new(Terms::default());
    let mut life = shelf.begin();
    let huge = read(&vec![0; ReadPosition::LIMIT + 1]);
    assert!(life.journal.append(&[login("alice", 1, 0)], Some(&huge)).is_err());
    assert!(life.journal.illness().is_none());
    assert_eq!(life.commit(&[login("alice", 1, 0)], None), Revision(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every event is read back as it was written, whatever it holds: the fold is the same.
    #[test]
    fn a_start_folds_to_what_was_there(
        events in arbitrary_events(80),
        // Some take a whole statement of rows, and more.
        sizes in prop::collection::vec(prop_oneof![4 => 1usize..6, 1 => 15usize..40], 80),
        stop in 0..20_usize,
    ) {
        let shelf = Shelf::new(Terms::default());
        let mut life = shelf.begin();
        let mut rest = &events[..];
        for (turn, size) in sizes.into_iter().enumerate() {
            if turn == stop {
                let last = life.table.hand_over(life.newest);
                life.journal.close(Some(last));
                drop(life);
                life = shelf.begin();
            }
            let (batch, after) = rest.split_at(size.min(rest.len()));
            life.commit(batch, None);
            rest = after;
        }
        let before = life.state();
        drop(life);
        let after = shelf.begin().state();
        prop_assert_eq!(&after, &before);
        prop_assert_eq!(after, folded(&events, events.len() as u64));
    }
}
