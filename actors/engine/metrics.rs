//! The metrics of the cache actor, the query actor and the table.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::PROPAGATION;

pub(crate) static EVENTS_DECIDED: Counter<3> = Counter::new(
    "rollcall_events_decided_total",
    ["producer", "outcome", "reason"],
    "Events decided: applied, deduplicated or refused, and by which rule",
);

pub(crate) static SESSIONS: Gauge<0> =
    Gauge::new("rollcall_sessions", [], "Addresses with a user or a device");

pub(crate) static REVISION: Gauge<0> = Gauge::new("rollcall_revision", [], "The newest revision");

pub(crate) static CACHE_RECOVERIES: Counter<0> = Counter::new(
    "rollcall_cache_recoveries_total",
    [],
    "How often the cache was replaced and took its sessions over",
);

pub(crate) static SHARED_ADDRESSES: Counter<0> = Counter::new(
    "rollcall_shared_addresses_total",
    [],
    "How often so many users came to an address within a minute that its user was taken from it",
);

pub(crate) static CACHE_RECOVERY_FAILURES: Counter<0> = Counter::new(
    "rollcall_cache_recovery_failures_total",
    [],
    "How often cache and query actor ended at once, and sessions were lost",
);

pub(crate) static QUERY_RECOVERIES: Counter<0> = Counter::new(
    "rollcall_query_recoveries_total",
    [],
    "How often the query actor was replaced and took its sessions over",
);

pub(crate) static PROPAGATION_LATENCY_SECONDS: Histogram<0> = Histogram::new(
    "rollcall_propagation_latency_seconds",
    [],
    "From the arrival of an event to the moment when every answer knows of it",
    PROPAGATION,
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    EVENTS_DECIDED.declaration(),
    SESSIONS.declaration(),
    REVISION.declaration(),
    CACHE_RECOVERIES.declaration(),
    SHARED_ADDRESSES.declaration(),
    CACHE_RECOVERY_FAILURES.declaration(),
    QUERY_RECOVERIES.declaration(),
    PROPAGATION_LATENCY_SECONDS.declaration(),
];
