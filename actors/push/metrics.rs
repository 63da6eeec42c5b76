//! The metrics of delivery to push targets.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::REQUESTING;

pub(crate) static PUSH_BYTES: Counter<1> =
    Counter::new("rollcall_push_bytes_total", ["target"], "Bytes of request bodies as sent");

pub(crate) static PUSH_REQUEST_SECONDS: Histogram<1> = Histogram::new(
    "rollcall_push_request_seconds",
    ["target"],
    "Time from a batch to its acknowledgement or failure",
    REQUESTING,
);

pub(crate) static PUSH_FAILURES: Counter<2> = Counter::new(
    "rollcall_push_failures_total",
    ["target", "reason"],
    "Failed requests to a push target, which are retried",
);

pub(crate) static PUSH_CONSISTENCY_CHECKS: Counter<2> = Counter::new(
    "rollcall_push_consistency_checks_total",
    ["target", "outcome"],
    "Consistency checks of a push target: same, differs, unsupported or error",
);

pub(crate) static PUSH_CURSOR_WRITE_FAILURES: Counter<1> = Counter::new(
    "rollcall_push_cursor_write_failures_total",
    ["target"],
    "Failures to write the position of a push target to disk",
);

pub(crate) static PUSH_LAG_REVISIONS: Gauge<1> = Gauge::new(
    "rollcall_push_lag_revisions",
    ["target"],
    "Revisions between the newest one and the last one that the push target acknowledged",
);

pub(crate) static PUSH_LAG_SECONDS: Gauge<1> = Gauge::new(
    "rollcall_push_lag_seconds",
    ["target"],
    "Time since the push target last had every change; 0 while it has",
);

pub(crate) static PUSH_REPORTS: Counter<2> = Counter::new(
    "rollcall_push_reports_total",
    ["target", "outcome"],
    "Reports that a push target accepted, had already (duplicate), or will never accept (refused)",
);

pub(crate) static PUSH_FULL_RESYNCS: Counter<2> = Counter::new(
    "rollcall_push_full_resyncs_total",
    ["target", "reason"],
    "Full resyncs of a push target: empty, scope, tombstones_expired, lost, drift or requested",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    PUSH_REPORTS.declaration(),
    PUSH_FULL_RESYNCS.declaration(),
    PUSH_BYTES.declaration(),
    PUSH_REQUEST_SECONDS.declaration(),
    PUSH_FAILURES.declaration(),
    PUSH_CONSISTENCY_CHECKS.declaration(),
    PUSH_CURSOR_WRITE_FAILURES.declaration(),
    PUSH_LAG_REVISIONS.declaration(),
    PUSH_LAG_SECONDS.declaration(),
];
