//! Telemetry events of the cache actor and the query actor.

use std::time::Duration;

use rollcall_identity::{Address, Name, Origin, UngrantedDetails, Verdict};
use tracing::{error, trace, warn};

use rollcall_runtime::event_counts::{DecisionOutcome, EventCounts};
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// The table decided events of one origin.
pub(crate) struct Decided<'a> {
    pub origin: &'a Origin,
    pub verdict: Verdict,
    pub ungranted: UngrantedDetails,
    pub count: u64,
}

impl TelemetryEvent for Decided<'_> {
    fn emit(self) {
        let Self { origin, verdict, ungranted, count } = self;
        let decision = match verdict {
            Verdict::Applied(_) => DecisionOutcome::Applied,
            Verdict::Deduplicated => DecisionOutcome::Deduplicated,
            Verdict::Refused(_) => DecisionOutcome::Refused,
        };
        EventCounts::of(origin.producer.as_str()).add_decided(decision, count);
        metrics::EVENTS_DECIDED
            .with([
                origin.producer.to_string().into(),
                verdict.outcome().into(),
                verdict.reason().into(),
            ])
            .increment(count);
        for detail in ungranted.names() {
            let labels = [origin.client.to_string().into(), detail.into()];
            metrics::UNGRANTED_DETAILS.with(labels).increment(count);
        }
        trace!(client = %origin.client, ?verdict, count, "decided");
    }
}

/// An address has logins of so many users that it is treated as shared and has no user.
pub(crate) struct AddressShared<'a> {
    pub origin: &'a Origin,
    pub address: Address,
}

impl TelemetryEvent for AddressShared<'_> {
    fn emit(self) {
        let Self { origin, address } = self;
        metrics::SHARED_ADDRESSES.with([]).increment(1);
        warn!(
            producer = %origin.producer, client = %origin.client, %address,
            "address has logins of too many users and is treated as shared: no user is assigned to it"
        );
    }
}

/// The size of the table after a batch.
pub(crate) struct TableSize {
    pub sessions: usize,
    pub revision: u64,
}

impl TelemetryEvent for TableSize {
    fn emit(self) {
        metrics::SESSIONS.with([]).set(self.sessions as f64);
        metrics::REVISION.with([]).set(self.revision as f64);
    }
}

/// The maximum number of sessions.
pub(crate) struct SessionLimit(pub usize);

impl TelemetryEvent for SessionLimit {
    fn emit(self) {
        metrics::SESSION_LIMIT.with([]).set(self.0 as f64);
    }
}

/// The sessions that a client began, and its quota.
pub(crate) struct ClientSessions<'a> {
    pub producer: &'a Name,
    pub client: &'a Name,
    pub sessions: usize,
    pub quota: Option<usize>,
    /// Whether the sessions have just reached [`QUOTA_WARNING`] of the quota.
    pub is_near_quota: bool,
}

/// The share of a quota at which a warning is logged, in percent.
pub(crate) const QUOTA_WARNING: usize = 80;

impl TelemetryEvent for ClientSessions<'_> {
    fn emit(self) {
        let Self { producer, client, sessions, quota, is_near_quota } = self;
        let labels = || [producer.to_string().into(), client.to_string().into()];
        metrics::CLIENT_SESSIONS.with(labels()).set(sessions as f64);
        if let Some(quota) = quota {
            metrics::CLIENT_SESSION_QUOTA.with(labels()).set(quota as f64);
            if is_near_quota {
                warn!(
                    %producer, %client, sessions, quota,
                    "client is near its quota of sessions, and will begin no more beyond it: see max_sessions"
                );
            }
        }
    }
}

/// The cache and the query actor ended at the same time, and the journal keeps nothing. Sessions are
/// lost.
pub(crate) struct StateLost {
    pub actor: &'static str,
}

impl TelemetryEvent for StateLost {
    fn emit(self) {
        metrics::CACHE_RECOVERY_FAILURES.with([]).increment(1);
        error!(actor = self.actor, "no state to recover: sessions are lost");
    }
}

/// The cache and the query actor ended at the same time; the table was reloaded from the journal.
pub(crate) struct TableReloaded {
    pub sessions: usize,
}

impl TelemetryEvent for TableReloaded {
    fn emit(self) {
        metrics::CACHE_RECOVERIES.with([]).increment(1);
        warn!(
            sessions = self.sessions,
            "cache and query actor were replaced; state reloaded from the journal"
        );
    }
}

/// The cache was replaced and continues from the journal; the query actor receives the changes that
/// were not published.
pub(crate) struct CacheResumed {
    pub sessions: usize,
    pub missed: usize,
}

impl TelemetryEvent for CacheResumed {
    fn emit(self) {
        let Self { sessions, missed } = self;
        metrics::CACHE_RECOVERIES.with([]).increment(1);
        warn!(sessions, missed, "cache was replaced; state reloaded from the journal");
    }
}

/// The cache was replaced and took its sessions from the query actor, because the journal is in memory
/// or cannot be read. Competing events are lost.
pub(crate) struct CacheRestored<'a> {
    pub sessions: usize,
    pub error: Option<&'a str>,
}

impl TelemetryEvent for CacheRestored<'_> {
    fn emit(self) {
        let Self { sessions, error } = self;
        metrics::CACHE_RECOVERIES.with([]).increment(1);
        warn!(sessions, error, "cache was replaced; sessions taken from the query actor");
    }
}

/// Events became visible to consumers, this long after they were received.
pub(crate) struct EventsVisible {
    pub delay: Duration,
    pub count: usize,
}

impl TelemetryEvent for EventsVisible {
    fn emit(self) {
        metrics::PROPAGATION_LATENCY_SECONDS
            .with([])
            .record_many(self.delay.as_secs_f64(), self.count);
    }
}

/// The query actor was replaced and took its sessions from the cache.
pub(crate) struct QueryRestored {
    pub sessions: usize,
}

impl TelemetryEvent for QueryRestored {
    fn emit(self) {
        metrics::QUERY_RECOVERIES.with([]).increment(1);
        warn!(sessions = self.sessions, "query actor was replaced; sessions taken from the cache");
    }
}
