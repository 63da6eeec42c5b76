//! The metrics of producers.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::READING;

pub(crate) static SYSLOG_KERNEL_DROPS: Counter<1> = Counter::new(
    "rollcall_syslog_kernel_drops_total",
    ["producer"],
    "Datagrams dropped by the kernel because the socket buffer was full",
);

pub(crate) static DIRECTORY_FULL_RESYNCS: Counter<2> = Counter::new(
    "rollcall_directory_full_resyncs_total",
    ["producer", "reason"],
    "Full reads of a directory by reason: first, start, due, other_server, restored and usn_rollback (the server was restored from a backup)",
);

pub(crate) static DIRECTORY_CONNECTED: Gauge<1> = Gauge::new(
    "rollcall_directory_connected",
    ["producer"],
    "1 while a domain controller is connected; 0 while the last known state is used",
);

pub(crate) static DIRECTORY_CURRENT_TIMESTAMP_SECONDS: Gauge<1> = Gauge::new(
    "rollcall_directory_current_timestamp_seconds",
    ["producer"],
    "Unix time at which the directory was last read completely",
);

pub(crate) static DIRECTORY_FAILURES: Counter<2> = Counter::new(
    "rollcall_directory_failures_total",
    ["producer", "stage"],
    "Failed reads of a directory by step: resolve, connect, tls, credentials, rights, read, submit",
);

pub(crate) static DIRECTORY_CHANGE_NOTIFICATION: Gauge<1> = Gauge::new(
    "rollcall_directory_change_notification",
    ["producer"],
    "1 while a domain controller sends change notifications; 0 while the directory is polled",
);

pub(crate) static DIRECTORY_OBJECTS: Counter<2> = Counter::new(
    "rollcall_directory_objects_total",
    ["producer", "mode"],
    "Directory objects read, by full read (full) or incremental read (changes)",
);

pub(crate) static DIRECTORY_PROBLEMS: Counter<2> = Counter::new(
    "rollcall_directory_problems_total",
    ["producer", "problem"],
    "Directory objects or values that could not be used, by problem",
);

pub(crate) static DIRECTORY_READ_SECONDS: Histogram<2> = Histogram::new(
    "rollcall_directory_read_seconds",
    ["producer", "mode"],
    "Duration of directory reads, full (full) or incremental (changes)",
    READING,
);

pub(crate) static DIRECTORY_SEARCHES: Counter<2> = Counter::new(
    "rollcall_directory_searches_total",
    ["producer", "mode"],
    "LDAP searches of directory reads, one per page",
);

pub(crate) static EVENT_LOG_CONNECTED: Gauge<1> = Gauge::new(
    "rollcall_event_log_connected",
    ["producer"],
    "1 while the event log of a server is followed; 0 while it is retried",
);

pub(crate) static EVENT_LOG_FAILURES: Counter<2> = Counter::new(
    "rollcall_event_log_failures_total",
    ["producer", "stage"],
    "Failures to follow an event log by step: resolve, endpoint, connect, credentials, rights, read, submit",
);

pub(crate) static CREDENTIALS_REFUSED: Gauge<1> = Gauge::new(
    "rollcall_producer_credentials_refused",
    ["producer"],
    "1 while a producer pauses because its account was refused: wrong password, locked, disabled or expired",
);

pub(crate) static EVENT_LOG_GAPS: Counter<2> = Counter::new(
    "rollcall_event_log_gaps_total",
    ["producer", "cause"],
    "Losses of events of a server: refused and overwritten (the log is too small), cleared, log_reset (another log replaced it), audits_lost (lost by Windows before writing)",
);

pub(crate) static EVENT_LOG_SILENT: Gauge<1> = Gauge::new(
    "rollcall_event_log_silent",
    ["producer"],
    "1 while a connected server has sent no event for longer than configured",
);

pub(crate) static EVENT_LOG_AUDIT_MISSING: Gauge<2> = Gauge::new(
    "rollcall_event_log_audit_missing",
    ["producer", "subcategory"],
    "1 while a server does not audit a required subcategory: kerberos_authentication, kerberos_tickets, logon, logoff, other_logon",
);

pub(crate) static EVENT_LOG_UNREADABLE: Counter<1> = Counter::new(
    "rollcall_event_log_unreadable_total",
    ["producer"],
    "Event log records that could not be decoded; they also count as dropped with the reason unreadable",
);

pub(crate) static SYSLOG_THROTTLED: Counter<2> = Counter::new(
    "rollcall_syslog_throttled_total",
    ["producer", "client"],
    "Datagrams dropped because a client exceeded its fair share of an overflowing socket",
);

pub(crate) static SYSLOG_CONNECTIONS_REFUSED: Counter<2> = Counter::new(
    "rollcall_syslog_connections_refused_total",
    ["producer", "reason"],
    "Refused syslog connections by reason: unknown sender, too many, TLS",
);

pub(crate) static SYSLOG_CONNECTIONS_CLOSED: Counter<2> = Counter::new(
    "rollcall_syslog_connections_closed_total",
    ["producer", "reason"],
    "Closed syslog connections by reason",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    SYSLOG_KERNEL_DROPS.declaration(),
    CREDENTIALS_REFUSED.declaration(),
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
