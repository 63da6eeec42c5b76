//! The whole house: drawn from the settings with every socket bound and every file read, then
//! built from the sink upward, changed by a reload, and drained in the other order.

mod changing;
mod doors;
mod hiring;
mod leaving;
pub mod metrics;
mod outward;
mod portal;
mod staff;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::{self as config, Settings};
use rollcall_identity::{Address, ChangeLogLimits, MemoryJournal, Name, Rules};
use tokio::sync::watch;

use self::doors::{Before, Door, Doors};
pub use self::doors::{Listening, Obstacle};
use self::hiring::{employ_history, employ_ptim};
pub use self::leaving::Late;
use self::outward::Outward;
use self::portal::{Portal, open};
use self::staff::{Recruits, Staff};
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::{Engine, StartError};
use rollcall_http::enforcement::{Enforcement, Points};
use rollcall_http::listener::{Listener, Routes};
use rollcall_http::rest::{Reload, Rest, Token};
use rollcall_http::telemetry::Insecure;
use rollcall_http::validator::Validator;
use rollcall_journal::DurableJournal;
use rollcall_producers::Producing;
use rollcall_producers::active_directory::registry::Directories;
use rollcall_producers::event_log::EventLogs;
use rollcall_producers::ptim::Pushes;
use rollcall_push::Targets;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::ListActors;
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::tls::addresses_of_host;

/// A house that is drawn: every socket is bound, every certificate is read, nothing runs yet.
pub struct Plan {
    settings: Settings,
    clock: Clock,
    token: Token,
    journal: Option<DurableJournal>,
    directory: SharedDirectory,
    event_logs: EventLogs,
    recruits: Recruits,
    doors: Doors,
}

/// A house in which people live.
pub struct House {
    settings: Settings,
    clock: Clock,
    engine: Engine,
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
        let (directory, event_logs) = (SharedDirectory::default(), EventLogs::default());
        let shared = (clock, &directory, &event_logs);
        let recruits = staff::draw(&settings, shared, &Staff::new(), &mut noted);
        let doors = Doors::bind(&settings, Before::default(), &mut noted);
        match (token, journal, doors) {
            (Ok(token), Ok(journal), Some(doors)) if problems.is_empty() => {
                let doors = doors.certify(clock).map_err(|obstacle| vec![obstacle])?;
                let clock = clock.clone();
                Ok(Self { settings, clock, token, journal, directory, event_logs, recruits, doors })
            }
            _ => Err(problems),
        }
    }

    /// Everything that will listen, by name.
    pub fn listening(&self) -> Vec<Listening> {
        let producers = self.recruits.iter();
        let mut all: Vec<_> = producers.flat_map(|(name, r)| r.listening(name)).collect();
        let Doors { enforcement, validator, rest } = &self.doors;
        let doors = enforcement.iter().chain(validator).chain([rest]);
        all.extend(doors.flat_map(Door::listening));
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
    ) -> Result<House, StartError> {
        let Self {
            settings,
            clock,
            token,
            journal,
            directory,
            event_logs,
            recruits,
            doors: Doors { enforcement, validator, rest },
        } = self;
        let (limits, rules) = (limits(&settings.history), in_force(&settings));
        let engine = match journal {
            Some(journal) => Engine::start_with(directory, journal, rules, limits, &clock).await?,
            None => {
                let epoch = u64::try_from(clock.now().millis()).unwrap_or(0);
                let journal = MemoryJournal::new(epoch);
                Engine::start_with(directory, journal, rules, limits, &clock).await?
            }
        };
        let (draining, newest) = (watch::Sender::new(false), engine.newest.clone());
        let points = Points::new(&settings.enforcement, &settings.ptim, newest, clock.clone());
        let (points, pushes) = (Arc::new(points), Pushes::default());
        let (targets, directories) = (Targets::default(), Directories::default());
        actix::spawn(measure(Arc::clone(&points), targets.clone()));
        Insecure { listeners: &settings.insecure_listeners() }.emit();
        let told = Arc::clone(&points);
        let history = employ_history(&engine, &settings, &clock).await?;
        let rest_routes = Rest {
            history,
            query: engine.query.clone(),
            cache: engine.cache.clone(),
            supervisor: engine.supervisor.clone(),
            newest: engine.newest.clone(),
            illness: engine.illness.clone(),
            draining: draining.subscribe(),
            points: Arc::new(move || serde_json::json!(told.status())),
            directory: engine.directory.clone(),
            directories: directories.clone(),
            event_logs: event_logs.clone(),
            targets: targets.clone(),
            reload,
            prometheus,
            token,
        }
        .routes();
        let enforcement_routes =
            Enforcement::new(Arc::clone(&points), &engine, pushes.clone()).routes();
        let (directory, time) = (engine.directory.clone(), clock.clone());
        let validation = Arc::new(Validator::new(&settings.validator, directory, time));
        let rest_desk = open(&engine, &rest, &rest_routes, settings.drain, &clock).await?;
        let ptim = employ_ptim(&engine, &settings, &pushes, &clock).await?;
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
            engine,
            pushes,
            ptim,
            points,
            rest_routes,
            next_rest: None,
            draining,
        };
        let drain = house.settings.drain;
        house.engine.directory.write().expect_domains(house.settings.active_directory.len());
        house.enforcement.settle(enforcement, &house.engine, drain, &house.clock).await?;
        house.validator.settle(validator, &house.engine, drain, &house.clock).await?;
        house.introduce(&recruits);
        for (name, recruit) in recruits {
            house.hire(name, recruit).await?;
        }
        house.outward.settle(&house.engine, &house.settings, &house.clock).await?;
        Ok(house)
    }
}

impl House {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the supervisor is there, without whom nobody is replaced.
    pub async fn is_watched(&self) -> bool {
        self.engine.supervisor.send(ListActors).await.is_ok()
    }
}

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

fn limits(history: &config::History) -> ChangeLogLimits {
    ChangeLogLimits { tombstones: history.tombstones, tombstone_count: history.tombstone_count }
}

#[cfg(test)]
mod tests;
