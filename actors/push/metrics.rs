//! What is counted where targets are told: reports, failures, how far behind each target is.

use metrics::Unit;

use rollcall_runtime::metric::Instrument::{Counter, Gauge, Histogram};
use rollcall_runtime::metric::Row;

/// The declarations, in the order of the documentation.
pub const ROWS: &[Row] = &[
    (
        "rollcall_pushing_reports_total",
        Counter,
        Unit::Count,
        &["target", "outcome"],
        "Reports that a push target took (accepted), knew already (duplicate), or will never take \
         (refused)",
    ),
    (
        "rollcall_pushing_bytes_total",
        Counter,
        Unit::Bytes,
        &["target"],
        "Bytes of request bodies, as they went over the line",
    ),
    (
        "rollcall_pushing_request_seconds",
        Histogram,
        Unit::Seconds,
        &["target"],
        "From a batch that is read to its acknowledgement, or to its failure",
    ),
    (
        "rollcall_pushing_failures_total",
        Counter,
        Unit::Count,
        &["target", "reason"],
        "How often something did not arrive at a push target and was tried again",
    ),
    (
        "rollcall_pushing_synchronisations_total",
        Counter,
        Unit::Count,
        &["target", "reason"],
        "How often a push target was told everything anew: empty, scope, too_long_away, lost, \
         drift or requested",
    ),
    (
        "rollcall_pushing_checks_total",
        Counter,
        Unit::Count,
        &["target", "outcome"],
        "Comparisons of what a push target holds with what it should hold: same, differs, untold or unanswered",
    ),
    (
        "rollcall_pushing_positions_not_kept_total",
        Counter,
        Unit::Count,
        &["target"],
        "How often the position of a push target could not be written to the disk",
    ),
    (
        "rollcall_pushing_lag_changes",
        Gauge,
        Unit::Count,
        &["target"],
        "Revisions between the newest and the last that a push target acknowledged",
    ),
    (
        "rollcall_pushing_lag_seconds",
        Gauge,
        Unit::Seconds,
        &["target"],
        "For how long a push target has not had everything; 0 when it has",
    ),
];
