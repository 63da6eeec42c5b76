//! Reads logons from the security log of a Windows server over MSRPC (MS-EVEN6).
//!
//! ```text
//! committed bookmark ─► endpoint ─► sealed bind ─► subscription ─► pull ─► events + bookmark ─► cache
//!        ▲                                                          │ none: wait for the server
//!        └──────────────── backoff after a failure ◄────────────────┘ record numbers missing: lost?
//! ```
//!
//! While the events of one response are committed, the next response is requested and decoded. It is
//! submitted after the commit.

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

use rollcall_config as config;
use rollcall_identity::Producer as ProducerKind;

pub use self::error::EventLogError;
pub use self::registry::EventLogs;
pub use self::status::{EventLogState, EventLogStatus, GapCause, LastEvent, LastGap};
use self::subscription_loop::EventLogReader;
pub use self::test_run::test;
use super::{EventSink, Producer, ProducerFuture, StopSignal};
use crate::event_log::telemetry::EventLogStarted;
use crate::remote::{AccountGuard, RemoteAccount, follow};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::status_cell::StatusCell;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The log that is read.
const CHANNEL: &str = "Security";

/// The producer of one server.
pub struct EventLog {
    source: Source,
    account: RemoteAccount,
    clock: Clock,
    status: Arc<StatusCell<EventLogStatus>>,
    /// All event logs, this one included.
    logs: EventLogs,
}

/// A server, and the configuration of its section.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The section, without its servers.
    settings: config::EventLog,
    /// The server.
    server: config::EventLogSource,
}

impl Source {
    /// The sources of `settings`.
    pub fn all(settings: &config::EventLog) -> impl Iterator<Item = Self> {
        settings.sources.iter().map(|server| {
            // A change of another server must not change this source.
            let settings = config::EventLog { sources: Vec::new(), ..settings.clone() };
            Self { settings, server: server.clone() }
        })
    }

    /// The name of the producer.
    pub const fn name(&self) -> &rollcall_identity::Name {
        &self.server.name
    }

    /// The account that reads the log. All sources that use it share the bound on its attempts.
    fn account(&self, guard: &AccountGuard) -> RemoteAccount {
        let config::EventLog { account, limits, .. } = &self.settings;
        guard.account(account, None, limits.credential_retry)
    }
}

impl EventLog {
    /// The producer that reads `source`. It does not connect yet.
    pub fn new(source: Source, clock: Clock, logs: EventLogs, accounts: &AccountGuard) -> Self {
        let account = source.account(accounts);
        Self { source, account, clock, status: Arc::default(), logs }
    }
}

impl Producer for EventLog {
    fn kind(&self) -> ProducerKind {
        ProducerKind::EventLog
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            EventLogStarted { producer: sink.producer() }.emit();
            let mut reader = EventLogReader::new(&self, &sink);
            // Submitted events are decided without this producer, and their bookmark is committed
            // with them.
            tokio::select! {
                biased;
                () = stop.requested() => Ok(()),
                never = follow(&mut reader, &self.account, sink.producer()) => match never {},
            }
        })
    }
}
