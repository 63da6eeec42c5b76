//! What is counted where bytes become events: what came, what was dropped and why, directories and event logs.

use metrics::Unit;

use rollcall_runtime::metric::Instrument::{Counter, Gauge, Histogram};
use rollcall_runtime::metric::Row;

/// The declarations, in the order of the documentation.
pub const ROWS: &[Row] = &[
    (
        "rollcall_receiving_items_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Events received, and lines and bodies out of which no event could be made",
    ),
    (
        "rollcall_receiving_dropped_total",
        Counter,
        Unit::Count,
        &["producer", "reason", "form"],
        "Items that ended before a decision, by reason and by template or dialect",
    ),
    (
        "rollcall_receiving_kernel_drops_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Datagrams that the kernel dropped because nobody read them in time",
    ),
    (
        "rollcall_receiving_directory_anew_total",
        Counter,
        Unit::Count,
        &["producer", "why"],
        "How often all of a directory was read and not only what changed, by why: first, start, due, other_server, restored and set_back, the server was restored from a copy",
    ),
    (
        "rollcall_receiving_directory_connected",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a domain controller answers: 1, or 0 while what was known last is in force",
    ),
    (
        "rollcall_receiving_directory_current_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        &["producer"],
        "When the directory last said everything that it knows, as a Unix time",
    ),
    (
        "rollcall_receiving_directory_failures_total",
        Counter,
        Unit::Count,
        &["producer", "stage"],
        "How often a directory could not be read, by how far it came: names, connect, tls, credentials, rights, read, learning",
    ),
    (
        "rollcall_receiving_directory_notifies",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a domain controller says at once that something changed: 1, or 0 while it is asked at its interval only",
    ),
    (
        "rollcall_receiving_directory_objects_total",
        Counter,
        Unit::Count,
        &["producer", "way"],
        "Objects of a directory that were read, whole or as changes",
    ),
    (
        "rollcall_receiving_directory_problems_total",
        Counter,
        Unit::Count,
        &["producer", "problem"],
        "Objects of a directory, or values of them, that could not be used, by what is wrong",
    ),
    (
        "rollcall_receiving_directory_read_seconds",
        Histogram,
        Unit::Seconds,
        &["producer", "way"],
        "Time that a reading of a directory took, whole or changes",
    ),
    (
        "rollcall_receiving_directory_searches_total",
        Counter,
        Unit::Count,
        &["producer", "way"],
        "Searches that a reading of a directory took, each page one, whole or as changes",
    ),
    (
        "rollcall_receiving_event_log_connected",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a server's event log is followed: 1, or 0 while it is tried again",
    ),
    (
        "rollcall_receiving_event_log_failures_total",
        Counter,
        Unit::Count,
        &["producer", "stage"],
        "How often an event log could not be followed, by how far it came: names, endpoint, credentials, rights, read, handing_over",
    ),
    (
        "rollcall_receiving_event_log_gaps_total",
        Counter,
        Unit::Count,
        &["producer", "cause"],
        "How often events of a server were lost, by how: refused and overwritten, the log is too small; cleared; begun_anew, another log is in its place; audits_lost, Windows lost them before it wrote them",
    ),
    (
        "rollcall_receiving_event_log_silent",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a connected server had no event for longer than is configured: 1, until the next",
    ),
    (
        "rollcall_receiving_event_log_unaudited",
        Gauge,
        Unit::Count,
        &["producer", "subcategory"],
        "Whether a server does not audit successes that logons are read from, by its own word or by their absence: kerberos_authentication, kerberos_tickets, logon, logoff, other_logon",
    ),
    (
        "rollcall_receiving_event_log_unreadable_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Records of an event log that could not be read; they are dropped with the reason unreadable, too",
    ),
    (
        "rollcall_receiving_over_share_total",
        Counter,
        Unit::Count,
        &["producer", "client"],
        "Datagrams dropped because a client sent more than its share of a socket that overflowed",
    ),
    (
        "rollcall_receiving_streams_refused_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections turned away: unknown sender, too many, TLS",
    ),
    (
        "rollcall_receiving_streams_closed_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections that ended, and why",
    ),
];
