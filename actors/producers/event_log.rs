//! The event log of a Windows server: who logged on, from which address, read over MSRPC from the
//! server's own security log.
//!
//! ```text
//! last committed bookmark ─► endpoint ─► sealed bind ─► subscription ─► pull ─► events + bookmark ─► cache
//!        ▲                                                               │ none: wait until told
//!        └───────────────── pause, after whatever goes wrong ◄───────────┘   left out: was it lost?
//! ```
//!
//! While the events of one answer are being committed, the next answer is asked for and read; it is
//! handed over when they are.

mod connection;
mod decoder;
mod error;
pub(crate) mod factory;
mod gaps;
mod in_flight;
mod registry;
mod status;
mod subscription;
mod subscription_loop;
mod telemetry;
mod test_run;

use std::sync::Arc;
use std::time::Duration;

use rollcall_config as config;
use rollcall_identity::Producer as ProducerKind;

pub use self::error::{EventLogError, EventLogStage};
pub use self::registry::EventLogs;
pub use self::status::{Cause, EventLogState, EventLogStatus, LastEvent, LastFailure, LastGap};
use self::subscription_loop::Follower;
pub use self::test_run::{EventLogTestReport, test};
use super::{EventSink, Producer, ProducerFuture, StopSignal};
use crate::event_log::telemetry::EventLogStarted;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::status_cell::StatusCell;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The channel that is read.
const CHANNEL: &str = "Security";

/// A server whose log can be read.
pub struct EventLog {
    source: Source,
    clock: Clock,
    board: Arc<StatusCell<EventLogStatus>>,
    /// Those beside it.
    logs: EventLogs,
}

/// A server, with what is configured for it and those beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The section that it is in.
    settings: config::EventLog,
    /// Itself.
    server: config::EventLogSource,
}

impl Source {
    /// The sources of `settings`.
    pub fn all(settings: &config::EventLog) -> impl Iterator<Item = Self> {
        settings.sources.iter().map(|server| {
            // Another server beside it changes nothing for this one.
            let settings = config::EventLog { sources: Vec::new(), ..settings.clone() };
            Self { settings, server: server.clone() }
        })
    }

    /// Its name as a producer.
    pub const fn name(&self) -> &rollcall_identity::Name {
        &self.server.name
    }
}

impl EventLog {
    /// A producer that reads `source`, and shall be one of `logs`. Nothing is connected yet.
    pub fn new(source: Source, clock: Clock, logs: EventLogs) -> Self {
        Self { source, clock, board: Arc::default(), logs }
    }
}

/// How long it waits before it tries again after a failure: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// How long it waits after the account was refused: a wrong password that is tried as often as a lost
/// connection would lock the account.
const REFUSED: Duration = Duration::from_secs(300);

impl Producer for EventLog {
    fn kind(&self) -> ProducerKind {
        ProducerKind::EventLog
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            EventLogStarted { producer: sink.producer() }.emit();
            let mut follower = Follower::new(&self, &sink);
            let following = async {
                let (first, longest) = PAUSES;
                let mut pause = first;
                loop {
                    let failure = follower.follow().await;
                    follower.failed(&failure);
                    // Whoever gave events is tried again soon.
                    pause = if follower.has_heard() { first } else { pause };
                    let chance = Duration::from_millis(fastrand::u64(0..250));
                    let wait = match failure {
                        // It is well, but for its silence: its next event is not to wait.
                        EventLogError::Quiet(_) => first,
                        _ if failure.refuses_the_account() => REFUSED,
                        _ => pause,
                    };
                    tokio::time::sleep(wait + chance).await;
                    pause = longest.min(pause * 2);
                }
            };
            // What was handed over is decided without us, and its bookmark committed with it.
            tokio::select! {
                biased;
                () = stop.requested() => Ok(()),
                never = following => never,
            }
        })
    }
}
