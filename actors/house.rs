//! The whole house: drawn from the settings with every socket bound and every file read, then
//! built from the sink upward, changed by a reload, and drained in the other order.

mod doors;
mod outward;
mod portal;
mod staff;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::{self as config, Settings};
use rollcall_identity::{Address, Limits, MemoryJournal, Name, Rules};
use tokio::sync::watch;

use self::doors::Door;
pub use self::doors::{Listening, Obstacle};
use self::outward::Outward;
use self::portal::{Portal, close, open};
use self::staff::{Recruit, Recruits, Staff};
use crate::clock::Clock;
use crate::directory::{Book, Directories};
use crate::enforcement::{Enforcement, Points};
use crate::happenings::{Happening, Insecure};
use crate::heart::{Heart, StillBorn};
use crate::history::{Archive, History};
use crate::journal::DurableJournal;
use crate::listener::{Listener, Routes};
use crate::mailbox::{Gone, Mailbox};
use crate::producers::event_log::EventLogs;
use crate::producers::ptim::{Ptim, Pushes};
use crate::producers::{Close, Producer, Producing};
use crate::push::Targets;
use crate::rest::{Reload, ReloadReport, Rest, Token};
use crate::supervisor::{Dismiss, Hire, RollCall};
use crate::tls::addresses_of_host;
use crate::validator::Validator;

/// A house that is drawn: every socket is bound, every certificate is read, nothing runs yet.
pub struct Plan {
    settings: Settings,
    clock: Clock,
    token: Token,
    journal: Option<DurableJournal>,
    directory: Book,
    event_logs: EventLogs,
    recruits: Recruits,
    enforcement: Option<Door>,
    validator: Option<Door>,
    rest: Door,
}

/// A house in which people live.
pub struct House {
    settings: Settings,
    clock: Clock,
    heart: Heart,
    pushes: Pushes,
    ptim: (Name, Mailbox<Producing>),
    points: Arc<Points>,
    staff: Staff,
    directories: Directories,
    event_logs: EventLogs,
    outward: Outward,
    enforcement: Portal,
    validation: Arc<Validator>,
    validator: Portal,
    rest: (Door, Mailbox<Listener>),
    rest_routes: Routes,
    next_rest: Option<Door>,
    draining: watch::Sender<bool>,
}

impl Plan {
    /// Draws the house, binding and reading everything that it needs.
    ///
    /// # Errors
    /// Everything that cannot be had.
    pub fn draw(settings: Settings, clock: &Clock) -> Result<Self, Vec<Obstacle>> {
        let mut problems = Vec::new();
        let mut noted = |obstacle: Obstacle| problems.push(obstacle);
        if let Err(error) = doors::make_folder(&settings.data) {
            noted(error);
        }
        let token = doors::token(&settings.rest.token_file).map_err(&mut noted);
        let journal = doors::journal(&settings.journal, clock).map_err(&mut noted);
        let (directory, event_logs) = (Book::default(), EventLogs::default());
        let shared = (clock, &directory, &event_logs);
        let recruits = staff::draw(&settings, shared, &Staff::new(), &mut noted);
        let enforcement = Door::enforcement(&settings, clock, None).map_err(&mut noted);
        let validator = Door::validator(&settings, clock, None).map_err(&mut noted);
        let rest = Door::rest(&settings, clock, None).map_err(&mut noted);
        let doors = (enforcement, validator, rest);
        match (token, journal, doors) {
            (Ok(token), Ok(journal), (Ok(enforcement), Ok(validator), Ok(rest)))
                if problems.is_empty() =>
            {
                let clock = clock.clone();
                Ok(Self {
                    settings,
                    clock,
                    token,
                    journal,
                    directory,
                    event_logs,
                    recruits,
                    enforcement,
                    validator,
                    rest,
                })
            }
            _ => Err(problems),
        }
    }

    /// Everything that will listen, by name.
    pub fn listening(&self) -> Vec<Listening> {
        let producers = self.recruits.iter();
        let mut all: Vec<_> = producers.flat_map(|(name, r)| r.listening(name)).collect();
        let optional = self.enforcement.iter().chain(&self.validator);
        all.extend(optional.flat_map(Door::listening));
        all.extend(self.rest.listening());
        all
    }

    /// Builds the house and lets everybody in, from the sink upward. `reload` is what the REST
    /// listener calls when somebody wants the configuration read anew.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system gives no threads.
    pub async fn build(
        self,
        reload: Reload,
        prometheus: PrometheusHandle,
    ) -> Result<House, StillBorn> {
        let Self {
            settings,
            clock,
            token,
            journal,
            directory,
            event_logs,
            recruits,
            enforcement,
            validator,
            rest,
        } = self;
        let (limits, rules) = (limits(&settings.history), in_force(&settings));
        let heart = match journal {
            Some(journal) => Heart::start_with(directory, journal, rules, limits, &clock).await?,
            None => {
                let epoch = u64::try_from(clock.now().millis()).unwrap_or(0);
                let journal = MemoryJournal::new(epoch);
                Heart::start_with(directory, journal, rules, limits, &clock).await?
            }
        };
        let (draining, newest) = (watch::Sender::new(false), heart.newest.clone());
        let points = Points::new(&settings.enforcement, &settings.ptim, newest, clock.clone());
        let (points, pushes) = (Arc::new(points), Pushes::default());
        let (targets, directories) = (Targets::default(), Directories::default());
        actix::spawn(measure(Arc::clone(&points), targets.clone()));
        Insecure { listeners: &settings.insecure_listeners() }.emit();
        let told = Arc::clone(&points);
        let history = employ_history(&heart, &settings, &clock).await?;
        let rest_routes = Rest {
            history,
            query: heart.query.clone(),
            cache: heart.cache.clone(),
            supervisor: heart.supervisor.clone(),
            newest: heart.newest.clone(),
            illness: heart.illness.clone(),
            draining: draining.subscribe(),
            points: Arc::new(move || serde_json::json!(told.status())),
            directory: heart.directory.clone(),
            directories: directories.clone(),
            event_logs: event_logs.clone(),
            targets: targets.clone(),
            reload,
            prometheus,
            token,
        }
        .routes();
        let (query, directory) = (heart.query.clone(), heart.directory.clone());
        let enforcement_routes =
            Enforcement::new(Arc::clone(&points), query, pushes.clone(), directory).routes();
        let (directory, time) = (heart.directory.clone(), clock.clone());
        let validation = Arc::new(Validator::new(&settings.validator, directory, time));
        let rest_desk = open(&heart, &rest, &rest_routes, settings.drain, &clock).await?;
        let ptim = employ_ptim(&heart, &settings, &pushes, &clock).await?;
        let mut house = House {
            rest: (rest, rest_desk),
            enforcement: Portal::new(enforcement_routes),
            validator: Portal::new(validation.routes()),
            validation,
            staff: Staff::new(),
            directories,
            event_logs,
            outward: Outward::new(targets),
            settings,
            clock,
            heart,
            pushes,
            ptim,
            points,
            rest_routes,
            next_rest: None,
            draining,
        };
        let drain = house.settings.drain;
        house.heart.directory.write().expect(house.settings.active_directory.len());
        house.enforcement.settle(enforcement, &house.heart, drain, &house.clock).await?;
        house.validator.settle(validator, &house.heart, drain, &house.clock).await?;
        house.introduce(&recruits);
        for (name, recruit) in recruits {
            house.hire(name, recruit).await?;
        }
        house.outward.settle(&house.heart, &house.settings, &house.clock).await?;
        Ok(house)
    }
}

impl House {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts other settings in force: everything of them, or, when anything cannot be had, nothing.
    /// Only what changed is replaced, on the same sockets where the addresses stay. No session is
    /// lost.
    ///
    /// # Errors
    /// Everything that cannot be had.
    pub async fn reload(&mut self, settings: Settings) -> Result<ReloadReport, Vec<String>> {
        let mut report = self.compare(&settings);
        let mut problems = Vec::new();
        let mut noted = |obstacle: Obstacle| problems.push(obstacle);
        let shared = (&self.clock, &self.heart.directory, &self.event_logs);
        let recruits = staff::draw(&settings, shared, &self.staff, &mut noted);
        let (open, clock) = (self.enforcement.door(), &self.clock);
        let enforcement = Door::enforcement(&settings, clock, open).map_err(&mut noted);
        let open = self.validator.door();
        let validator = Door::validator(&settings, clock, open).map_err(&mut noted);
        let rest = Door::rest(&settings, &self.clock, Some(&self.rest.0)).map_err(&mut noted);
        let (Ok(enforcement), Ok(validator), Ok(rest), true) =
            (enforcement, validator, rest, problems.is_empty())
        else {
            return Err(problems.iter().map(ToString::to_string).collect());
        };
        let gone = staff::gone(&settings, &self.staff);
        if self.ptim.0 != settings.ptim.name {
            // What is pushed meanwhile is told to come again: no push is received under one name
            // and decided under another.
            self.dismiss(self.ptim.0.as_str(), &self.ptim.1, self.settings.drain).await;
        }
        self.heart.rules.store(Arc::new(in_force(&settings)));
        self.points.govern(&settings.enforcement, &settings.ptim);
        self.validation.govern(&settings.validator);
        Insecure { listeners: &settings.insecure_listeners() }.emit();
        self.settings = settings;
        let done = self.replace(gone, recruits, (enforcement, validator, rest), &mut report).await;
        done.map(|()| report).map_err(|error| vec![error.to_string()])
    }

    /// What differs, by section, and what of it waits for a restart of the server.
    fn compare(&self, new: &Settings) -> ReloadReport {
        let old = &self.settings;
        let differs = [
            ("data", old.data != new.data),
            ("drain", old.drain != new.drain),
            ("rules", old.rules != new.rules),
            ("history", old.history != new.history),
            ("journal", old.journal != new.journal),
            ("syslog", old.syslog != new.syslog),
            ("active_directory", old.active_directory != new.active_directory),
            ("event_log", old.event_log != new.event_log),
            ("ptim", old.ptim != new.ptim),
            ("enforcement", old.enforcement != new.enforcement),
            ("validator", old.validator != new.validator),
            ("push", old.push != new.push),
            ("rest", old.rest != new.rest),
            ("rest.token_file", old.rest.token_file != new.rest.token_file),
            ("log", old.log != new.log),
        ];
        let names = |wanted: &[&str]| -> Vec<String> {
            let differs =
                differs.iter().filter(|(name, differs)| *differs && wanted.contains(name));
            differs.map(|(name, _)| (*name).to_owned()).collect()
        };
        let waits: &[&str] = &["data", "history", "journal", "log", "rest.token_file"];
        ReloadReport {
            changed: differs
                .iter()
                .filter(|(_, d)| *d)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            restarted: Vec::new(),
            after_restart: names(waits),
        }
    }

    async fn replace(
        &mut self,
        gone: Vec<Name>,
        recruits: Recruits,
        (enforcement, validator, rest): (Option<Door>, Option<Door>, Door),
        report: &mut ReloadReport,
    ) -> Result<(), Gone> {
        if self.ptim.0 != self.settings.ptim.name {
            let (heart, settings) = (&self.heart, &self.settings);
            self.ptim = employ_ptim(heart, settings, &self.pushes, &self.clock).await?;
            report.restarted.push(self.ptim.0.to_string());
        }
        for name in gone {
            if let Some(employed) = self.staff.remove(&name) {
                self.dismiss(name.as_str(), &employed.desk, self.settings.drain).await;
                employed.forget(&self.heart.directory).await;
                self.directories.remove(&name);
                self.event_logs.remove(&name);
                report.restarted.push(name.to_string());
            }
        }
        // All of them go before the first comes: two directories may have exchanged their domains,
        // and what one has just read must not be forgotten for the other.
        for (name, recruit) in &recruits {
            if let Some(employed) = self.staff.remove(name) {
                self.dismiss(name.as_str(), &employed.desk, self.settings.drain).await;
                if !employed.reads_what_is_read_by(recruit) {
                    employed.forget(&self.heart.directory).await;
                }
            }
        }
        self.introduce(&recruits);
        self.heart.directory.write().expect(self.settings.active_directory.len());
        for (name, recruit) in recruits {
            report.restarted.push(name.to_string());
            self.hire(name, recruit).await?;
        }
        let told = self.outward.settle(&self.heart, &self.settings, &self.clock).await?;
        report.restarted.extend(told);
        let (heart, clock, drain) = (&self.heart, &self.clock, self.settings.drain);
        if self.enforcement.settle(enforcement, heart, drain, clock).await? {
            report.restarted.push("enforcement".to_owned());
        }
        if self.validator.settle(validator, heart, drain, clock).await? {
            report.restarted.push("validator".to_owned());
        }
        if !self.rest.0.is_like(&rest) {
            report.restarted.push("rest".to_owned());
            self.next_rest = Some(rest);
        }
        Ok(())
    }

    /// Replaces the REST listener, if the last reload changed it. Apart from [`House::reload`],
    /// because whoever asked for that by REST must be answered before its listener can close.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn settle(&mut self) -> Result<(), Gone> {
        if let Some(rest) = self.next_rest.take() {
            // The live streams end, and come back to the new listener.
            self.draining.send_replace(true);
            close(&self.heart, "rest", &self.rest.1, self.settings.drain).await;
            self.draining.send_replace(false);
            let (routes, drain) = (&self.rest_routes, self.settings.drain);
            let desk = open(&self.heart, &rest, routes, drain, &self.clock).await?;
            self.rest = (rest, desk);
        }
        Ok(())
    }

    /// Enters those who are to be hired where one asks how they are: all before the first begins,
    /// for event logs ask after one another.
    fn introduce(&self, recruits: &Recruits) {
        for (name, recruit) in recruits {
            if let Some(directory) = recruit.directory() {
                self.directories.put(name.clone(), Arc::clone(directory));
            }
            if let Some(log) = recruit.event_log() {
                self.event_logs.put(log);
            }
        }
    }

    async fn hire(&mut self, name: Name, recruit: Recruit) -> Result<(), Gone> {
        let desk = employ(&self.heart, name.as_str(), recruit.producer(), &self.clock).await?;
        self.staff.insert(name, recruit.at(desk));
        Ok(())
    }

    /// Lets a producer hand over what it has, within `limit`, and ends it.
    async fn dismiss(&self, name: &str, desk: &Mailbox<Producing>, limit: Duration) {
        // One that is late or gone has nothing to hand over; what it held is counted as dropped.
        let _ = tokio::time::timeout(limit, desk.send(Close)).await;
        let _ = self.heart.supervisor.send(Dismiss(name.to_owned())).await;
    }

    /// Whether the supervisor is there, without whom nobody is replaced.
    pub async fn is_watched(&self) -> bool {
        self.heart.supervisor.send(RollCall).await.is_ok()
    }

    /// Drains the house: producers first, then those who answer, and what decides last of all. It
    /// takes no longer than the configured time in all.
    ///
    /// # Errors
    /// When the time was over before everybody had gone.
    pub async fn drain(self) -> Result<(), Late> {
        self.draining.send_replace(true);
        let limit = self.settings.drain;
        tokio::time::timeout(limit, self.leave()).await.map_err(|_| Late(limit))
    }

    async fn leave(mut self) {
        let mut budget = Budget(self.settings.drain);
        let limit = budget.spend();
        let producers = self.staff.iter();
        let producers = producers.map(|(name, e)| self.dismiss(name.as_str(), &e.desk, limit));
        join_all(producers).await;
        self.enforcement.close(&self.heart, budget.spend()).await;
        self.validator.close(&self.heart, budget.spend()).await;
        self.dismiss(self.ptim.0.as_str(), &self.ptim.1, budget.spend()).await;
        self.outward.leave(&self.heart, budget.spend()).await;
        close(&self.heart, "rest", &self.rest.1, budget.spend()).await;
        // Nobody is there any more who could ask it.
        let _ = self.heart.supervisor.send(Dismiss("history".to_owned())).await;
        self.heart.stop().await;
    }
}

/// The time of the drain. Each step may take half of what the steps before could leave, so that
/// none takes it all.
struct Budget(Duration);

impl Budget {
    fn spend(&mut self) -> Duration {
        self.0 /= 2;
        self.0
    }
}

/// The drain's time was over.
#[derive(Debug, thiserror::Error)]
#[error("not everybody had finished within {0:?}")]
pub struct Late(Duration);

/// The rules of the settings, on this machine.
pub fn in_force(settings: &Settings) -> Rules {
    let own_addresses = addresses_of_host().into_iter().map(Address::new).collect();
    Rules { own_addresses, ..settings.rules.clone() }
}

/// How often the lag of enforcement points and push targets is measured: it grows while they do not
/// ask or answer.
const MEASURING: Duration = Duration::from_secs(5);

async fn measure(points: Arc<Points>, targets: Targets) {
    loop {
        points.measure_lag();
        targets.measure_lag();
        tokio::time::sleep(MEASURING).await;
    }
}

fn limits(history: &config::History) -> Limits {
    Limits { tombstones: history.tombstones, tombstone_count: history.tombstone_count }
}

async fn employ_ptim(
    heart: &Heart,
    settings: &Settings,
    pushes: &Pushes,
    clock: &Clock,
) -> Result<(Name, Mailbox<Producing>), Gone> {
    let name = settings.ptim.name.clone();
    let producer: Arc<dyn Producer> = Arc::new(Ptim::new(pushes.clone()));
    let desk = employ(heart, name.as_str(), producer, clock).await?;
    Ok((name, desk))
}

/// Hires who tells of the past, where the journal keeps any.
async fn employ_history(
    heart: &Heart,
    settings: &Settings,
    clock: &Clock,
) -> Result<Option<Mailbox<History>>, Gone> {
    if settings.journal.kind == config::JournalKind::Memory {
        return Ok(None);
    }
    let desk = Mailbox::<History>::new("history", clock.clone());
    let (folder, retention) = (settings.journal.folder.clone(), settings.journal.retention);
    let (rules, clock) = (Arc::clone(&heart.rules), clock.clone());
    let archive = Archive { folder, rules, retention, clock };
    let hired = move || History::new(archive.clone());
    heart.supervisor.send(Hire::new(desk.clone(), hired)).await?;
    Ok(Some(desk))
}

async fn employ(
    heart: &Heart,
    name: &str,
    producer: Arc<dyn Producer>,
    clock: &Clock,
) -> Result<Mailbox<Producing>, Gone> {
    let desk = Mailbox::<Producing>::new(name, clock.clone());
    let (own, cache, illness) = (desk.clone(), heart.cache.clone(), heart.illness.clone());
    let hired = move || {
        let producing = Producing::new(Arc::clone(&producer), own.clone(), cache.clone());
        producing.heeding(illness.clone())
    };
    heart.supervisor.send(Hire::new(desk.clone(), hired)).await?;
    Ok(desk)
}

#[cfg(test)]
mod tests;
