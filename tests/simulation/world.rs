//! The world: a random number chooses the next step. Time passes, clocks are set, disks fail, and the
//! process or the power ends during any step.

mod recovery;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rollcall_identity::engine::EngineRole;
use rollcall_identity::{
    Authority, Kind, Revision, Rules, SharedAddressRule, SteadyClock, Timestamp,
};

use super::LOGOFF;
use super::consumers::Firewall;
use super::directory::DirectorySource;
use super::disk::Disk;
use super::faults::Fault;
use super::server::{Answer, Batch, Server, Ticket};
use super::sources::{Site, Transport};
use super::store::Store;
use super::targets::{LogView, Target};
use super::truth::{Broken, Kept, Promise, Said, Truth};
use crate::harness::SeededRng;

/// The number of steps before all faults are over.
const STEPS: usize = 600;

/// The maximum number of rounds until the world is idle. In a round, every part does its pending work.
const ROUNDS: usize = 2000;

/// 2026-11-21T19:50:00Z.
const START: i64 = 1_795_290_600_000;

/// The world.
pub(super) struct World {
    pub(super) chance: SeededRng,
    fault: Option<Fault>,
    rules: Arc<Rules>,
    pub(super) directory: DirectorySource,
    /// The true time.
    pub(super) now: Timestamp,
    /// The difference of the machine's clock to the true time, in milliseconds.
    set_ahead: i64,
    clock: SteadyClock,
    pub(super) server: Option<Server>,
    pub(super) sites: Vec<Site>,
    tickets: Vec<u64>,
    /// The sites whose producers have lost their read position.
    pub(super) lost: BTreeSet<usize>,
    pub(super) firewall: Firewall,
    pub(super) targets: Vec<Target>,
    pub(super) truth: Truth,
    pub(super) acknowledged: BTreeSet<Said>,
    /// The newest position that a consumer or producer has received.
    pub(super) newest_reported: Revision,
    /// The newest position in a receipt.
    answered: Revision,
    /// The position up to which the reference model is applied.
    true_to: Revision,
    pub(super) epoch: u64,
    pub(super) crashes: u64,
}

fn rules(sites: &[Site]) -> Rules {
    let kinds = vec![Kind::Login, Kind::Logout, Kind::Refresh];
    let authority = Authority {
        max_age: Some(Duration::from_secs(24 * 3600)),
        ..Authority::unrestricted(kinds)
    };
    let sharing = SharedAddressRule { max_users_per_minute: 0, ..SharedAddressRule::default() };
    let mut rules = Rules { logoff_time: LOGOFF, shared_addresses: sharing, ..Rules::default() };
    for site in sites {
        let key = (site.origin.producer.clone(), site.origin.client.clone());
        rules.authorities.insert(key, authority.clone());
    }
    rules
}

impl World {
    /// The world of this seed, with this mistake in its server.
    pub(super) fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut chance = SeededRng::new(seed);
        let manners =
            [Transport::Read, Transport::Pushed, Transport::Pushed, Transport::Unacknowledged];
        let sites: Vec<Site> =
            manners.into_iter().zip(1..).map(|(transport, n)| Site::new(transport, n)).collect();
        let mut truth = Truth::default();
        let newest_reported =
            sites.iter().filter(|site| site.transport == Transport::Unacknowledged);
        newest_reported.flat_map(Site::addresses).for_each(|address| truth.may_lose(*address));
        let rules = Arc::new(rules(&sites));
        let now = Timestamp::from_millis(START);
        let epoch = START.unsigned_abs();
        let disk = Disk::new(SeededRng::new(chance.below(u64::MAX)));
        let store = Store::new(disk, epoch, fault);
        let directory = DirectorySource::new();
        let server = Server::start(store, (Arc::clone(&rules), &directory, now), fault).ok();
        let width = 1 + chance.below(4) as usize;
        Self {
            chance,
            fault,
            rules,
            directory,
            now,
            set_ahead: 0,
            clock: SteadyClock::new(now, Duration::ZERO),
            server,
            tickets: vec![0; sites.len()],
            lost: BTreeSet::new(),
            sites,
            firewall: Firewall::default(),
            targets: vec![Target::edge(width), Target::clear_pass()],
            truth,
            acknowledged: BTreeSet::new(),
            newest_reported: Revision(0),
            answered: Revision(0),
            true_to: Revision(0),
            epoch,
            crashes: 0,
        }
    }

    /// Runs all steps, and returns the first violated property.
    pub(super) fn run(&mut self) -> Kept {
        for _ in 0..STEPS {
            self.step()?;
            if self.server().store.disk.is_dead() {
                self.crash()?;
            }
        }
        self.server().store.disk.is_ill = false;
        self.set_ahead = 0;
        self.rest()?;
        // A proposal that was lost is proposed again within a minute.
        self.pass(Duration::from_secs(61));
        self.rest()?;
        self.lose_content();
        for _ in 0..12 {
            self.generate_event();
        }
        self.rest()?;
        self.stop_and_start()
    }

    fn step(&mut self) -> Kept {
        match self.chance.below(121) {
            0..18 => self.generate_event(),
            18..36 => self.send(),
            46..56 => drop(self.write()),
            36..46 | 56..68 => drop(self.fold()?),
            68..78 => drop(self.show()?),
            78..82 => drop(self.tend()),
            82..86 => drop(self.server().store.keep()),
            86..90 => drop(self.expire()),
            90..95 => drop(self.poll()),
            95..104 => drop(self.push()?),
            104..107 => {
                let millis = 1 + self.chance.below(2500);
                self.pass(Duration::from_millis(millis));
            }
            107 => {
                let operations = self.chance.below(8);
                self.server().store.disk.light(operations);
            }
            108 if self.chance.once_in(3) => self.crash()?,
            109 => {
                let is_ill = self.chance.once_in(3);
                self.server().store.disk.is_ill = is_ill;
            }
            110 => {
                // Between four hours and a week, or correct again.
                let hours = 4 + self.chance.below(164);
                let far = i64::try_from(hours).unwrap_or(4) * 3_600_000;
                self.set_ahead = [0, 0, far, -far][self.chance.below(4) as usize];
            }
            111 if self.chance.once_in(3) => self.lose_content(),
            112 => self.replace()?,
            113..116 => drop(self.start_actors()?),
            116..118 => {
                let table = self.server.as_ref().and_then(Server::table);
                self.directory.change(table, &mut self.chance);
            }
            118..121 => drop(self.update_memberships()),
            _ => {}
        }
        self.answer()
    }

    /// A push target loses its state.
    fn lose_content(&mut self) {
        let at = self.chance.below(self.targets.len() as u64) as usize;
        self.targets[at].lose_content();
    }

    /// An actor ends or hangs, or its request times out.
    fn replace(&mut self) -> Kept {
        let now = self.clock().0;
        match self.chance.below(6) {
            0 => drop(self.server().end_actor(EngineRole::Cache)),
            1 => drop(self.server().end_actor(EngineRole::Query)),
            2 => {
                self.server().end_actor(EngineRole::Cache);
                self.server().end_actor(EngineRole::Query);
            }
            3 => self.server().hang_cache(now)?,
            4 => drop(self.server().time_out()),
            _ => {
                let at = self.chance.below(self.targets.len() as u64) as usize;
                self.targets[at].replace_actor(&mut self.chance);
            }
        }
        Ok(())
    }

    /// Actors that do not run are started, and hung actors continue.
    fn start_actors(&mut self) -> Result<bool, Broken> {
        let now = self.clock().0;
        let server = self.server();
        let resumed = server.resume_hung()?;
        Ok(server.start_actors(now) | resumed)
    }

    pub(super) fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("it is started again after every crash")
    }

    /// The clock of the server, and that of the machine.
    pub(super) fn clock(&mut self) -> (Timestamp, Timestamp) {
        let wall = Timestamp::from_millis(self.now.millis() + self.set_ahead);
        let running = self.now.since(Timestamp::from_millis(START));
        (self.clock.read(wall, running).0, wall)
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.clock();
    }

    /// Something happens at a site.
    fn generate_event(&mut self) {
        self.pass(Duration::from_millis(1));
        let site = self.chance.below(self.sites.len() as u64) as usize;
        self.sites[site].generate_event(&mut self.chance, self.now, &mut self.truth);
    }

    fn send(&mut self) {
        let site = self.chance.below(self.sites.len() as u64) as usize;
        self.send_from(site);
    }

    /// A producer sends its next batch, or repeats one without an answer.
    fn send_from(&mut self, site: usize) -> bool {
        if self.lost.contains(&site) {
            let asks = self.server().request_position(site);
            if asks {
                self.lost.remove(&site);
            }
            return asks;
        }
        let (seen, _) = self.clock();
        let again = self.sites[site].waiting.is_some();
        let next = self.sites[site].next(&mut self.chance, (seen, self.fault));
        let Some((events, read)) = next else { return false };
        self.tickets[site] += u64::from(!again);
        let ticket = Ticket { site, number: self.tickets[site], events: events.len() as u64 };
        self.server().receive(Batch { events, read, ticket });
        true
    }

    fn write(&mut self) -> bool {
        let most = 1 + self.chance.below(3) as usize;
        self.server().write(most)
    }

    fn fold(&mut self) -> Result<bool, Broken> {
        self.catch_up()?;
        let clocks = self.clock();
        let (now, truth) = (self.now, &mut self.truth);
        let server = self.server.as_mut().expect("it is started again after every crash");
        server.set_clock(clocks);
        let folded = server.step_cache(&mut |event, table| {
            truth.fold(event, now)?;
            truth.compare(table)
        })?;
        self.true_to = server.applied().unwrap_or(self.true_to);
        Ok(folded)
    }

    /// After a takeover, the table includes events that the reference model does not have yet.
    fn catch_up(&mut self) -> Kept {
        let Some(folded) = self.server().applied() else { return Ok(()) };
        if folded == self.true_to {
            return Ok(());
        }
        let goes_on = folded > self.true_to;
        let last = self.true_to;
        Promise::Revisions.unless(goes_on, || format!("the table fell from {last} to {folded}"))?;
        let (now, history) = (self.now, self.server().store.disk.history());
        let missed = history.iter().filter(|(at, _)| *at > last && *at <= folded);
        for (_, event) in missed {
            self.truth.fold(event, now)?;
        }
        self.true_to = folded;
        let server = self.server.as_ref().expect("it is started again after every crash");
        server.table().map_or(Ok(()), |table| self.truth.compare(table))
    }

    /// The reference model is applied up to this position.
    pub(super) fn knows_to(&mut self, revision: Revision) {
        self.true_to = revision;
    }

    fn show(&mut self) -> Result<bool, Broken> {
        let (now, _) = self.clock();
        self.server().step_query(now)
    }

    fn tend(&mut self) -> bool {
        let (now, _) = self.clock();
        self.server().maintain(now)
    }

    fn expire(&mut self) -> bool {
        let clocks = self.clock();
        self.server().tick(clocks)
    }

    fn poll(&mut self) -> bool {
        let (now, _) = self.clock();
        let server = self.server.as_mut().expect("it is started again after every crash");
        // While the query actor is replaced, the firewall retries later.
        let Some(log) = server.log() else { return false };
        let more = self.firewall.poll(log, now, &mut self.chance);
        self.newest_reported = self.newest_reported.max(self.firewall.newest_position());
        more
    }

    fn push(&mut self) -> Result<bool, Broken> {
        let (now, _) = self.clock();
        let server = self.server.as_ref().expect("it is started again after every crash");
        let view = LogView { log: server.log(), visible: server.visible, now };
        let mut stepped = false;
        for target in &mut self.targets {
            stepped |= target.step(&view, (&mut self.chance, self.fault));
            stepped |= !target.is_idle();
            self.newest_reported = self.newest_reported.max(target.newest_position());
        }
        Ok(stepped)
    }

    /// The directory submits its next update, for the first time or again.
    fn update_memberships(&mut self) -> bool {
        let update = self.directory.next_update();
        update.map(|update| self.server().update_membership(update)).is_some()
    }

    /// Producers get their answers, unless an answer is lost.
    fn answer(&mut self) -> Kept {
        while let Some(Answer { site, ticket, taken }) = self.server().answers.pop_front() {
            let transport = self.sites[site].transport;
            let is_lost = transport != Transport::Read && self.chance.once_in(6);
            if is_lost || ticket != self.tickets[site] || transport == Transport::Unacknowledged {
                continue;
            }
            match (transport, taken) {
                (Transport::Pushed, None) => continue,
                (Transport::Read, None) => {
                    self.lost.insert(site);
                    continue;
                }
                (_, Some(revision)) => {
                    let events = self.sites[site].waiting.take().unwrap_or_default();
                    let (goes_on, last) =
                        (revision > self.answered || events.is_empty(), self.answered);
                    Promise::Revisions.unless(goes_on, || format!("{revision} after {last}"))?;
                    self.answered = self.answered.max(revision);
                    self.acknowledged.extend(events.iter().map(Said::of));
                    self.newest_reported = self.newest_reported.max(revision);
                }
                (_, None) => self.sites[site].waiting = None,
            }
            if transport == Transport::Read {
                self.sites[site].place = self.place(site);
            }
        }
        while let Some(number) = self.server().updated.pop_front() {
            self.directory.confirm(number);
        }
        while let Some(site) = self.server().places.pop_front() {
            self.sites[site].waiting = None;
            self.sites[site].place = self.place(site);
        }
        Ok(())
    }
}
