//! The metrics of producers.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::READING;

pub(crate) static SYSLOG_KERNEL_DROPS: Counter<1> = Counter::new(
    "rollcall_syslog_kernel_drops_total",
    ["producer"],
    "Datagrams that the kernel dropped because nobody read them in time",
);

pub(crate) static DIRECTORY_FULL_RESYNCS: Counter<2> = Counter::new(
    "rollcall_directory_full_resyncs_total",
    ["producer", "reason"],
    "How often all of a directory was read and not only what changed, by why: first, start, due, other_server, restored and set_back, the server was restored from a copy",
);

pub(crate) static DIRECTORY_CONNECTED: Gauge<1> = Gauge::new(
    "rollcall_directory_connected",
    ["producer"],
    "Whether a domain controller answers: 1, or 0 while what was known last is in force",
);

pub(crate) static DIRECTORY_CURRENT_TIMESTAMP_SECONDS: Gauge<1> = Gauge::new(
    "rollcall_directory_current_timestamp_seconds",
    ["producer"],
    "When the directory last said everything that it knows, as a Unix time",
);

pub(crate) static DIRECTORY_FAILURES: Counter<2> = Counter::new(
    "rollcall_directory_failures_total",
    ["producer", "stage"],
    "How often a directory could not be read, by how far it came: names, connect, tls, credentials, rights, read, learning",
);

pub(crate) static DIRECTORY_CHANGE_NOTIFICATION: Gauge<1> = Gauge::new(
    "rollcall_directory_change_notification",
    ["producer"],
    "Whether a domain controller says at once that something changed: 1, or 0 while it is asked at its interval only",
);

pub(crate) static DIRECTORY_OBJECTS: Counter<2> = Counter::new(
    "rollcall_directory_objects_total",
    ["producer", "mode"],
    "Objects of a directory that were read, whole or as changes",
);

pub(crate) static DIRECTORY_PROBLEMS: Counter<2> = Counter::new(
    "rollcall_directory_problems_total",
    ["producer", "problem"],
    "Objects of a directory, or values of them, that could not be used, by what is wrong",
);

pub(crate) static DIRECTORY_READ_SECONDS: Histogram<2> = Histogram::new(
    "rollcall_directory_read_seconds",
    ["producer", "mode"],
    "Time that a reading of a directory took, whole or changes",
    READING,
);

pub(crate) static DIRECTORY_SEARCHES: Counter<2> = Counter::new(
    "rollcall_directory_searches_total",
    ["producer", "mode"],
    "Searches that a reading of a directory took, each page one, whole or as changes",
);

pub(crate) static EVENT_LOG_CONNECTED: Gauge<1> = Gauge::new(
    "rollcall_event_log_connected",
    ["producer"],
    "Whether a server's event log is followed: 1, or 0 while it is tried again",
);

pub(crate) static EVENT_LOG_FAILURES: Counter<2> = Counter::new(
    "rollcall_event_log_failures_total",
    ["producer", "stage"],
    "How often an event log could not be followed, by how far it came: names, endpoint, credentials, rights, read, handing_over",
);

pub(crate) static EVENT_LOG_GAPS: Counter<2> = Counter::new(
    "rollcall_event_log_gaps_total",
    ["producer", "cause"],
    "How often events of a server were lost, by how: refused and overwritten, the log is too small; cleared; begun_anew, another log is in its place; audits_lost, Windows lost them before it wrote them",
);

pub(crate) static EVENT_LOG_SILENT: Gauge<1> = Gauge::new(
    "rollcall_event_log_silent",
    ["producer"],
    "Whether a connected server had no event for longer than is configured: 1, until the next",
);

pub(crate) static EVENT_LOG_AUDIT_MISSING: Gauge<2> = Gauge::new(
    "rollcall_event_log_audit_missing",
    ["producer", "subcategory"],
    "Whether a server does not audit successes that logons are read from, by its own word or by their absence: kerberos_authentication, kerberos_tickets, logon, logoff, other_logon",
);

pub(crate) static EVENT_LOG_UNREADABLE: Counter<1> = Counter::new(
    "rollcall_event_log_unreadable_total",
    ["producer"],
    "Records of an event log that could not be read; they are dropped with the reason unreadable, too",
);

pub(crate) static SYSLOG_THROTTLED: Counter<2> = Counter::new(
    "rollcall_syslog_throttled_total",
    ["producer", "client"],
    "Datagrams dropped because a client sent more than its share of a socket that overflowed",
);

pub(crate) static SYSLOG_CONNECTIONS_REFUSED: Counter<2> = Counter::new(
    "rollcall_syslog_connections_refused_total",
    ["producer", "reason"],
    "Syslog connections turned away: unknown sender, too many, TLS",
);

pub(crate) static SYSLOG_CONNECTIONS_CLOSED: Counter<2> = Counter::new(
    "rollcall_syslog_connections_closed_total",
    ["producer", "reason"],
    "Syslog connections that ended, and why",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    SYSLOG_KERNEL_DROPS.declaration(),
    DIRECTORY_FULL_RESYNCS.declaration(),
    DIRECTORY_CONNECTED.declaration(),
    DIRECTORY_CURRENT_TIMESTAMP_SECONDS.declaration(),
    DIRECTORY_FAILURES.declaration(),
    DIRECTORY_CHANGE_NOTIFICATION.declaration(),
    DIRECTORY_OBJECTS.declaration(),
    DIRECTORY_PROBLEMS.declaration(),
    DIRECTORY_READ_SECONDS.declaration(),
    DIRECTORY_SEARCHES.declaration(),
    EVENT_LOG_CONNECTED.declaration(),
    EVENT_LOG_FAILURES.declaration(),
    EVENT_LOG_GAPS.declaration(),
    EVENT_LOG_SILENT.declaration(),
    EVENT_LOG_AUDIT_MISSING.declaration(),
    EVENT_LOG_UNREADABLE.declaration(),
    SYSLOG_THROTTLED.declaration(),
    SYSLOG_CONNECTIONS_REFUSED.declaration(),
    SYSLOG_CONNECTIONS_CLOSED.declaration(),
];
