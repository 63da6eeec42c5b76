//! The whole house: drawn from the settings with every socket bound and every file read, then
//! built from the sink upward, changed by a reload, and drained in the other order.

mod changing;
mod doors;
mod hiring;
mod leaving;
mod outward;
mod portal;
mod staff;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::{self as config, Settings};
use rollcall_identity::{Address, Limits, MemoryJournal, Name, Rules};
use tokio::sync::watch;

use self::doors::{Before, Door, Doors};
pub use self::doors::{Listening, Obstacle};
use self::hiring::{employ_history, employ_ptim};
pub use self::leaving::Late;
use self::outward::Outward;
use self::portal::{Portal, open};
use self::staff::{Recruits, Staff};
use crate::clock::Clock;
use crate::directory::{Book, Directories};
use crate::enforcement::{Enforcement, Points};
use crate::happenings::{Happening, Insecure};
use crate::heart::{Heart, StillBorn};
use crate::journal::DurableJournal;
use crate::listener::{Listener, Routes};
use crate::mailbox::Mailbox;
use crate::producers::Producing;
use crate::producers::event_log::EventLogs;
use crate::producers::ptim::Pushes;
use crate::push::Targets;
use crate::rest::{Reload, Rest, Token};
use crate::supervisor::RollCall;
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
    doors: Doors,
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
    ) -> Result<House, StillBorn> {
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
        let enforcement_routes =
            Enforcement::new(Arc::clone(&points), &heart, pushes.clone()).routes();
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

    /// Whether the supervisor is there, without whom nobody is replaced.
    pub async fn is_watched(&self) -> bool {
        self.heart.supervisor.send(RollCall).await.is_ok()
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

fn limits(history: &config::History) -> Limits {
    Limits { tombstones: history.tombstones, tombstone_count: history.tombstone_count }
}

#[cfg(test)]
mod tests;
