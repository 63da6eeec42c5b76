//! The metrics of event accounting, the clock and the process.

use crate::metric::{Counter, Gauge, Metric};

pub(crate) static CLOCK_JUMPS: Counter<1> = Counter::new(
    "rollcall_clock_jumps_total",
    ["outcome"],
    "Jumps of the machine clock by more than an hour: suspected, reverted, accepted",
);

pub(crate) static PROCESS_CPU_SECONDS: Counter<0> =
    Counter::new("process_cpu_seconds_total", [], "CPU time of all threads in whole seconds");

pub(crate) static PROCESS_START_TIME_SECONDS: Gauge<0> =
    Gauge::new("process_start_time_seconds", [], "Start time of the process as a Unix time");

pub(crate) static PROCESS_RESIDENT_MEMORY_BYTES: Gauge<0> =
    Gauge::new("process_resident_memory_bytes", [], "Resident memory");

pub(crate) static PROCESS_VIRTUAL_MEMORY_BYTES: Gauge<0> =
    Gauge::new("process_virtual_memory_bytes", [], "Virtual memory");

pub(crate) static PROCESS_THREADS: Gauge<0> = Gauge::new("process_threads", [], "Threads");

pub(crate) static PROCESS_OPEN_FDS: Gauge<0> =
    Gauge::new("process_open_fds", [], "Open file descriptors");

pub(crate) static PROCESS_MAX_FDS: Gauge<0> =
    Gauge::new("process_max_fds", [], "Maximum number of open file descriptors");

/// Counts received events, for producers that start it at zero.
pub static EVENTS_RECEIVED: Counter<1> = Counter::new(
    "rollcall_events_received_total",
    ["producer"],
    "Items received: events, and lines and bodies that gave no event",
);

pub(crate) static EVENTS_DROPPED: Counter<3> = Counter::new(
    "rollcall_events_dropped_total",
    ["producer", "reason", "form"],
    "Items dropped before a decision, by reason and by template or dialect",
);

pub(crate) static CERTIFICATE_EXPIRY: Gauge<1> = Gauge::new(
    "rollcall_certificate_expiry_timestamp_seconds",
    ["listener"],
    "End of the validity of the certificate of a TLS listener, in seconds since 1970",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    EVENTS_DROPPED.declaration(),
    EVENTS_RECEIVED.declaration(),
    CLOCK_JUMPS.declaration(),
    CERTIFICATE_EXPIRY.declaration(),
    PROCESS_CPU_SECONDS.declaration(),
    PROCESS_START_TIME_SECONDS.declaration(),
    PROCESS_RESIDENT_MEMORY_BYTES.declaration(),
    PROCESS_VIRTUAL_MEMORY_BYTES.declaration(),
    PROCESS_THREADS.declaration(),
    PROCESS_OPEN_FDS.declaration(),
    PROCESS_MAX_FDS.declaration(),
];
