//! The metrics of every actor, the supervisor included. They belong to the mailbox and are kept while the
//! actor behind it is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, SharedString};
use rollcall_identity::Timestamp;
use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use crate::clock::Clock;
use crate::metric::{self, Metric};
use crate::prometheus::buckets;

/// The stage of the event flow at which an actor works: the label `stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, IntoStaticStr, EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Stage {
    /// Producers: input becomes events.
    Receiving,
    /// The cache: events become changes.
    Deciding,
    /// Query actor, listeners and history: queries become answers.
    Answering,
    /// Changes are delivered to push targets.
    Pushing,
    /// The supervisor starts, monitors and replaces actors.
    Supervising,
}

impl Stage {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an actor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, IntoStaticStr, EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ExitCause {
    /// It panicked, which is a bug in Rollcall.
    Panic,
    /// It ended with an error.
    Error,
    /// It stopped by itself or on request.
    Stop,
    /// It did not answer the liveness probes and was abandoned.
    Hang,
}

/// The metrics of one mailbox and of the actor behind it.
#[derive(Clone)]
pub struct ActorMetrics(Arc<Instruments>);

struct Instruments {
    actor: Arc<str>,
    kind: &'static str,
    stage: Stage,
    capacity: usize,
    clock: Clock,
    depth: Gauge,
    handled: Counter,
    handling: Histogram,
    waiting: Histogram,
    refused: Counter,
    last_activity: Gauge,
    depth_now: AtomicU64,
    handled_so_far: AtomicU64,
    refused_so_far: AtomicU64,
    last_activity_at: AtomicI64,
}

/// The counters of a mailbox, as REST reports them.
#[derive(Debug, Clone, Serialize)]
pub struct MailboxStats {
    /// Messages that wait or are in progress.
    pub depth: u64,
    /// Messages handled since the start of the process.
    pub handled: u64,
    /// Messages refused because no actor ran.
    pub refused: u64,
    /// The time of the last handled message.
    pub last_activity: Option<Timestamp>,
}

impl ActorMetrics {
    /// The metrics of the actor named `actor`.
    pub fn new(
        actor: &str,
        kind: &'static str,
        stage: Stage,
        capacity: usize,
        clock: Clock,
    ) -> Self {
        let labels = || labels(stage, actor, kind);
        MAILBOX_CAPACITY.with(labels()).set(capacity as f64);
        // Starts at zero, so that the first restart is visible to `increase()`.
        for cause in ExitCause::iter() {
            RESTARTS.with(with_cause(labels(), cause)).increment(0);
        }
        Self(Arc::new(Instruments {
            actor: actor.into(),
            kind,
            stage,
            capacity,
            clock,
            depth: MAILBOX_DEPTH.with(labels()),
            handled: MESSAGES.with(labels()),
            handling: HANDLING_SECONDS.with(labels()),
            waiting: MAILBOX_WAIT_SECONDS.with(labels()),
            refused: MESSAGES_REFUSED.with(labels()),
            last_activity: LAST_ACTIVITY.with(labels()),
            depth_now: AtomicU64::new(0),
            handled_so_far: AtomicU64::new(0),
            refused_so_far: AtomicU64::new(0),
            last_activity_at: AtomicI64::new(0),
        }))
    }

    /// The name of the actor.
    pub fn name(&self) -> &Arc<str> {
        &self.0.actor
    }

    /// The kind of actor, for instance `cache`.
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The capacity of the mailbox in messages.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// The clock of the metrics.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// One message was queued.
    pub fn queued(&self) {
        self.0.depth.increment(1.0);
        self.0.depth_now.fetch_add(1, Relaxed);
    }

    /// One message left the mailbox, handled or lost with its actor.
    pub fn left(&self) {
        self.0.depth.decrement(1.0);
        self.0.depth_now.fetch_sub(1, Relaxed);
    }

    /// One message was handled, in `took`.
    pub fn handled(&self, took: Duration) {
        let now = self.0.clock.now().millis();
        self.0.handled.increment(1);
        self.0.handling.record(took);
        self.0.last_activity.set(now as f64 / 1000.0);
        self.0.handled_so_far.fetch_add(1, Relaxed);
        self.0.last_activity_at.store(now, Relaxed);
    }

    /// A sender waited this long for a permit.
    pub fn waited(&self, wait: Duration) {
        self.0.waiting.record(wait);
    }

    /// A message was refused.
    pub fn refused(&self) {
        self.0.refused.increment(1);
        self.0.refused_so_far.fetch_add(1, Relaxed);
    }

    /// The actor ended and will be replaced.
    pub fn restarted(&self, cause: ExitCause) {
        let labels = labels(self.0.stage, &self.0.actor, self.0.kind);
        RESTARTS.with(with_cause(labels, cause)).increment(1);
    }

    /// The current counters.
    pub fn stats(&self) -> MailboxStats {
        let last = self.0.last_activity_at.load(Relaxed);
        MailboxStats {
            depth: self.0.depth_now.load(Relaxed),
            handled: self.0.handled_so_far.load(Relaxed),
            refused: self.0.refused_so_far.load(Relaxed),
            last_activity: (last != 0).then(|| Timestamp::from_millis(last)),
        }
    }
}

/// The label values of every metric of an actor.
fn labels(stage: Stage, actor: &str, kind: &'static str) -> [SharedString; 3] {
    [stage.as_str().into(), actor.to_owned().into(), kind.into()]
}

fn with_cause([stage, actor, kind]: [SharedString; 3], cause: ExitCause) -> [SharedString; 4] {
    let cause: &'static str = cause.into();
    [stage, actor, kind, cause.into()]
}

/// The labels that every metric of an actor has.
const LABELS: [&str; 3] = ["stage", "actor", "kind"];

static MESSAGES: metric::Counter<3> =
    metric::Counter::new("rollcall_actor_messages_total", LABELS, "Messages handled");

static HANDLING_SECONDS: metric::Histogram<3> = metric::Histogram::new(
    "rollcall_actor_handling_seconds",
    LABELS,
    "Time to handle a message",
    buckets::HANDLING,
);

static MAILBOX_DEPTH: metric::Gauge<3> = metric::Gauge::new(
    "rollcall_actor_mailbox_depth",
    LABELS,
    "Messages that wait or are in progress",
);

static MAILBOX_CAPACITY: metric::Gauge<3> = metric::Gauge::new(
    "rollcall_actor_mailbox_capacity",
    LABELS,
    "Capacity of the mailbox in messages",
);

static MAILBOX_WAIT_SECONDS: metric::Histogram<3> = metric::Histogram::new(
    "rollcall_actor_mailbox_wait_seconds",
    LABELS,
    "Queue wait time of senders at a full mailbox",
    buckets::WAITING,
);

static MESSAGES_REFUSED: metric::Counter<3> = metric::Counter::new(
    "rollcall_actor_messages_refused_total",
    LABELS,
    "Messages refused because no actor ran, or lost when the actor ended",
);

static RESTARTS: metric::Counter<4> = metric::Counter::new(
    "rollcall_actor_restarts_total",
    ["stage", "actor", "kind", "cause"],
    "Restarts of the actor by cause: panic, error, stop or hang",
);

static LAST_ACTIVITY: metric::Gauge<3> = metric::Gauge::new(
    "rollcall_actor_last_activity_timestamp_seconds",
    LABELS,
    "Unix time at which the actor last handled a message",
);

/// The declarations of the metrics that every actor has.
pub const METRICS: &[Metric] = &[
    MESSAGES.declaration(),
    HANDLING_SECONDS.declaration(),
    MAILBOX_DEPTH.declaration(),
    MAILBOX_CAPACITY.declaration(),
    MAILBOX_WAIT_SECONDS.declaration(),
    MESSAGES_REFUSED.declaration(),
    RESTARTS.declaration(),
    LAST_ACTIVITY.declaration(),
];
