//! Whatever happens between their reads, consumers end with what the table holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::test_support::{address, event_at, membership_event, origin, rules, seconds};
use crate::{Event, Filter, Glob, Kind, Producer, Rules, Table};

const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "2001:db8::1"];
const USERS: [&str; 5] = ["alice@corp", "bob@corp", "alice@lab", "carol@home", "alice"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// An event is folded and its change logged.
    Fold { kind: Kind, host: usize, user: usize },
    /// A directory says that whoever is there is this user, in this group.
    Learn { host: usize, user: usize, group: &'static str },
    /// Time passes, in seconds.
    Pass(i64),
    /// Rollcall asks which sessions are due, and folds the expiries.
    Expire,
    /// A consumer reads one page.
    Read { consumer: usize, limit: usize },
    /// The log is lost and made anew from the table.
    RestoreLog,
    /// The table is lost and made anew from the log.
    RestoreTable,
    /// The table forgets the ends that are older than so many seconds.
    Forget(i64),
    /// The log is made anew in another life of the journal.
    Renew,
    /// From now on the log hears of nothing.
    Deafen,
    /// The log is told what it missed.
    CatchUp,
}

fn step() -> impl Strategy<Value = Step> {
    let kinds =
        vec![Kind::Login, Kind::VpnUp, Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::DeviceSeen];
    prop_oneof![
        8 => (prop::sample::select(kinds), 0..HOSTS.len(), 0..USERS.len())
            .prop_map(|(kind, host, user)| Step::Fold { kind, host, user }),
        3 => (0..HOSTS.len(), 0..USERS.len(), prop::sample::select(vec!["", "sales"]))
            .prop_map(|(host, user, group)| Step::Learn { host, user, group }),
        2 => (1..60_i64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
        4 => (0..5_usize, 0..4_usize).prop_map(|(consumer, limit)| Step::Read { consumer, limit }),
        1 => Just(Step::RestoreLog),
        1 => Just(Step::RestoreTable),
        1 => (0..100_i64).prop_map(Step::Forget),
        1 => Just(Step::Renew),
        1 => Just(Step::Deafen),
        1 => Just(Step::CatchUp),
    ]
}

/// A firewall: a filter, a cursor, and what it was told.
#[derive(Debug, Default)]
struct Consumer {
    filter: Filter,
    cursor: Option<Cursor>,
    /// It has no way to throw away what it holds, like an SRX.
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

    /// Reads one page; says whether there is more.
    fn read(&mut self, log: &ChangeLog, limit: usize, now: Timestamp) -> bool {
        let cursor = self.cursor.map(|cursor| cursor.to_string().parse().unwrap());
        let page = log.read(&PageRequest { cursor, since: None, filter: &self.filter, limit, now });
        if page.resync && !self.keeps {
            self.holds.clear();
        }
        assert!(page.changes.len() <= limit.max(1));
        for change in &page.changes {
            match &change.after {
                Some(session) => self.holds.insert(change.address, shown(session)),
                None => self.holds.remove(&change.address),
            };
            // What the filter keeps away is not told in passing, either.
            assert!(change.session().is_none_or(|session| self.filter.admits(session)));
        }
        self.cursor = Some(page.next);
        page.more
    }
}

fn shown(session: &Session) -> String {
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
    deaf: bool,
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
            deaf: false,
        }
    }

    fn catch_up(&mut self) {
        self.deaf = false;
        for change in self.table.snapshot(Revision(self.revision)).changes_since(self.log.newest())
        {
            self.log.apply(&change, seconds(self.now));
        }
    }

    fn restore_log(&mut self) {
        self.deaf = false;
        let snapshot = self.table.snapshot(Revision(self.revision));
        self.log = ChangeLog::restore(self.epoch, self.limits, snapshot);
    }

    /// The last logoff times pass, everybody reads all, and holds what is true.
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
                .map(|session| (session.address, shown(session)))
                .collect();
            prop_assert_eq!(&consumer.holds, &truth);
        }
        prop_assert_eq!(self.log.len(), self.table.len());
        for session in self.table.sessions() {
            prop_assert_eq!(self.log.get(session.address, now), Some(session));
        }
        Ok(())
    }

    fn fold(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &self.rules);
        if let Some(change) = decision.change.filter(|_| !self.deaf) {
            self.log.apply(&change, seconds(self.now));
        }
    }

    fn expire(&mut self) {
        for event in
            self.table.due_expiries(seconds(self.now), &origin(Producer::Cache), usize::MAX)
        {
            self.fold(&event);
        }
    }

    fn step(&mut self, step: &Step, consumers: &mut [Consumer]) {
        match *step {
            Step::Fold { kind, host, user } => {
                let text = if kind == Kind::DeviceSeen { "<pc1>" } else { USERS[user] };
                let place = address(HOSTS[host]);
                self.fold(&Event { address: place, ..event_at(kind, text, self.now) });
            }
            Step::Learn { host, user, group } => {
                let place = address(HOSTS[host]);
                let there = self.table.get(place).and_then(|there| there.principal.clone());
                let text = if there.is_some() { USERS[user] } else { "<pc1>" };
                let formerly = there.map(Box::new);
                let event = membership_event(text, group, self.now);
                self.fold(&Event { address: place, renamed_from: formerly, ..event });
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
                // Nobody is deaf for the quarter of an hour for which ends are remembered.
                self.catch_up();
                self.table.forget_before(seconds(self.now - age));
            }
            Step::Renew => {
                self.epoch += 1;
                self.restore_log();
            }
            Step::Deafen => self.deaf = true,
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
    fn one_that_cannot_begin_from_nothing_holds_no_one_who_left(
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
    fn a_log_from_the_table_answers_like_the_log_that_was_lost(
        steps in prop::collection::vec(step(), 1..60),
        cursor in 0..60_u64,
    ) {
        let mut world = World::new(ChangeLogLimits::default());
        // An extension alone may be told once more: that is shown to be harmless above.
        let told = |step: &&Step| match step {
            Step::Fold { kind, .. } => !matches!(kind, Kind::Rekey | Kind::Login | Kind::VpnUp),
            // What the table forgets sooner than the log, more consumers begin anew for.
            Step::Pass(_) | Step::Forget(_) => false,
            Step::Deafen => false,
            _ => true,
        };
        for (host, user) in (0..HOSTS.len()).flat_map(|host| [(host, 0), (host, 1)]) {
            world.step(&Step::Fold { kind: Kind::Login, host, user }, &mut Consumer::all());
            world.now += 1;
        }
        for step in steps.iter().filter(told) {
            world.step(step, &mut Consumer::all());
        }
        let snapshot = world.table.snapshot(world.log.newest());
        let restored = ChangeLog::restore(world.epoch, world.limits, snapshot);
        let filter = Filter::default();
        for cursor in [None, Some(Cursor::new(world.epoch, Revision(cursor)))] {
            let now = seconds(world.now);
            let request = PageRequest { cursor, since: None, filter: &filter, limit: 100, now };
            let (mut lost, mut anew) = (world.log.read(&request), restored.read(&request));
            for change in lost.changes.iter_mut().chain(&mut anew.changes) {
                // The table does not keep whether it began or was altered, nor by what.
                if let (Effect::Altered, Some(session)) = (change.effect, &change.after) {
                    change.effect = Effect::Began;
                    change.cause = session.cause.clone();
                }
            }
            prop_assert_eq!(lost, anew);
        }
    }
}
