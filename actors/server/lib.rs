//! The whole server: drawn from the settings with every socket bound and every file read, then
//! built from the sink upward, changed by a reload, and drained in the other order.

mod bind;
mod listener_slot;
pub mod metrics;
mod producer_set;
mod push_set;
mod reload;
mod shutdown;
mod spawn;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::{self as config, Settings};
use rollcall_identity::{Address, ChangeLogLimits, MemoryJournal, Name, Rules};
use tokio::sync::watch;

pub use self::bind::{BindError, ListenAddress};
use self::bind::{BoundListener, BoundListeners, InheritedSockets};
use self::listener_slot::{ListenerSlot, open};
use self::producer_set::{PreparedProducers, RunningProducers};
use self::push_set::PushSet;
pub use self::shutdown::ShutdownTimeout;
use self::spawn::{spawn_history, spawn_ptim};
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
use rollcall_push::PushTargets;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::ListActors;
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::tls::addresses_of_host;

/// A server that is drawn: every socket is bound, every certificate is read, nothing runs yet.
pub struct ServerBuilder {
    settings: Settings,
    clock: Clock,
    token: Token,
    journal: Option<DurableJournal>,
    directory: SharedDirectory,
    event_logs: EventLogs,
    prepared: PreparedProducers,
    listeners: BoundListeners,
}

/// A server in which people live.
pub struct Server {
    settings: Settings,
    clock: Clock,
    engine: Engine,
    pushes: Pushes,
    ptim: (Name, Mailbox<Producing>),
    points: Arc<Points>,
    running: RunningProducers,
    directories: Directories,
    event_logs: EventLogs,
    outward: PushSet,
    enforcement: ListenerSlot,
    validation: Arc<Validator>,
    validator: ListenerSlot,
    rest: (BoundListener, Mailbox<Listener>),
    rest_routes: Routes,
    next_rest: Option<BoundListener>,
    draining: watch::Sender<bool>,
}

impl ServerBuilder {
    /// Draws the server, binding and reading everything that it needs.
    ///
    /// # Errors
    /// Everything that cannot be had.
    pub fn bind(settings: Settings, clock: &Clock) -> Result<Self, Vec<BindError>> {
        let mut problems = Vec::new();
        let mut noted = |error: BindError| problems.push(error);
        if let Err(error) = bind::make_folder(&settings.data) {
            noted(error);
        }
        let token = bind::token(&settings.rest.token_file).map_err(&mut noted);
        let journal = bind::journal(&settings.journal, clock).map_err(&mut noted);
        let (directory, event_logs) = (SharedDirectory::default(), EventLogs::default());
        let shared = (clock, &directory, &event_logs);
        let prepared =
            producer_set::prepare(&settings, shared, &RunningProducers::new(), &mut noted);
        let listeners = BoundListeners::bind(&settings, InheritedSockets::default(), &mut noted);
        match (token, journal, listeners) {
            (Ok(token), Ok(journal), Some(listeners)) if problems.is_empty() => {
                let listeners = listeners.load_certificates(clock).map_err(|error| vec![error])?;
                let clock = clock.clone();
                Ok(Self {
                    settings,
                    clock,
                    token,
                    journal,
                    directory,
                    event_logs,
                    prepared,
                    listeners,
                })
            }
            _ => Err(problems),
        }
    }

    /// Everything that will listen, by name.
    pub fn listening(&self) -> Vec<ListenAddress> {
        let producers = self.prepared.iter();
        let mut all: Vec<_> = producers.flat_map(|(name, r)| r.listening(name)).collect();
        let BoundListeners { enforcement, validator, rest } = &self.listeners;
        let listeners = enforcement.iter().chain(validator).chain([rest]);
        all.extend(listeners.flat_map(BoundListener::listening));
        all
    }

    /// Builds the server and lets everybody in, from the sink upward. `reload` is what the REST
    /// listener calls when somebody wants the configuration read anew.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system gives no threads.
    pub async fn build(
        self,
        reload: Reload,
        prometheus: PrometheusHandle,
    ) -> Result<Server, StartError> {
        let Self {
            settings,
            clock,
            token,
            journal,
            directory,
            event_logs,
            prepared,
            listeners: BoundListeners { enforcement, validator, rest },
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
        let (targets, directories) = (PushTargets::default(), Directories::default());
        actix::spawn(measure(Arc::clone(&points), targets.clone()));
        metrics::record_build();
        Insecure { listeners: &settings.insecure_listeners() }.emit();
        let told = Arc::clone(&points);
        let history = spawn_history(&engine, &settings, &clock).await?;
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
        let ptim = spawn_ptim(&engine, &settings, &pushes, &clock).await?;
        let mut server = Server {
            rest: (rest, rest_desk),
            enforcement: ListenerSlot::new(enforcement_routes),
            validator: ListenerSlot::new(validation.routes()),
            validation,
            running: RunningProducers::new(),
            directories,
            event_logs,
            outward: PushSet::new(targets),
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
        let drain = server.settings.drain;
        server.engine.directory.write().expect_domains(server.settings.active_directory.len());
        server.enforcement.reconcile(enforcement, &server.engine, drain, &server.clock).await?;
        server.validator.reconcile(validator, &server.engine, drain, &server.clock).await?;
        server.register(&prepared);
        for (name, prepared) in prepared {
            server.spawn(name, prepared).await?;
        }
        server.outward.reconcile(&server.engine, &server.settings, &server.clock).await?;
        Ok(server)
    }
}

impl Server {
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

async fn measure(points: Arc<Points>, targets: PushTargets) {
    loop {
        points.measure_lag();
        targets.measure_lag();
        tokio::time::sleep(MEASURING).await;
    }
}

fn limits(history: &config::ChangeLogLimits) -> ChangeLogLimits {
    ChangeLogLimits { tombstones: history.tombstones, tombstone_count: history.tombstone_count }
}

#[cfg(test)]
mod tests;
