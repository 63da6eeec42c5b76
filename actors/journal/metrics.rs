//! The metrics of the journal.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::COMMITTING;

pub(crate) static JOURNAL_BATCHES_REFUSED: Counter<0> = Counter::new(
    "rollcall_journal_batches_refused_total",
    [],
    "Batches that the journal could not take",
);

pub(crate) static JOURNAL_UNAVAILABLE: Gauge<0> = Gauge::new(
    "rollcall_journal_unavailable",
    [],
    "Whether the journal takes no events at the moment: 0 is right",
);

pub(crate) static JOURNAL_WRITE_FAILURES: Counter<0> = Counter::new(
    "rollcall_journal_write_failures_total",
    [],
    "How often the journal began to take no events",
);

pub(crate) static JOURNAL_COMMIT_SECONDS: Histogram<0> = Histogram::new(
    "rollcall_journal_commit_seconds",
    [],
    "Time to append and commit a group of batches",
    COMMITTING,
);

pub(crate) static JOURNAL_RECOVERY_SECONDS: Gauge<0> =
    Gauge::new("rollcall_journal_recovery_seconds", [], "How long the last start read the journal");

pub(crate) static JOURNAL_CORRUPT_FILES: Counter<0> = Counter::new(
    "rollcall_journal_corrupt_files_total",
    [],
    "Files of the journal that were found damaged",
);

pub(crate) static JOURNAL_EVENTS_QUARANTINED: Counter<0> = Counter::new(
    "rollcall_journal_events_quarantined_total",
    [],
    "Events of the journal that were left out because folding them panics",
);

pub(crate) static JOURNAL_SEGMENTS_SEALED: Counter<0> = Counter::new(
    "rollcall_journal_segments_sealed_total",
    [],
    "Segments of the journal that were sealed",
);

pub(crate) static JOURNAL_SEGMENTS_ANONYMIZED: Counter<0> = Counter::new(
    "rollcall_journal_segments_anonymized_total",
    [],
    "Segments out of which the names were taken, because they had had their time",
);

pub(crate) static JOURNAL_SNAPSHOTS: Counter<0> =
    Counter::new("rollcall_journal_snapshots_total", [], "How often the table was written down");

pub(crate) static JOURNAL_MAINTENANCE_FAILURES: Counter<1> = Counter::new(
    "rollcall_journal_maintenance_failures_total",
    ["task"],
    "Chores beside the journal that failed and are tried again: snapshot, tidy",
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    JOURNAL_BATCHES_REFUSED.declaration(),
    JOURNAL_UNAVAILABLE.declaration(),
    JOURNAL_WRITE_FAILURES.declaration(),
    JOURNAL_COMMIT_SECONDS.declaration(),
    JOURNAL_RECOVERY_SECONDS.declaration(),
    JOURNAL_CORRUPT_FILES.declaration(),
    JOURNAL_EVENTS_QUARANTINED.declaration(),
    JOURNAL_SEGMENTS_SEALED.declaration(),
    JOURNAL_SEGMENTS_ANONYMIZED.declaration(),
    JOURNAL_SNAPSHOTS.declaration(),
    JOURNAL_MAINTENANCE_FAILURES.declaration(),
];
