//! What is measured of every actor, the supervisor included: one meter a mailbox, kept while the
//! actor behind it is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label, Unit, counter, gauge, histogram};
use rollcall_identity::Timestamp;
use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use crate::clock::Clock;
use crate::metric::Instrument::{
    Counter as CounterType, Gauge as GaugeType, Histogram as HistogramType,
};
use crate::metric::{Metric, Row};

/// Where in an event's way an actor stands. The second word of every metric's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, IntoStaticStr, EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Stage {
    /// The producers: bytes from outside become events.
    Receiving,
    /// The cache: events become changes.
    Deciding,
    /// Query, enforcement and REST: questions become answers.
    Answering,
    /// Changes are carried to those who do not ask.
    Pushing,
    /// The supervisor: actors are started, watched and replaced.
    Supervising,
}

impl Stage {
    /// The word in the metric's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an actor came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, IntoStaticStr, EnumIter)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ExitCause {
    /// It panicked: a bug of ours.
    Panic,
    /// It gave up with an error.
    Error,
    /// It stopped of itself, or was told to.
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

/// What the meter has read so far, for people who ask by REST.
#[derive(Debug, Clone, Serialize)]
pub struct MailboxStats {
    /// Messages that wait or are in work.
    pub depth: u64,
    /// Messages handled since the process began.
    pub handled: u64,
    /// Messages turned away because the mailbox was full or nobody was behind it.
    pub refused: u64,
    /// When the last message was handled.
    pub last_activity: Option<Timestamp>,
}

impl ActorMetrics {
    /// The meter of the actor called `actor`.
    pub fn new(
        actor: &str,
        kind: &'static str,
        stage: Stage,
        capacity: usize,
        clock: Clock,
    ) -> Self {
        let labels =
            vec![Label::new("actor", actor.to_owned()), Label::from_static_parts("kind", kind)];
        let name = |noun: &str| format!("rollcall_{}_{noun}", stage.as_str());
        gauge!(name("mailbox_capacity"), labels.clone()).set(capacity as f64);
        // From the beginning, so that the first restart is seen to grow from zero.
        for end in ExitCause::iter() {
            counter!(name("restarts_total"), with_cause(&labels, end)).increment(0);
        }
        Self(Arc::new(Instruments {
            actor: actor.into(),
            kind,
            stage,
            capacity,
            clock,
            depth: gauge!(name("mailbox_depth"), labels.clone()),
            handled: counter!(name("messages_total"), labels.clone()),
            handling: histogram!(name("handling_seconds"), labels.clone()),
            waiting: histogram!(name("mailbox_wait_seconds"), labels.clone()),
            refused: counter!(name("messages_refused_total"), labels.clone()),
            last_activity: gauge!(name("last_activity_timestamp_seconds"), labels),
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

    /// What the actor is, for instance `cache`.
    pub fn kind(&self) -> &'static str {
        self.0.kind
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// How many messages may wait.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// The clock that the meter reads.
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

    /// A sender waited this long for a place.
    pub fn waited(&self, wait: Duration) {
        self.0.waiting.record(wait);
    }

    /// A message was turned away.
    pub fn refused(&self) {
        self.0.refused.increment(1);
        self.0.refused_so_far.fetch_add(1, Relaxed);
    }

    /// The actor ended and will be replaced.
    pub fn restarted(&self, end: ExitCause) {
        let name = format!("rollcall_{}_restarts_total", self.0.stage.as_str());
        let labels = [
            Label::new("actor", self.0.actor.to_string()),
            Label::from_static_parts("kind", self.0.kind),
        ];
        counter!(name, with_cause(&labels, end)).increment(1);
    }

    /// What was read so far.
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

/// The labels of a restart.
fn with_cause(labels: &[Label], end: ExitCause) -> Vec<Label> {
    let mut labels = labels.to_vec();
    labels.push(Label::from_static_parts("cause", end.into()));
    labels
}

/// The metrics that every actor has; `<stage>` is where it stands.
const MAILBOX: &[Row] = &[
    ("messages_total", CounterType, Unit::Count, &["actor", "kind"], "Messages handled"),
    (
        "handling_seconds",
        HistogramType,
        Unit::Seconds,
        &["actor", "kind"],
        "Time to handle a message",
    ),
    ("mailbox_depth", GaugeType, Unit::Count, &["actor", "kind"], "Messages waiting or in work"),
    ("mailbox_capacity", GaugeType, Unit::Count, &["actor", "kind"], "Places in the mailbox"),
    (
        "mailbox_wait_seconds",
        HistogramType,
        Unit::Seconds,
        &["actor", "kind"],
        "Time that a sender waited for a place in a full mailbox",
    ),
    (
        "messages_refused_total",
        CounterType,
        Unit::Count,
        &["actor", "kind"],
        "Messages turned away because nobody was behind the mailbox, or lost with their actor",
    ),
    (
        "restarts_total",
        CounterType,
        Unit::Count,
        &["actor", "kind", "cause"],
        "How often the actor was replaced, by panic, error, stop or hang",
    ),
    (
        "last_activity_timestamp_seconds",
        GaugeType,
        Unit::Seconds,
        &["actor", "kind"],
        "When the actor last handled a message, as a Unix time",
    ),
];

/// The metrics of every actor, for each stage.
pub fn catalogue() -> impl Iterator<Item = Metric> {
    Stage::iter().flat_map(|stage| {
        MAILBOX.iter().map(move |&(noun, instrument, unit, labels, help)| Metric {
            name: format!("rollcall_{}_{noun}", stage.as_str()),
            instrument,
            unit,
            labels,
            help,
        })
    })
}
