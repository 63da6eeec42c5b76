//! Property tests: whatever happens between reads, consumers end with the content of the table.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::test_support::{address, event_at, membership_event, origin, rules, seconds};
use crate::{Event, Filter, Glob, Kind, Producer, Rules, Table};

const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "2001:db8::1"];
const USERS: [&str; 5] = ["alice@corp", "bob@corp", "alice@lab", "carol@home", "alice"];

/// A step of the simulation.
#[derive(Debug, Clone)]
enum Step {
    /// An event is applied and its change logged.
    Apply { kind: Kind, host: usize, user: usize },
    /// A directory reports that the user at the address is this user, in this group.
    Membership { host: usize, user: usize, group: &'static str },
    /// Time passes, in seconds.
    Pass(i64),
    /// The due expiries are requested and applied.
    Expire,
    /// A consumer reads one page.
    Read { consumer: usize, limit: usize },
    /// The log is lost and rebuilt from the table.
    RestoreLog,
    /// The table is lost and rebuilt from the log.
    RestoreTable,
    /// The table forgets the ends older than this many seconds.
    Forget(i64),
    /// The log is rebuilt in a new epoch.
    NewEpoch,
    /// The log stops receiving changes.
    Disconnect,
    /// The log receives the changes that it missed.
    CatchUp,
}

fn step() -> impl Strategy<Value = Step> {
    let kinds =
        vec![Kind::Login, Kind::VpnUp, Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::DeviceSeen];
    prop_oneof![
        8 => (prop::sample::select(kinds), 0..HOSTS.len(), 0..USERS.len())
            .prop_map(|(kind, host, user)| Step::Apply { kind, host, user }),
        3 => (0..HOSTS.len(), 0..USERS.len(), prop::sample::select(vec!["", "sales"]))
            .prop_map(|(host, user, group)| Step::Membership { host, user, group }),
        2 => (1..60_i64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
        4 => (0..5_usize, 0..4_usize).prop_map(|(consumer, limit)| Step::Read { consumer, limit }),
        1 => Just(Step::RestoreLog),
        1 => Just(Step::RestoreTable),
        1 => (0..100_i64).prop_map(Step::Forget),
        1 => Just(Step::NewEpoch),
        1 => Just(Step::Disconnect),
        1 => Just(Step::CatchUp),
    ]
}

/// A firewall: a filter, a cursor, and what it holds.
#[derive(Debug, Default)]
struct Consumer {
    filter: Filter,
    cursor: Option<Cursor>,
    /// It cannot discard what it holds, like an SRX.
    keeps: bool,
    holds: BTreeMap<Address, String>,
}

impl Consumer {
    fn all() -> Vec<Self> {
        let filtered = |filter| Self { filter, ..Self::default() };
        let domain = |text| Filter { domains: vec![Glob::new(text).unwrap()], ..Filter::default() };
        let net = Filter { include: vec!["10.0.0.0/8".parse().unwrap()], ..Filter::default() };
        let not = Filter { exclude: vec!["10.0.0.1/32".parse().unwrap()], ..Filter::default() };
        vec![
            Self::default(),
            filtered(domain("corp")),
            filtered(domain("lab").both(net)),
            filtered(not),
            filtered(domain("nobody")),
        ]
    }

    /// Reads one page; returns whether there is more.
    fn read(&mut self, log: &ChangeLog, limit: usize, now: Timestamp) -> bool {
        let cursor = self.cursor.map(|cursor| cursor.to_string().parse().unwrap());
        let page = log.read(&PageRequest { cursor, since: None, filter: &self.filter, limit, now });
        if page.resync && !self.keeps {
            self.holds.clear();
        }
        assert!(page.changes.len() <= limit.max(1));
        for change in &page.changes {
            match &change.after {
                Some(session) => self.holds.insert(change.address, after(session)),
                None => self.holds.remove(&change.address),
            };
            // Excluded sessions do not appear in any field.
            assert!(change.session().is_none_or(|session| self.filter.admits(session)));
        }
        self.cursor = Some(page.next);
        page.more
    }
}

fn after(session: &Session) -> String {
    let Session { principal, device, membership, .. } = session;
    format!("{:?} {device:?} {membership:?}", principal.as_ref().map(ToString::to_string))
}

struct World {
    table: Table,
    log: ChangeLog,
    limits: ChangeLogLimits,
    rules: Rules,
    revision: u64,
    epoch: u64,
    now: i64,
    disconnected: bool,
}

impl World {
    fn new(limits: ChangeLogLimits) -> Self {
        let rules = Rules { logoff_time: Duration::from_secs(150), ..rules() };
        let log = ChangeLog::new(7, limits);
        Self {
            table: Table::default(),
            log,
            limits,
            rules,
            revision: 0,
            epoch: 7,
            now: 0,
            disconnected: false,
        }
    }

    fn catch_up(&mut self) {
        self.disconnected = false;
        for change in self.table.snapshot(Revision(self.revision)).changes_since(self.log.newest())
        {
            self.log.apply(&change, seconds(self.now));
        }
    }

    fn restore_log(&mut self) {
        self.disconnected = false;
        let snapshot = self.table.snapshot(Revision(self.revision));
        self.log = ChangeLog::restore(self.epoch, self.limits, snapshot);
    }

    /// All sessions expire, all consumers read everything, and hold the correct content.
    fn end(mut self, consumers: &mut [Consumer], limit: usize) -> Result<(), TestCaseError> {
        self.catch_up();
        self.now += 60;
        self.expire();
        let now = seconds(self.now);
        for consumer in consumers {
            while consumer.read(&self.log, limit, now) {}
            let truth: BTreeMap<_, _> = self
                .table
                .sessions()
                .filter(|session| session.is_active_at(now) && consumer.filter.admits(session))
                .map(|session| (session.address, after(session)))
                .collect();
            prop_assert_eq!(&consumer.holds, &truth);
        }
        prop_assert_eq!(self.log.len(), self.table.len());
        for session in self.table.sessions() {
            prop_assert_eq!(self.log.get(session.address, now), Some(session));
        }
        Ok(())
    }

    fn apply(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &self.rules);
        if let Some(change) = decision.change.filter(|_| !self.disconnected) {
            self.log.apply(&change, seconds(self.now));
        }
    }

    fn expire(&mut self) {
        for event in
            self.table.due_expiries(seconds(self.now), &origin(Producer::Cache), usize::MAX)
        {
            self.apply(&event);
        }
    }

    fn step(&mut self, step: &Step, consumers: &mut [Consumer]) {
        match *step {
            Step::Apply { kind, host, user } => {
                let text = if kind == Kind::DeviceSeen { "<pc1>" } else { USERS[user] };
                let place = address(HOSTS[host]);
                self.apply(&Event { address: place, ..event_at(kind, text, self.now) });
            }
            Step::Membership { host, user, group } => {
                let place = address(HOSTS[host]);
                let current = self.table.get(place).and_then(|current| current.principal.clone());
                let text = if current.is_some() { USERS[user] } else { "<pc1>" };
                let formerly = current.map(Box::new);
                let event = membership_event(text, group, self.now);
                self.apply(&Event { address: place, renamed_from: formerly, ..event });
            }
            Step::Pass(time) => self.now += time,
            Step::Expire => self.expire(),
            Step::Read { consumer, limit } => {
                consumers[consumer].read(&self.log, limit, seconds(self.now));
            }
            Step::RestoreLog => self.restore_log(),
            Step::RestoreTable => {
                self.catch_up();
                self.table = Table::restore(self.log.snapshot());
            }
            Step::Forget(age) => {
                // The log never misses changes for the 15 minutes for which ends are remembered.
                self.catch_up();
                self.table.forget_before(seconds(self.now - age));
            }
            Step::NewEpoch => {
                self.epoch += 1;
                self.restore_log();
            }
            Step::Disconnect => self.disconnected = true,
            Step::CatchUp => self.catch_up(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_consumer_misses_the_last_state_of_an_address(
        steps in prop::collection::vec(step(), 1..120),
        tombstone_count in 0..4_usize,
        tombstones in 0..200_u64,
        limit in 1..4_usize,
    ) {
        let limits = ChangeLogLimits { tombstones: Duration::from_secs(tombstones), tombstone_count };
        let (mut world, mut consumers) = (World::new(limits), Consumer::all());
        for step in &steps {
            world.step(step, &mut consumers);
        }
        world.end(&mut consumers, limit)?;
    }

    #[test]
    fn a_consumer_that_cannot_discard_holds_no_stale_session(
        steps in prop::collection::vec(step(), 1..120),
        limit in 1..4_usize,
    ) {
        let (mut world, mut consumers) = (World::new(ChangeLogLimits::default()), Consumer::all());
        consumers.iter_mut().for_each(|consumer| consumer.keeps = true);
        for step in steps.iter().filter(|step| !matches!(step, Step::Forget(_))) {
            world.step(step, &mut consumers);
        }
        world.end(&mut consumers, limit)?;
    }

    #[test]
    fn a_log_rebuilt_from_the_table_answers_like_the_lost_log(
        steps in prop::collection::vec(step(), 1..60),
        cursor in 0..60_u64,
    ) {
        let mut world = World::new(ChangeLogLimits::default());
        // An extension may be reported again; the test above shows that this is harmless.
        let reported = |step: &&Step| match step {
            Step::Apply { kind, .. } => !matches!(kind, Kind::Rekey | Kind::Login | Kind::VpnUp),
            // If the table forgets earlier than the log, more consumers need a full resync.
            Step::Pass(_) | Step::Forget(_) => false,
            Step::Disconnect => false,
            _ => true,
        };
        for (host, user) in (0..HOSTS.len()).flat_map(|host| [(host, 0), (host, 1)]) {
            world.step(&Step::Apply { kind: Kind::Login, host, user }, &mut Consumer::all());
            world.now += 1;
        }
        for step in steps.iter().filter(reported) {
            world.step(step, &mut Consumer::all());
        }
        let snapshot = world.table.snapshot(world.log.newest());
        let restored = ChangeLog::restore(world.epoch, world.limits, snapshot);
        let filter = Filter::default();
        for cursor in [None, Some(Cursor::new(world.epoch, Revision(cursor)))] {
            let now = seconds(world.now);
            let request = PageRequest { cursor, since: None, filter: &filter, limit: 100, now };
            let (mut lost, mut rebuilt) = (world.log.read(&request), restored.read(&request));
            for change in lost.changes.iter_mut().chain(&mut rebuilt.changes) {
                // The table does not record whether a session began or changed, nor by which event.
                if let (Effect::Altered, Some(session)) = (change.effect, &change.after) {
                    change.effect = Effect::Began;
                    change.cause = session.cause.clone();
                }
            }
            prop_assert_eq!(lost, rebuilt);
        }
    }
}
