//! The metrics of the journal.

use rollcall_runtime::metric::{Counter, Gauge, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::COMMITTING;

pub(crate) static JOURNAL_BATCHES_REFUSED: Counter<0> =
    Counter::new("rollcall_journal_batches_refused_total", [], "Batches that the journal refused");

pub(crate) static JOURNAL_UNAVAILABLE: Gauge<0> = Gauge::new(
    "rollcall_journal_unavailable",
    [],
    "1 while the journal is not writable, otherwise 0",
);

pub(crate) static JOURNAL_WRITE_FAILURES: Counter<0> = Counter::new(
    "rollcall_journal_write_failures_total",
    [],
    "Times the journal became unwritable",
);

pub(crate) static JOURNAL_COMMIT_SECONDS: Histogram<0> = Histogram::new(
    "rollcall_journal_commit_seconds",
    [],
    "Time to append and commit a group of batches",
    COMMITTING,
);

pub(crate) static JOURNAL_RECOVERY_SECONDS: Gauge<0> = Gauge::new(
    "rollcall_journal_recovery_seconds",
    [],
    "Time that the last start took to read the journal",
);

pub(crate) static JOURNAL_CORRUPT_FILES: Counter<0> = Counter::new(
    "rollcall_journal_corrupt_files_total",
    [],
    "Journal files that were found corrupt",
);

pub(crate) static JOURNAL_EVENTS_QUARANTINED: Counter<0> = Counter::new(
    "rollcall_journal_events_quarantined_total",
    [],
    "Journal events that are skipped because applying them panics",
);

pub(crate) static JOURNAL_SEGMENTS_SEALED: Counter<0> =
    Counter::new("rollcall_journal_segments_sealed_total", [], "Sealed journal segments");

pub(crate) static JOURNAL_SEGMENTS_ANONYMIZED: Counter<0> = Counter::new(
    "rollcall_journal_segments_anonymized_total",
    [],
    "Journal segments whose names were erased after names_retention",
);

pub(crate) static JOURNAL_SNAPSHOTS: Counter<0> = Counter::new(
    "rollcall_journal_snapshots_total",
    [],
    "Snapshots of the table that were written",
);

pub(crate) static JOURNAL_MAINTENANCE_FAILURES: Counter<1> = Counter::new(
    "rollcall_journal_maintenance_failures_total",
    ["task"],
    "Failed maintenance tasks of the journal, which are retried: snapshot, tidy",
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
