//! What is counted where questions become answers: events that become visible, tokens, queries, how far each firewall is.

use metrics::Unit;

use rollcall_runtime::metric::Instrument::{Counter, Gauge, Histogram};
use rollcall_runtime::metric::Row;

/// The declarations, in the order of the documentation.
pub const ROWS: &[Row] = &[
    (
        "rollcall_answering_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the query actor was replaced and took its sessions over",
    ),
    (
        "rollcall_answering_event_to_visible_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "From the arrival of an event to the moment when every answer knows of it",
    ),
    (
        "rollcall_answering_http_requests_total",
        Counter,
        Unit::Count,
        &["listener", "code"],
        "HTTP requests answered, by listener and status",
    ),
    (
        "rollcall_answering_insecure_listeners",
        Gauge,
        Unit::Count,
        &[],
        "Listeners that speak plain HTTP to the network: 0 is right",
    ),
    (
        "rollcall_answering_history_questions_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Questions about the past: told, not_known, unreasonable, too_broad or ill",
    ),
    (
        "rollcall_answering_history_query_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "Time to answer a question about the past from the journal",
    ),
    ("rollcall_answering_streams", Gauge, Unit::Count, &[], "Readers of the live stream"),
    (
        "rollcall_answering_connections_refused_total",
        Counter,
        Unit::Count,
        &["listener", "reason"],
        "Connections over the limit of their listener (total) or of their source (address)",
    ),
    (
        "rollcall_answering_tokens_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Requests for access tokens: granted, locked_out, busy, or an error of RFC 6749",
    ),
    (
        "rollcall_answering_queries_total",
        Counter,
        Unit::Count,
        &["point", "kind"],
        "Questions of enforcement points that were answered: batch, ip or user",
    ),
    (
        "rollcall_answering_reports_total",
        Counter,
        Unit::Count,
        &["point"],
        "Reports in those answers",
    ),
    (
        "rollcall_answering_bytes_total",
        Counter,
        Unit::Bytes,
        &["point"],
        "Bytes of the bodies of those answers",
    ),
    (
        "rollcall_answering_retries_total",
        Counter,
        Unit::Count,
        &["point"],
        "Batches that an enforcement point asked for once more, because no answer came to it",
    ),
    (
        "rollcall_answering_probes_not_made_total",
        Counter,
        Unit::Count,
        &["point"],
        "IP queries with force-probe, which are answered with what is known: PCs are not probed",
    ),
    (
        "rollcall_answering_roles_left_out_total",
        Counter,
        Unit::Count,
        &["point"],
        "Groups that those reports leave out because somebody has more than go out",
    ),
    (
        "rollcall_answering_validations_total",
        Counter,
        Unit::Count,
        &["client", "kind", "outcome"],
        "Requests on the validator listener about a user, group, device, or none: valid, unknown, listed, or why they were refused",
    ),
    (
        "rollcall_answering_query_seconds",
        Histogram,
        Unit::Seconds,
        &["kind"],
        "From a question that is read whole to its answer",
    ),
    (
        "rollcall_answering_query_errors_total",
        Counter,
        Unit::Count,
        &["point", "reason"],
        "Requests on the enforcement listener that were refused; point unknown without a token",
    ),
    (
        "rollcall_answering_resyncs_total",
        Counter,
        Unit::Count,
        &["point"],
        "How often an enforcement point began from nothing",
    ),
    (
        "rollcall_answering_lag_changes",
        Gauge,
        Unit::Count,
        &["point"],
        "Revisions between the newest and the last cookie of an enforcement point",
    ),
    (
        "rollcall_answering_unknown_routes_total",
        Counter,
        Unit::Count,
        &[],
        "Requests of known sources for something that is not there",
    ),
];
