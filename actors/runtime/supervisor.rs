//! Starts every actor from a factory, watches it, and replaces it when it ends.
//!
//! The `Supervisor` of actix does not survive a panic and restarts the same struct (0.13.5; the tests
//! below would fail with it). Here each actor has a thread of its own and holds an
//! `ActorHandle`. When the actor is dropped, for whatever reason, the handle reports to the
//! supervisor, which waits for a backoff and then asks the factory for a new actor. The mailbox
//! stays the same, so senders need not know.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use actix::prelude::*;
use rollcall_identity::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

pub mod telemetry;

use self::telemetry::{ActorAbandoned, ActorEnded, ActorStarted};
use crate::actor_handle::{ActorExit, ActorHandle};
use crate::actor_metrics::{ActorMetrics, ExitCause, MailboxStats, Stage};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};
use crate::telemetry::TelemetryEvent;

/// When the supervisor restarts an actor, and when it takes one for hung.
#[derive(Debug, Clone, Copy)]
pub struct RestartPolicy {
    /// The backoff after the first failure. It doubles with each further failure.
    pub first: Duration,
    /// The longest backoff.
    pub longest: Duration,
    /// An actor that ran for this long starts again with the first backoff.
    pub reset_after: Duration,
    /// The interval of the liveness probes.
    pub probe_interval: Duration,
    /// An actor that does not answer a probe for this long is abandoned and replaced.
    pub hang: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            reset_after: Duration::from_secs(60),
            probe_interval: Duration::from_secs(1),
            hang: Duration::from_secs(10),
        }
    }
}

impl RestartPolicy {
    fn backoff(self) -> Backoff {
        Backoff::new(self.first, self.longest)
    }
}

/// The state of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// It handles messages.
    Running,
    /// It has ended and waits for its restart.
    BackingOff,
}

/// The status of one actor, as REST reports it.
#[derive(Debug, Clone, Serialize)]
pub struct ActorStatus {
    /// The name of the actor, for instance `syslog`.
    pub actor: String,
    /// The kind of actor.
    pub kind: &'static str,
    /// The stage of the event pipeline.
    pub stage: Stage,
    /// The state.
    pub state: ActorState,
    /// The time of the last change of state.
    pub since: Timestamp,
    /// The number of restarts, by cause.
    pub restarts: BTreeMap<&'static str, u64>,
    /// The error with which it ended last.
    pub last_error: Option<String>,
    /// The capacity of its mailbox, in messages.
    pub capacity: usize,
    /// The counters of its mailbox.
    #[serde(flatten)]
    pub stats: MailboxStats,
}

/// Starts an actor, and restarts it whenever it ends. The reply follows the first start.
pub struct Spawn(Box<dyn AnyActorSpec>);

impl Message for Spawn {
    type Result = ();
}

impl Spawn {
    /// `factory` makes the actor behind `mailbox`.
    pub fn new<R: Actor>(
        mailbox: Mailbox<R>,
        factory: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        Self::with_generation(mailbox, move |_| factory())
    }

    /// [`Spawn::new`] for an actor that needs the number of its generation. No two actors share a
    /// number, and later generations have higher ones.
    pub fn with_generation<R: Actor>(
        mailbox: Mailbox<R>,
        factory: impl Fn(u64) -> R + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(ActorSpec { mailbox, factory: Arc::new(factory) }))
    }
}

/// Ends the named actor for good. The reply follows its end; an unknown name is no error.
#[derive(Debug)]
pub struct Stop(pub String);

impl Message for Stop {
    type Result = ();
}

/// Requests the status of all actors.
#[derive(Debug)]
pub struct ListActors;

impl Message for ListActors {
    type Result = Vec<ActorStatus>;
}

/// An [`ActorSpec`] of any actor.
trait AnyActorSpec: Send {
    fn metrics(&self) -> &ActorMetrics;
    fn start(&self, arbiter: &ArbiterHandle, handle: ActorHandle, started: oneshot::Sender<()>);
    fn detach(&self);
    fn close(&self);
    /// Sends a liveness probe. Returns false when no actor runs.
    fn probe(&self, answered: Arc<AtomicBool>) -> bool;
}

/// The mailbox of an actor, and the factory that makes its next generation.
struct ActorSpec<R: Actor> {
    mailbox: Mailbox<R>,
    factory: Arc<dyn Fn(u64) -> R + Send + Sync>,
}

/// A liveness probe, answered for every actor.
pub struct Ping;

impl Message for Ping {
    type Result = ();
}

impl<R: Actor> Handler<Ping> for R {
    fn handle(&mut self, _: Ping, _: &mut Context<Self>) -> Reply<()> {
        Reply::Now(())
    }
}

/// Makes any actor panic, for tests of restarts.
#[cfg(any(test, feature = "test-support"))]
pub struct Fault;

#[cfg(any(test, feature = "test-support"))]
impl Message for Fault {
    type Result = ();
}

#[cfg(any(test, feature = "test-support"))]
impl<R: Actor> Handler<Fault> for R {
    fn handle(&mut self, _: Fault, _: &mut Context<Self>) -> Reply<()> {
        panic!("requested by a test");
    }
}

impl<R: Actor> AnyActorSpec for ActorSpec<R> {
    fn metrics(&self) -> &ActorMetrics {
        self.mailbox.metrics()
    }

    fn start(
        &self,
        arbiter: &ArbiterHandle,
        mut handle: ActorHandle,
        started: oneshot::Sender<()>,
    ) {
        let (mailbox, factory) = (self.mailbox.clone(), Arc::clone(&self.factory));
        arbiter.spawn_fn(move || {
            match catch_unwind(AssertUnwindSafe(|| factory(handle.generation))) {
                Ok(actor) if !handle.is_superseded() => {
                    let cell =
                        ActorCell::new(actor, mailbox.metrics().clone(), handle, Some(started));
                    mailbox.attach(cell.start_here());
                }
                Ok(_) => {}
                Err(_) => handle.failed("the factory panicked".to_owned()),
            };
        });
    }

    fn detach(&self) {
        self.mailbox.detach();
    }

    fn close(&self) {
        self.mailbox.close();
    }

    fn probe(&self, answered: Arc<AtomicBool>) -> bool {
        let Ok(answer) = self.mailbox.post(Ping) else { return false };
        actix::spawn(async move {
            if answer.await.is_ok() {
                answered.store(true, SeqCst);
            }
        });
        true
    }
}

/// The generation of an actor that does not run.
const NO_GENERATION: u64 = 0;

/// The state of one supervised actor.
struct Supervised {
    spec: Box<dyn AnyActorSpec>,
    arbiter: Arbiter,
    state: ActorState,
    since: Timestamp,
    generation: Arc<AtomicU64>,
    failures: u32,
    restarts: BTreeMap<&'static str, u64>,
    last_error: Option<String>,
    /// Whether a probe is under way, so that silence means that the actor hangs.
    probed: bool,
    answered: Arc<AtomicBool>,
    silent_for: Duration,
    /// Notified at its end, once it is to end for good.
    stopping: Option<oneshot::Sender<()>>,
}

/// The actor that starts and replaces all others.
pub struct Supervisor {
    clock: Clock,
    policy: RestartPolicy,
    actors: BTreeMap<Arc<str>, Supervised>,
    generations: u64,
    metrics: ActorMetrics,
    began: Timestamp,
    exits: (mpsc::UnboundedSender<ActorExit>, Option<mpsc::UnboundedReceiver<ActorExit>>),
}

impl Supervisor {
    /// Starts the supervisor on the calling thread and returns its mailbox.
    pub fn start(clock: &Clock, policy: RestartPolicy) -> Mailbox<Self> {
        let mailbox = Mailbox::<Self>::new("supervisor", clock.clone());
        let (sender, receiver) = mpsc::unbounded_channel();
        let handle = ActorHandle {
            actor: "supervisor".into(),
            generation: 0,
            newest: Arc::new(AtomicU64::new(0)),
            error: None,
            exits: sender.clone(),
        };
        let supervisor = Self {
            clock: clock.clone(),
            policy,
            actors: BTreeMap::new(),
            generations: NO_GENERATION,
            metrics: mailbox.metrics().clone(),
            began: clock.now(),
            exits: (sender, Some(receiver)),
        };
        let cell = ActorCell::new(supervisor, mailbox.metrics().clone(), handle, None);
        mailbox.attach(cell.start_here());
        mailbox
    }

    /// Starts the next generation of the actor, unless it runs or is to end.
    fn start_actor(&mut self, actor: &Arc<str>) -> oneshot::Receiver<()> {
        let ((started, is_started), now) = (oneshot::channel(), self.clock.now());
        let Some(supervised) = self.actors.get_mut(actor) else { return is_started };
        if supervised.state == ActorState::Running || supervised.stopping.is_some() {
            return is_started;
        }
        // One count for all actors: a generation is never used twice, not even under the same name.
        self.generations += 1;
        let generation = self.generations;
        supervised.generation.store(generation, SeqCst);
        let handle = ActorHandle {
            actor: Arc::clone(actor),
            generation,
            newest: Arc::clone(&supervised.generation),
            error: None,
            exits: self.exits.0.clone(),
        };
        supervised.state = ActorState::Running;
        supervised.since = now;
        supervised.silent_for = Duration::ZERO;
        supervised.probed = false;
        supervised.answered.store(true, SeqCst);
        supervised.spec.start(&supervised.arbiter.handle(), handle, started);
        ActorStarted { actor, kind: supervised.spec.metrics().kind(), generation }.emit();
        is_started
    }

    fn exited(&mut self, exit: ActorExit, context: &mut Context<Self>) {
        let ActorExit { actor, generation, cause, error } = exit;
        let Some(supervised) = self.actors.get(&actor) else { return };
        // An abandoned generation may end late. It was replaced already.
        if supervised.generation.load(SeqCst) == generation {
            self.replace(&actor, cause, error, context);
        }
    }

    fn replace(
        &mut self,
        actor: &Arc<str>,
        cause: ExitCause,
        error: Option<String>,
        context: &mut Context<Self>,
    ) {
        let (now, policy) = (self.clock.now(), self.policy);
        let Some(supervised) = self.actors.get_mut(actor) else { return };
        if supervised.stopping.is_some() {
            self.remove(actor);
            return;
        }
        supervised.spec.detach();
        let lived = now.since(supervised.since);
        supervised.failures = if lived >= policy.reset_after { 1 } else { supervised.failures + 1 };
        supervised.state = ActorState::BackingOff;
        supervised.since = now;
        *supervised.restarts.entry(cause.into()).or_default() += 1;
        supervised.spec.metrics().restarted(cause);
        let backoff = policy.backoff().delay_after(supervised.failures);
        let kind = supervised.spec.metrics().kind();
        ActorEnded { actor, kind, cause, error: error.as_deref(), backoff }.emit();
        supervised.last_error =
            error.or_else(|| (cause != ExitCause::Stop).then(|| format!("{cause:?}")));
        let actor = Arc::clone(actor);
        context.run_later(backoff, move |cell, _| drop(cell.actor().start_actor(&actor)));
    }

    fn remove(&mut self, actor: &Arc<str>) {
        if let Some(supervised) = self.actors.remove(actor) {
            supervised.arbiter.stop();
            if let Some(stopped) = supervised.stopping {
                let _ = stopped.send(());
            }
        }
    }

    /// Probes every running actor, and replaces those that hang.
    fn probe_all(&mut self, context: &mut Context<Self>) {
        let began = Clock::instant();
        let mut hung = Vec::new();
        for (actor, supervised) in &mut self.actors {
            if supervised.state != ActorState::Running {
                continue;
            }
            if supervised.answered.swap(false, SeqCst) {
                supervised.silent_for = Duration::ZERO;
                supervised.probed = false;
            } else {
                supervised.silent_for += self.policy.probe_interval;
                if supervised.silent_for >= self.policy.hang {
                    hung.push(Arc::clone(actor));
                }
            }
            // An actor that is still starting cannot be probed yet.
            if !supervised.probed {
                supervised.probed = supervised.spec.probe(Arc::clone(&supervised.answered));
            }
        }
        for actor in hung {
            self.abandon(&actor, context);
        }
        self.metrics.handled(began.elapsed());
    }

    /// Leaves a hung actor on its thread and replaces it on another.
    fn abandon(&mut self, actor: &Arc<str>, context: &mut Context<Self>) {
        if let Some(supervised) = self.actors.get_mut(actor) {
            ActorAbandoned {
                actor,
                kind: supervised.spec.metrics().kind(),
                silent: supervised.silent_for,
            }
            .emit();
            supervised.generation.store(NO_GENERATION, SeqCst);
            let hung = std::mem::replace(&mut supervised.arbiter, Arbiter::new());
            hung.stop();
        }
        self.replace(actor, ExitCause::Hang, None, context);
    }
}

impl Actor for Supervisor {
    const KIND: &'static str = "supervisor";
    const STAGE: Stage = Stage::Supervising;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(mut exits) = self.exits.1.take() {
            let exits = futures_util::stream::poll_fn(move |cx| exits.poll_recv(cx));
            context.spawn(
                actix::fut::wrap_stream::<_, ActorCell<Self>>(exits)
                    .map(|exit, cell, context| cell.actor().exited(exit, context))
                    .finish(),
            );
        }
        context.run_interval(self.policy.probe_interval, |cell, context| {
            cell.actor().probe_all(context);
        });
    }
}

impl Handler<Spawn> for Supervisor {
    fn handle(&mut self, Spawn(spec): Spawn, _: &mut Context<Self>) -> Reply<()> {
        let actor = Arc::clone(spec.metrics().name());
        let supervised = Supervised {
            spec,
            arbiter: Arbiter::new(),
            state: ActorState::BackingOff,
            since: self.clock.now(),
            generation: Arc::new(AtomicU64::new(NO_GENERATION)),
            failures: 0,
            restarts: BTreeMap::new(),
            last_error: None,
            probed: false,
            answered: Arc::new(AtomicBool::new(true)),
            silent_for: Duration::ZERO,
            stopping: None,
        };
        self.actors.insert(Arc::clone(&actor), supervised);
        let started = self.start_actor(&actor);
        Reply::later(async move {
            // When the factory panics, the start is retried later. The caller does not wait for that.
            let _ = started.await;
        })
    }
}

impl Handler<Stop> for Supervisor {
    fn handle(&mut self, Stop(actor): Stop, _: &mut Context<Self>) -> Reply<()> {
        let actor: Arc<str> = actor.into();
        let Some(supervised) = self.actors.get_mut(&actor) else { return Reply::Now(()) };
        let (stopping, stopped) = oneshot::channel();
        supervised.stopping = Some(stopping);
        supervised.spec.close();
        if supervised.state == ActorState::Running {
            // The thread ends, and with it the actor. Its handle reports the end.
            supervised.arbiter.stop();
        } else {
            self.remove(&actor);
        }
        Reply::later(async move {
            let _ = stopped.await;
        })
    }
}

impl ActorStatus {
    /// The status of an actor that has run since `since` and never ended.
    fn new(metrics: &ActorMetrics, since: Timestamp) -> Self {
        Self {
            actor: metrics.name().to_string(),
            kind: metrics.kind(),
            stage: metrics.stage(),
            state: ActorState::Running,
            since,
            restarts: BTreeMap::new(),
            last_error: None,
            capacity: metrics.capacity(),
            stats: metrics.stats(),
        }
    }
}

impl Handler<ListActors> for Supervisor {
    fn handle(&mut self, _: ListActors, _: &mut Context<Self>) -> Reply<Vec<ActorStatus>> {
        let status = |supervised: &Supervised| ActorStatus {
            state: supervised.state,
            restarts: supervised.restarts.clone(),
            last_error: supervised.last_error.clone(),
            ..ActorStatus::new(supervised.spec.metrics(), supervised.since)
        };
        // The supervisor is the last entry. It runs while it answers.
        let own = ActorStatus::new(&self.metrics, self.began);
        Reply::Now(self.actors.values().map(status).chain([own]).collect())
    }
}

#[cfg(test)]
mod tests;
