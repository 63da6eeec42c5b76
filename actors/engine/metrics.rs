//! The metrics of the cache actor, the query actor and the table.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::PROPAGATION;

pub(crate) static EVENTS_DECIDED: Counter<3> = Counter::new(
    "rollcall_events_decided_total",
    ["producer", "outcome", "reason"],
    "Events decided by the table: applied, deduplicated or refused, with the rule",
);

pub(crate) static UNGRANTED_DETAILS: Counter<2> = Counter::new(
    "rollcall_ungranted_details_total",
    ["client", "detail"],
    "Events with roles, a device or a posture that were ignored: the client is not granted them",
);

pub(crate) static SESSIONS: Gauge<0> =
    Gauge::new("rollcall_sessions", [], "Active sessions: addresses with a user or a device");

pub(crate) static SESSION_LIMIT: Gauge<0> =
    Gauge::new("rollcall_session_limit", [], "Maximum number of sessions: rules.max_sessions");

pub(crate) static CLIENT_SESSIONS: Gauge<2> = Gauge::new(
    "rollcall_client_sessions",
    ["producer", "client"],
    "Active sessions that a client began",
);

pub(crate) static CLIENT_SESSION_QUOTA: Gauge<2> = Gauge::new(
    "rollcall_client_session_quota",
    ["producer", "client"],
    "Maximum number of active sessions that a client may begin: max_sessions",
);

pub(crate) static REVISION: Gauge<0> = Gauge::new("rollcall_revision", [], "The newest revision");

pub(crate) static CACHE_RECOVERIES: Counter<0> = Counter::new(
    "rollcall_cache_recoveries_total",
    [],
    "Replacements of the cache that recovered its sessions",
);

pub(crate) static SHARED_ADDRESSES: Counter<0> = Counter::new(
    "rollcall_shared_addresses_total",
    [],
    "Times an address lost its user because too many users logged in within a minute",
);

pub(crate) static CACHE_RECOVERY_FAILURES: Counter<0> = Counter::new(
    "rollcall_cache_recovery_failures_total",
    [],
    "Times cache and query actor ended together and sessions were lost",
);

pub(crate) static QUERY_RECOVERIES: Counter<0> = Counter::new(
    "rollcall_query_recoveries_total",
    [],
    "Replacements of the query actor that recovered its sessions",
);

pub(crate) static PROPAGATION_LATENCY_SECONDS: Histogram<0> = Histogram::new(
    "rollcall_propagation_latency_seconds",
    [],
    "Time from the receipt of an event to its visibility in every answer",
    PROPAGATION,
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    EVENTS_DECIDED.declaration(),
    UNGRANTED_DETAILS.declaration(),
    SESSIONS.declaration(),
    SESSION_LIMIT.declaration(),
    CLIENT_SESSIONS.declaration(),
    CLIENT_SESSION_QUOTA.declaration(),
    REVISION.declaration(),
    CACHE_RECOVERIES.declaration(),
    SHARED_ADDRESSES.declaration(),
    CACHE_RECOVERY_FAILURES.declaration(),
    QUERY_RECOVERIES.declaration(),
    PROPAGATION_LATENCY_SECONDS.declaration(),
];
