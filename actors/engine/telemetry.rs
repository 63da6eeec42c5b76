//! What happens where events become changes.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use rollcall_identity::{Address, Origin, Verdict};
use tracing::{debug, error, trace, warn};

use rollcall_runtime::telemetry::TelemetryEvent;

/// The cache decided about events of one origin.
pub(crate) struct Decided<'a> {
    pub origin: &'a Origin,
    pub verdict: Verdict,
    pub count: u64,
}

impl TelemetryEvent for Decided<'_> {
    fn emit(self) {
        let Self { origin, verdict, count } = self;
        counter!(
            "rollcall_deciding_events_total",
            "producer" => origin.producer.to_string(),
            "outcome" => verdict.outcome(), "reason" => verdict.reason()
        )
        .increment(count);
        trace!(client = %origin.client, ?verdict, count, "decided");
    }
}

/// So many users came to an address that it is taken to be shared, and serves none of them.
pub(crate) struct AddressShared<'a> {
    pub origin: &'a Origin,
    pub address: Address,
}

impl TelemetryEvent for AddressShared<'_> {
    fn emit(self) {
        let Self { origin, address } = self;
        counter!("rollcall_deciding_addresses_shared_total").increment(1);
        warn!(
            producer = %origin.producer, client = %origin.client, %address,
            "so many users came to an address that it is taken to be shared"
        );
    }
}

/// The size of the table after a batch.
pub(crate) struct TableGrew {
    pub sessions: usize,
    pub revision: u64,
}

impl TelemetryEvent for TableGrew {
    fn emit(self) {
        gauge!("rollcall_deciding_sessions").set(self.sessions as f64);
        gauge!("rollcall_deciding_revision").set(self.revision as f64);
    }
}

/// The cache or the query actor was replaced, and the other had nothing to take over: both ended
/// at once. Sessions are lost.
pub(crate) struct NothingToRestore {
    pub actor: &'static str,
}

impl TelemetryEvent for NothingToRestore {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_failed_total").increment(1);
        error!(actor = self.actor, "nothing to take over from: sessions are lost");
    }
}

/// The cache and the query actor both ended at once, and the journal knew what they held.
pub(crate) struct TableRecalled {
    pub sessions: usize,
}

impl TelemetryEvent for TableRecalled {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions = self.sessions, "cache and query actor were lost; the journal has it all");
    }
}

/// The cache was replaced and goes on from everything that the journal has; consumers are told of
/// what its predecessor had not shown any more.
pub(crate) struct TableResumed {
    pub sessions: usize,
    pub missed: usize,
}

impl TelemetryEvent for TableResumed {
    fn emit(self) {
        let Self { sessions, missed } = self;
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions, missed, "the cache was replaced; the journal has it all");
    }
}

/// The cache was replaced and took its sessions from the query actor, because the journal did not
/// give them, or keeps none. What had competed is forgotten.
pub(crate) struct TableRestored<'a> {
    pub sessions: usize,
    pub error: Option<&'a str>,
}

impl TelemetryEvent for TableRestored<'_> {
    fn emit(self) {
        let Self { sessions, error } = self;
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions, error, "the cache was replaced; its sessions were kept");
    }
}

/// Events are visible to those who ask: from the moment they were received until now.
pub(crate) struct Visible {
    pub delay: Duration,
    pub count: usize,
}

impl TelemetryEvent for Visible {
    fn emit(self) {
        histogram!("rollcall_answering_event_to_visible_seconds")
            .record_many(self.delay.as_secs_f64(), self.count);
    }
}

/// The query actor was replaced and took its sessions from the cache.
pub(crate) struct LogRestored {
    pub sessions: usize,
}

impl TelemetryEvent for LogRestored {
    fn emit(self) {
        counter!("rollcall_answering_restorations_total").increment(1);
        warn!(sessions = self.sessions, "the query actor was replaced; its sessions were kept");
    }
}
