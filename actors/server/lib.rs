//! The server: it binds all sockets and reads all files, starts the actors from the sink upward,
//! applies a reload, and shuts down in the reverse order.

mod bind;
mod data_folder;
mod listener_slot;
pub mod metrics;
mod producer_set;
mod push_set;
mod reload;
mod shutdown;
mod spawn;
mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_config::{self as config, Settings};
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::{Engine, StartError};
use rollcall_http::enforcement::{Enforcement, Points};
use rollcall_http::listener::{Listener, Routes};
use rollcall_http::rest::{AllowedHosts, Reload, Rest, Token};
use rollcall_http::telemetry::InsecureListeners;
use rollcall_http::validator::Validator;
use rollcall_identity::{Address, ChangeLogLimits, MemoryJournal, Rules};
use rollcall_journal::DurableJournal;
use rollcall_producers::ptim::PushSink;
pub use rollcall_producers::registration::BindError;
use rollcall_producers::registration::ProducerContext;
use rollcall_push::PushTargets;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::ListActors;
use rollcall_runtime::telemetry::TelemetryEvent;
use rollcall_runtime::tls::addresses_of_host;
use tokio::sync::watch;

pub use self::bind::ListenAddress;
use self::bind::{BoundListener, BoundListeners, InheritedSockets};
pub use self::data_folder::check_for_owner as check_data_folder;
use self::listener_slot::{ListenerSlot, open};
use self::producer_set::{PreparedProducers, RunningProducers};
use self::push_set::PushSet;
pub use self::shutdown::ShutdownTimeout;
use self::spawn::spawn_history;
use self::telemetry::EvaluationMode;

/// A server whose sockets are bound and whose files are read. Nothing runs yet.
pub struct ServerBuilder {
    settings: Settings,
    clock: Clock,
    token: Token,
    journal: Option<DurableJournal>,
    context: ProducerContext,
    prepared: PreparedProducers,
    listeners: BoundListeners,
}

/// A running server.
pub struct Server {
    settings: Settings,
    clock: Clock,
    engine: Engine,
    points: Arc<Points>,
    context: ProducerContext,
    running: RunningProducers,
    push_set: PushSet,
    enforcement: ListenerSlot,
    validation: Arc<Validator>,
    validator: ListenerSlot,
    rest: (BoundListener, Mailbox<Listener>),
    rest_routes: Routes,
    hosts: AllowedHosts,
    next_rest: Option<BoundListener>,
    draining: watch::Sender<bool>,
}

impl ServerBuilder {
    /// Binds all sockets and reads all files that the server needs.
    ///
    /// # Errors
    /// All resources that are unavailable, and all invalid settings.
    pub fn bind(settings: Settings, clock: &Clock) -> Result<Self, Vec<BindError>> {
        let mut problems = Vec::new();
        let mut noted = |error: BindError| problems.push(error);
        let is_usable = bind::make_folder(&settings.data)
            .and_then(|()| data_folder::check(&settings.data, settings.is_evaluation));
        if let Err(error) = is_usable {
            // No file of a folder that another user controls is read.
            return Err(vec![error]);
        }
        let token = bind::token(&settings.rest.token_file).map_err(&mut noted);
        let journal = bind::journal(&settings.journal, clock).map_err(&mut noted);
        let context = ProducerContext::new(clock.clone(), SharedDirectory::default());
        let prepared =
            producer_set::prepare(&settings, &context, &RunningProducers::new(), &mut noted);
        let listeners = BoundListeners::bind(&settings, InheritedSockets::default(), &mut noted);
        match (token, journal, listeners) {
            (Ok(token), Ok(journal), Some(listeners)) if problems.is_empty() => {
                let listeners = listeners.load_certificates(clock).map_err(|error| vec![error])?;
                let clock = clock.clone();
                Ok(Self { settings, clock, token, journal, context, prepared, listeners })
            }
            _ => Err(problems),
        }
    }

    /// All addresses that the server will listen on.
    pub fn listening(&self) -> Vec<ListenAddress> {
        let producers = self.prepared.iter();
        let mut all: Vec<_> = producers.flat_map(|(name, r)| r.listening(name)).collect();
        let BoundListeners { enforcement, validator, rest } = &self.listeners;
        let listeners = enforcement.iter().chain(validator).chain([rest]);
        all.extend(listeners.flat_map(BoundListener::listening));
        all
    }

    /// Starts the server, from the sink upward. The REST listener calls `reload` when a client
    /// requests a reload of the configuration.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system provides no threads.
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
            context,
            prepared,
            listeners: BoundListeners { enforcement, validator, rest },
        } = self;
        let (limits, rules) = (limits(&settings.change_log), effective_rules(&settings));
        let directory = context.directory.clone();
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
        let (points, targets) = (Arc::new(points), PushTargets::default());
        actix::spawn(measure_lag(Arc::clone(&points), targets.clone()));
        metrics::record_build();
        InsecureListeners { listeners: &settings.insecure_listeners() }.emit();
        if settings.is_evaluation {
            EvaluationMode.emit();
        }
        let status = Arc::clone(&points);
        let history = spawn_history(&engine, &settings, &clock).await?;
        let hosts = AllowedHosts::default();
        hosts.set(bind::rest_hosts(&settings));
        let rest_routes = Rest {
            history,
            query: engine.query.clone(),
            cache: engine.cache.clone(),
            supervisor: engine.supervisor.clone(),
            newest: engine.newest.clone(),
            journal_error: engine.journal_error.clone(),
            draining: draining.subscribe(),
            points: Arc::new(move || serde_json::json!(status.status())),
            directory: engine.directory.clone(),
            producers: context.clone(),
            targets: targets.clone(),
            reload,
            prometheus,
            token,
            hosts: hosts.clone(),
            is_evaluation: settings.is_evaluation,
        }
        .routes();
        let enforcement_routes =
            Enforcement::new(Arc::clone(&points), &engine, context.shared::<PushSink>()).routes();
        let (directory, time) = (engine.directory.clone(), clock.clone());
        let validation = Arc::new(Validator::new(&settings.validator, directory, time));
        let rest_mailbox =
            open(&engine, &rest, &rest_routes, settings.shutdown_timeout, &clock).await?;
        let mut server = Server {
            rest: (rest, rest_mailbox),
            enforcement: ListenerSlot::new(enforcement_routes),
            validator: ListenerSlot::new(validation.routes()),
            validation,
            running: RunningProducers::new(),
            context,
            push_set: PushSet::new(targets),
            settings,
            clock,
            engine,
            points,
            rest_routes,
            hosts,
            next_rest: None,
            draining,
        };
        let drain = server.settings.shutdown_timeout;
        producer_set::apply(&server.settings, &server.context);
        let (fed, others): (PreparedProducers, PreparedProducers) =
            prepared.into_iter().partition(|(_, one)| one.bound.uses_http_listener());
        server.register(&fed);
        server.spawn_all(fed).await?;
        server.enforcement.reconcile(enforcement, &server.engine, drain, &server.clock).await?;
        server.validator.reconcile(validator, &server.engine, drain, &server.clock).await?;
        server.register(&others);
        server.spawn_all(others).await?;
        server.push_set.reconcile(&server.engine, &server.settings, &server.clock).await?;
        Ok(server)
    }
}

impl Server {
    /// The effective settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the supervisor runs. Without it, failed actors are not replaced.
    pub async fn is_watched(&self) -> bool {
        self.engine.supervisor.send(ListActors).await.is_ok()
    }
}

/// The rules of the settings, with the addresses of this host.
pub fn effective_rules(settings: &Settings) -> Rules {
    let own_addresses = addresses_of_host().into_iter().map(Address::new).collect();
    Rules { own_addresses, ..settings.rules.clone() }
}

/// How often the lag of enforcement points and push targets is measured: it grows while they do not
/// query or acknowledge.
const LAG_INTERVAL: Duration = Duration::from_secs(5);

async fn measure_lag(points: Arc<Points>, targets: PushTargets) {
    loop {
        points.measure_lag();
        targets.measure_lag();
        tokio::time::sleep(LAG_INTERVAL).await;
    }
}

fn limits(settings: &config::ChangeLogLimits) -> ChangeLogLimits {
    ChangeLogLimits {
        tombstones: settings.tombstone_retention,
        tombstone_count: settings.max_tombstones,
    }
}

#[cfg(test)]
mod tests;
