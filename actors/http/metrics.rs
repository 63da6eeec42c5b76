//! The metrics of HTTP listeners, enforcement points, validator and REST.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::QUERYING;

pub(crate) static HTTP_REQUESTS: Counter<2> = Counter::new(
    "rollcall_http_requests_total",
    ["listener", "code"],
    "HTTP requests by listener and status",
);

pub(crate) static HTTP_INSECURE_LISTENERS: Gauge<0> = Gauge::new(
    "rollcall_http_insecure_listeners",
    [],
    "Listeners that serve plain HTTP to the network; 0 is recommended",
);

pub(crate) static SSE_CONNECTIONS: Gauge<0> =
    Gauge::new("rollcall_sse_connections", [], "Open connections of the live stream");

pub(crate) static HTTP_CONNECTIONS_REFUSED: Counter<2> = Counter::new(
    "rollcall_http_connections_refused_total",
    ["listener", "reason"],
    "Connections refused by the limit of the listener (total) or of the source (address)",
);

pub(crate) static TOKEN_REQUESTS: Counter<1> = Counter::new(
    "rollcall_token_requests_total",
    ["outcome"],
    "Token requests: granted, locked_out, busy, or an error of RFC 6749",
);

pub(crate) static ENFORCEMENT_QUERIES: Counter<2> = Counter::new(
    "rollcall_enforcement_queries_total",
    ["point", "kind"],
    "Queries of enforcement points that were answered: batch, ip or user",
);

pub(crate) static ENFORCEMENT_REPORTS: Counter<1> = Counter::new(
    "rollcall_enforcement_reports_total",
    ["point"],
    "Reports in answers to enforcement points",
);

pub(crate) static ENFORCEMENT_RESPONSE_BYTES: Counter<1> = Counter::new(
    "rollcall_enforcement_response_bytes_total",
    ["point"],
    "Bytes of response bodies to enforcement points",
);

pub(crate) static ENFORCEMENT_RETRIES: Counter<1> = Counter::new(
    "rollcall_enforcement_retries_total",
    ["point"],
    "Batch queries repeated with the same cookie because the answer did not arrive",
);

pub(crate) static ENFORCEMENT_PROBES_UNSUPPORTED: Counter<1> = Counter::new(
    "rollcall_enforcement_probes_unsupported_total",
    ["point"],
    "IP queries with force-probe, which are answered without a PC probe",
);

pub(crate) static ENFORCEMENT_ROLES_OMITTED: Counter<1> = Counter::new(
    "rollcall_enforcement_roles_omitted_total",
    ["point"],
    "Groups omitted from reports because of the maximum number of roles",
);

pub(crate) static VALIDATOR_REQUESTS: Counter<3> = Counter::new(
    "rollcall_validator_requests_total",
    ["client", "kind", "outcome"],
    "Validator requests about a user, group, device, or none: valid, unknown, listed, or the reason of the refusal",
);

pub(crate) static ENFORCEMENT_QUERY_SECONDS: Histogram<1> = Histogram::new(
    "rollcall_enforcement_query_seconds",
    ["kind"],
    "Time from the receipt of a query to its answer",
    QUERYING,
);

pub(crate) static ENFORCEMENT_QUERY_ERRORS: Counter<2> = Counter::new(
    "rollcall_enforcement_query_errors_total",
    ["point", "reason"],
    "Refused requests on the enforcement listener; the point is unknown without a token",
);

pub(crate) static ENFORCEMENT_FULL_RESYNCS: Counter<1> = Counter::new(
    "rollcall_enforcement_full_resyncs_total",
    ["point"],
    "Full resyncs of enforcement points",
);

pub(crate) static ENFORCEMENT_LAG_REVISIONS: Gauge<1> = Gauge::new(
    "rollcall_enforcement_lag_revisions",
    ["point"],
    "Revisions between the newest one and the last cookie of the enforcement point",
);

pub(crate) static HTTP_UNKNOWN_REQUESTS: Counter<0> = Counter::new(
    "rollcall_http_unknown_requests_total",
    [],
    "Requests of known sources for unknown paths",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    HTTP_REQUESTS.declaration(),
    HTTP_INSECURE_LISTENERS.declaration(),
    SSE_CONNECTIONS.declaration(),
    HTTP_CONNECTIONS_REFUSED.declaration(),
    TOKEN_REQUESTS.declaration(),
    ENFORCEMENT_QUERIES.declaration(),
    ENFORCEMENT_REPORTS.declaration(),
    ENFORCEMENT_RESPONSE_BYTES.declaration(),
    ENFORCEMENT_RETRIES.declaration(),
    ENFORCEMENT_PROBES_UNSUPPORTED.declaration(),
    ENFORCEMENT_ROLES_OMITTED.declaration(),
    VALIDATOR_REQUESTS.declaration(),
    ENFORCEMENT_QUERY_SECONDS.declaration(),
    ENFORCEMENT_QUERY_ERRORS.declaration(),
    ENFORCEMENT_FULL_RESYNCS.declaration(),
    ENFORCEMENT_LAG_REVISIONS.declaration(),
    HTTP_UNKNOWN_REQUESTS.declaration(),
];
