//! What is counted of the whole: jumps of the clock, and the process as Prometheus calls it.

use metrics::Unit;

use crate::metric::Instrument::{Counter, Gauge};
use crate::metric::Row;

/// The declarations, in the order of the documentation.
pub const ROWS: &[Row] = &[
    (
        "rollcall_supervising_clock_jumps_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Times the machine's clock was set by more than an hour: suspected, reverted, accepted",
    ),
    (
        "process_cpu_seconds_total",
        Counter,
        Unit::Seconds,
        &[],
        "Processor time of all threads, in whole seconds",
    ),
    (
        "process_start_time_seconds",
        Gauge,
        Unit::Seconds,
        &[],
        "When the process began, as a Unix time",
    ),
    ("process_resident_memory_bytes", Gauge, Unit::Bytes, &[], "Memory in RAM"),
    ("process_virtual_memory_bytes", Gauge, Unit::Bytes, &[], "Address space"),
    ("process_threads", Gauge, Unit::Count, &[], "Threads"),
    ("process_open_fds", Gauge, Unit::Count, &[], "Open file descriptors"),
    ("process_max_fds", Gauge, Unit::Count, &[], "How many file descriptors may be open"),
];
