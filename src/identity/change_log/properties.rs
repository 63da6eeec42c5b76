//! Whatever happens between their reads, consumers end with what the table holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::stories::{address, origin, rules, saw, seconds};
use crate::{Event, Filter, Glob, Kind, Producer, Rules, Table};

const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "2001:db8::1"];
const USERS: [&str; 5] = ["alice@corp", "bob@corp", "alice@lab", "carol@home", "alice"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// An event is folded and its change logged.
    Fold { kind: Kind, host: usize, user: usize },
    /// Time passes, in seconds.
    Pass(i64),
    /// Rollcall asks which sessions are due, and folds the expiries.
    Expire,
    /// A consumer reads one page.
    Read { consumer: usize, limit: usize },
    /// The log is lost and made anew from the sessions.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let kinds =
        vec![Kind::Login, Kind::VpnUp, Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::DeviceSeen];
    prop_oneof![
        8 => (prop::sample::select(kinds), 0..HOSTS.len(), 0..USERS.len())
            .prop_map(|(kind, host, user)| Step::Fold { kind, host, user }),
        2 => (1..60_i64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
        4 => (0..5_usize, 0..4_usize).prop_map(|(consumer, limit)| Step::Read { consumer, limit }),
        1 => Just(Step::Restore),
    ]
}

/// A firewall: a filter, a cursor, and what it was told.
#[derive(Debug, Default)]
struct Consumer {
    filter: Filter,
    cursor: Option<Cursor>,
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
        let page = log.read(&Request { cursor, since: None, filter: &self.filter, limit, now });
        if page.resync {
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
    format!("{:?} {:?}", session.principal.as_ref().map(ToString::to_string), session.device)
}

struct World {
    table: Table,
    log: ChangeLog,
    limits: Limits,
    rules: Rules,
    revision: u64,
    now: i64,
}

impl World {
    fn fold(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &self.rules);
        if let Some(change) = decision.change {
            self.log.apply(&change, seconds(self.now));
        }
    }

    fn expire(&mut self) {
        for event in self.table.due(seconds(self.now), &origin(Producer::Cache), usize::MAX) {
            self.fold(&event);
        }
    }

    fn step(&mut self, step: &Step, consumers: &mut [Consumer]) {
        match *step {
            Step::Fold { kind, host, user } => {
                let text = if kind == Kind::DeviceSeen { "<pc1>" } else { USERS[user] };
                let place = address(HOSTS[host]);
                self.fold(&Event { address: place, ..saw(kind, text, self.now) });
            }
            Step::Pass(time) => self.now += time,
            Step::Expire => self.expire(),
            Step::Read { consumer, limit } => {
                consumers[consumer].read(&self.log, limit, seconds(self.now));
            }
            Step::Restore => {
                let sessions = self.table.sessions().cloned();
                self.log = ChangeLog::restore(7, self.limits, Revision(self.revision), sessions);
            }
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
        let limits = Limits { tombstones: Duration::from_secs(tombstones), tombstone_count };
        let rules = Rules { logoff_time: Duration::from_secs(150), ..rules() };
        let log = ChangeLog::new(7, limits);
        let mut world = World { table: Table::default(), log, limits, rules, revision: 0, now: 0 };
        let mut consumers = Consumer::all();
        for step in &steps {
            world.step(step, &mut consumers);
        }
        world.now += 60;
        world.expire();
        let now = seconds(world.now);
        for consumer in &mut consumers {
            while consumer.read(&world.log, limit, now) {}
            let truth: BTreeMap<_, _> = world
                .table
                .sessions()
                .filter(|session| session.alive_at(now) && consumer.filter.admits(session))
                .map(|session| (session.address, shown(session)))
                .collect();
            prop_assert_eq!(&consumer.holds, &truth);
        }
        prop_assert_eq!(world.log.len(), world.table.len());
        for session in world.table.sessions() {
            prop_assert_eq!(world.log.get(session.address, now), Some(session));
        }
    }
}
