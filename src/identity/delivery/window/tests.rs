//! Property test of the send window: whatever happens to batches, late copies included, the
//! acknowledged position covers only applied batches, and the receiver ends with the content of the
//! log.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Cause, ChangeLog, ChangeLogLimits, Effect, Filter, Kind, Membership, Name, Origin, PageRequest,
    Precision, Principal, Producer, Proof, Revision, Rule, Session, Timestamp,
};
use proptest::prelude::*;

use super::*;

const HOSTS: [&str; 6] =
    ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "2001:db8::1", "2001:db8::2"];
const NOW: Timestamp = Timestamp::EPOCH;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn change(revision: u64, host: usize, presence: Presence) -> Change {
    let address = HOSTS[host].parse().unwrap();
    let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
    let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
    let cause = Cause { kind: Kind::Login, at: NOW, seen: NOW, origin, rule: Rule::FirstUser };
    let revision = Revision(revision);
    let session = Session {
        address,
        principal: Some(Principal::parse("alice", Some(&name("corp"))).unwrap()),
        device: None,
        roles: None,
        membership: Membership::default(),
        posture: None,
        since: NOW,
        confirmed: NOW,
        proved: NOW,
        proof: Proof::default(),
        precision: Precision::Millisecond,
        expires: NOW + std::time::Duration::from_secs(3600),
        revision,
        cause: cause.clone(),
        detail_sources: None,
    };
    let session = Some(Arc::new(session));
    match presence {
        Presence::There => {
            let effect = Effect::Began;
            Change { revision, address, effect, before: None, after: session, cause }
        }
        Presence::Gone => {
            let effect = Effect::Ended;
            Change { revision, address, effect, before: session, after: None, cause }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    There,
    Gone,
}

/// A step of the simulation.
#[derive(Debug, Clone)]
enum Step {
    /// A session begins or ends at an address.
    News(usize, Presence),
    /// The sender reads a page of this many changes, if the window has room.
    Read(usize),
    /// The sender sends all batches that it may.
    Launch,
    /// A batch in flight has this outcome.
    Meet(prop::sample::Index, Fate),
    /// A late copy of a forgotten batch reaches the receiver.
    Straggle(prop::sample::Index),
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    /// The batch is applied, and the response is lost.
    AnswerLost,
    /// The batch is not applied yet; a copy is still in flight.
    Late,
    /// The receiver rejects the batch as a whole: a single change is invalid, or a proxy rejects
    /// every request this time.
    TooMuch(Refuses),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuses {
    /// Only the invalid change.
    Bad,
    /// Every request.
    All,
}

fn step() -> impl Strategy<Value = Step> {
    let presence = prop_oneof![Just(Presence::There), Just(Presence::Gone)];
    let fate = prop_oneof![
        9 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::Late),
        2 => Just(Fate::TooMuch(Refuses::Bad)),
        2 => Just(Fate::TooMuch(Refuses::All)),
    ];
    let any = any::<prop::sample::Index>;
    prop_oneof![
        5 => (0..HOSTS.len(), presence).prop_map(|(host, presence)| Step::News(host, presence)),
        4 => (1..4_usize).prop_map(Step::Read),
        4 => Just(Step::Launch),
        6 => (any(), fate).prop_map(|(which, fate)| Step::Meet(which, fate)),
        1 => any().prop_map(Step::Straggle),
    ]
}

/// A request to the receiver.
#[derive(Debug, Clone)]
struct Sent {
    batch: OutgoingBatch,
    turn: u64,
}

impl Sent {
    fn span(&self) -> (Revision, Revision) {
        let from = self.batch.after.map_or(Revision(0), |after| after.revision);
        (from, self.batch.next.revision)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Conflict;

/// A receiver with a window, according to docs/secure-edge.openapi.json.
#[derive(Debug, Default)]
struct Receiver {
    width: usize,
    position: Option<Cursor>,
    turn: u64,
    reached: Revision,
    ahead: BTreeMap<(Revision, Revision), Cursor>,
    /// The revision of the session at each address.
    holds: BTreeMap<Address, Revision>,
}

impl Receiver {
    fn begin(&mut self, turn: u64) {
        *self = Self { width: self.width, turn, ..Self::default() };
    }

    fn take(&mut self, sent: &Sent) -> Result<(), Conflict> {
        let (from, to) = sent.span();
        if sent.turn != self.turn {
            if sent.batch.after != self.position || self.position.is_none() {
                return Err(Conflict);
            }
            (self.turn, self.reached) = (sent.turn, from);
            self.ahead.clear();
        }
        if to <= self.reached || self.ahead.contains_key(&(from, to)) {
            return Ok(());
        }
        let overlaps = self.ahead.keys().any(|(begin, end)| from < *end && *begin < to);
        let full = from > self.reached && self.ahead.len() + 1 >= self.width;
        if from < self.reached || overlaps || full {
            return Err(Conflict);
        }
        for change in &*sent.batch.changes {
            if self.holds.get(&change.address).is_some_and(|held| *held >= change.revision) {
                continue;
            }
            match &change.after {
                Some(_) => drop(self.holds.insert(change.address, change.revision)),
                None => drop(self.holds.remove(&change.address)),
            }
        }
        self.ahead.insert((from, to), sent.batch.next);
        while let Some(((from, to), next)) = self.ahead.pop_first() {
            if from != self.reached {
                self.ahead.insert((from, to), next);
                break;
            }
            (self.reached, self.position) = (to, Some(next));
        }
        Ok(())
    }
}

/// The sender and its environment.
struct World {
    log: ChangeLog,
    filter: Filter,
    revision: u64,
    /// The latest change of each address.
    truth: BTreeMap<Address, (Revision, Presence)>,
    receiver: Receiver,
    window: SendWindow,
    read: Option<Cursor>,
    more: bool,
    turn: u64,
    synchronising: bool,
    /// Whether no batch was lost or late so far.
    smooth: bool,
    on_way: Vec<Sent>,
    late: Vec<Sent>,
    /// The addresses of rejected changes by probe batch, and the latest skipped change of each
    /// address.
    probes: BTreeMap<BatchId, Address>,
    given_up: BTreeMap<Address, Revision>,
}

impl World {
    fn new(width: usize) -> Self {
        let mut world = Self {
            log: ChangeLog::new(7, ChangeLogLimits::default()),
            filter: Filter::default(),
            revision: 0,
            truth: BTreeMap::new(),
            receiver: Receiver { width, ..Receiver::default() },
            window: SendWindow::new(width, None),
            read: None,
            more: true,
            turn: 0,
            synchronising: false,
            smooth: true,
            on_way: Vec::new(),
            late: Vec::new(),
            probes: BTreeMap::new(),
            given_up: BTreeMap::new(),
        };
        world.synchronise();
        world
    }

    fn synchronise(&mut self) {
        self.turn += 1;
        self.receiver.begin(self.turn);
        (self.read, self.more, self.synchronising) = (None, true, true);
        self.window.restart(self.receiver.width, None);
    }

    /// Asks for the receiver's position after a failure, with all batches lost or late.
    fn ask(&mut self, why: Result<(), Conflict>) {
        let numbers: Vec<_> = self.on_way.iter().map(|sent| sent.batch.id).collect();
        self.late.append(&mut self.on_way);
        if self.synchronising && why.is_ok() {
            numbers.into_iter().for_each(|number| self.window.mark_unknown(number));
        } else if let (false, Some(at)) = (self.synchronising, self.receiver.position) {
            self.follow(at);
        } else {
            self.synchronise();
        }
    }

    fn follow(&mut self, at: Cursor) {
        self.turn += 1;
        (self.read, self.more, self.synchronising) = (Some(at), true, false);
        self.window.restart(self.receiver.width, Some(at));
    }

    fn news(&mut self, host: usize, presence: Presence) {
        self.revision += 1;
        let change = change(self.revision, host, presence);
        self.truth.insert(change.address, (change.revision, presence));
        self.log.apply(&change, NOW);
        self.more = true;
    }

    fn read(&mut self, limit: usize) {
        if !self.more || !self.window.has_room() {
            return;
        }
        let (cursor, filter) = (self.read, &self.filter);
        let page = self.log.read(&PageRequest { cursor, since: None, filter, limit, now: NOW });
        (self.read, self.more) = (Some(page.next), page.more);
        if !page.changes.is_empty() {
            self.window.push(page.changes.into(), page.next);
        }
    }

    fn batch(&mut self) {
        while let Some(batch) = self.window.next_batch() {
            let sent = Sent { batch, turn: self.turn };
            self.on_way.push(sent);
            let mut about = BTreeSet::new();
            let all = self.on_way.iter().flat_map(|sent| sent.batch.changes.iter());
            assert!(
                all.into_iter().all(|change| about.insert(change.address)),
                "one address twice"
            );
            assert!(self.on_way.len() <= self.receiver.width);
        }
    }

    fn meet(&mut self, which: usize, fate: Fate) {
        let sent = self.on_way.remove(which);
        let number = sent.batch.id;
        match fate {
            Fate::Answered => match self.take(&sent) {
                Ok(()) => drop(self.window.accept(number)),
                conflict => {
                    assert!(!self.smooth, "sent what the receiver cannot place");
                    self.ask(conflict);
                }
            },
            Fate::AnswerLost => {
                self.smooth = false;
                let _ = self.take(&sent);
                self.window.mark_unknown(number);
                self.ask(Ok(()));
            }
            Fate::Late => {
                self.smooth = false;
                self.late.push(sent);
                self.window.mark_unknown(number);
                self.ask(Ok(()));
            }
            Fate::TooMuch(refuses) => match &*sent.batch.changes {
                [_, _, ..] => self.window.split(number),
                [change] => {
                    self.probes.insert(number, change.address);
                    self.window.set_probe(number, "bad".to_owned(), Arc::from([]));
                    if refuses == Refuses::All {
                        // The probe is sent again too.
                        self.window.requeue(number);
                    }
                }
                [] => self.window.requeue(number),
            },
        }
        self.end();
    }

    /// The receiver applies a request; if it is a probe, the change is skipped.
    fn take(&mut self, sent: &Sent) -> Result<(), Conflict> {
        let taken = self.receiver.take(sent);
        let OutgoingBatch { id: number, changes, next, .. } = &sent.batch;
        if let (Ok(()), true, Some(about)) = (taken, changes.is_empty(), self.probes.get(number)) {
            let given_up = self.given_up.entry(*about).or_default();
            *given_up = next.revision.max(*given_up);
        }
        taken
    }

    /// Whether the latest change of an address, of this revision, was skipped.
    fn is_given_up(&self, address: &Address, revision: Revision) -> bool {
        self.given_up.get(address).is_some_and(|given_up| revision <= *given_up)
    }

    /// Ends a complete resync.
    fn end(&mut self) {
        if self.synchronising && !self.more && self.window.is_empty() {
            assert!(self.receiver.ahead.is_empty(), "a batch is missing");
            self.receiver.position = self.read;
            self.follow(self.read.expect("something was read"));
        }
    }

    /// The position covers only what the receiver holds.
    fn check(&self, at: Option<Cursor>) {
        let Some(at) = at else { return };
        for (address, (revision, presence)) in &self.truth {
            let held = self.receiver.holds.get(address);
            let wanted = (*presence == Presence::There).then_some(revision);
            let is_right = held == wanted || self.is_given_up(address, *revision);
            assert!(*revision > at.revision || is_right, "{address} {held:?} {wanted:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_acked_position_covers_only_applied_batches_and_the_receiver_converges(
        width in 1..5_usize,
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(width);
        for step in steps {
            match step {
                Step::News(host, presence) => world.news(host, presence),
                Step::Read(limit) => world.read(limit),
                Step::Launch => world.batch(),
                Step::Meet(which, fate) if !world.on_way.is_empty() => {
                    world.meet(which.index(world.on_way.len()), fate);
                }
                Step::Straggle(which) if !world.late.is_empty() => {
                    let late = world.late.remove(which.index(world.late.len()));
                    let _ = world.take(&late);
                }
                Step::Meet(..) | Step::Straggle(_) => {}
            }
            world.check(world.window.acked());
            world.check(world.receiver.position);
        }
        // From now on nothing fails.
        for _ in 0..1000 {
            world.read(2);
            world.batch();
            if !world.on_way.is_empty() {
                world.meet(0, Fate::Answered);
            }
            world.end();
            if !world.more && world.window.is_empty() && !world.synchronising {
                break;
            }
        }
        for late in std::mem::take(&mut world.late) {
            let _ = world.take(&late);
        }
        for (address, (revision, presence)) in &world.truth {
            let wanted = (*presence == Presence::There).then_some(revision);
            let is_right = world.receiver.holds.get(address) == wanted;
            prop_assert!(is_right || world.is_given_up(address, *revision), "{}", address);
        }
    }
}

#[test]
fn a_rejected_change_leaves_an_empty_batch_that_advances_the_position() {
    let at = |revision| Cursor::new(7, Revision(revision));
    let mut window = SendWindow::new(1, Some(at(3)));
    let changes = Arc::from([change(4, 0, Presence::There), change(5, 1, Presence::There)]);
    window.push(changes, at(9));
    let whole = window.next_batch().unwrap();
    window.split(whole.id);
    let first = window.next_batch().unwrap();
    assert_eq!((first.changes.len(), first.after, first.next), (1, Some(at(3)), at(4)));
    assert!(window.next_batch().is_none(), "one at a time");
    let refused = SkippedChange { address: HOSTS[0].parse().unwrap(), reason: "no".to_owned() };
    let nothing = || Arc::from([]);
    window.set_probe(first.id, "no".to_owned(), nothing());
    let hole = window.next_batch().unwrap();
    assert!(window.has_probe(hole.id));
    assert_eq!((hole.changes.len(), hole.after, hole.next), (0, Some(at(3)), at(4)));
    window.requeue(hole.id);
    let whole = window.next_batch().unwrap();
    assert!(!window.has_probe(whole.id) && whole.changes.len() == 1, "it is still there");
    window.set_probe(whole.id, "no".to_owned(), nothing());
    let hole = window.next_batch().unwrap();
    assert_eq!((hole.changes.len(), window.acked()), (0, Some(at(3))));
    assert_eq!(window.accept(hole.id), Some(refused));
    assert_eq!(window.acked(), Some(at(4)));
    let second = window.next_batch().unwrap();
    assert_eq!((second.changes.len(), second.after, second.next), (1, Some(at(4)), at(9)));
    window.accept(second.id);
    assert!(window.is_empty() && window.acked() == Some(at(9)));
}

#[test]
fn outcomes_after_a_window_was_cleared_are_ignored() {
    let at = |revision| Cursor::new(7, Revision(revision));
    let mut window = SendWindow::new(2, Some(at(3)));
    window.push(Arc::from([change(4, 0, Presence::There)]), at(4));
    let old = window.next_batch().unwrap();
    window.restart(2, Some(at(3)));
    window.push(Arc::from([change(5, 0, Presence::Gone)]), at(5));
    assert_eq!(window.accept(old.id), None);
    assert_eq!(window.acked(), Some(at(3)), "that was said of another batch");
    let new = window.next_batch().unwrap();
    window.accept(new.id);
    assert_eq!(window.acked(), Some(at(5)));
}
