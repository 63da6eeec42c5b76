//! What is counted where events become sessions and the journal keeps them.

use metrics::Unit;

use rollcall_runtime::metric::Instrument::{Counter, Gauge, Histogram};
use rollcall_runtime::metric::Row;

/// The declarations, in the order of the documentation.
pub const ROWS: &[Row] = &[
    (
        "rollcall_deciding_events_total",
        Counter,
        Unit::Count,
        &["producer", "outcome", "reason"],
        "Events decided: applied, deduplicated or refused, and by which rule",
    ),
    ("rollcall_deciding_sessions", Gauge, Unit::Count, &[], "Addresses with a user or a device"),
    ("rollcall_deciding_revision", Gauge, Unit::Count, &[], "The newest revision"),
    (
        "rollcall_deciding_journal_errors_total",
        Counter,
        Unit::Count,
        &[],
        "Batches that the journal could not take",
    ),
    (
        "rollcall_deciding_journal_ill",
        Gauge,
        Unit::Count,
        &[],
        "Whether the journal takes no events at the moment: 0 is right",
    ),
    (
        "rollcall_deciding_journal_illnesses_total",
        Counter,
        Unit::Count,
        &[],
        "How often the journal began to take no events",
    ),
    (
        "rollcall_deciding_commit_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "Time to append and commit a group of batches",
    ),
    (
        "rollcall_deciding_restore_seconds",
        Gauge,
        Unit::Seconds,
        &[],
        "How long the last start read the journal",
    ),
    (
        "rollcall_deciding_journal_damaged_files_total",
        Counter,
        Unit::Count,
        &[],
        "Files of the journal that were found damaged",
    ),
    (
        "rollcall_deciding_journal_events_set_aside_total",
        Counter,
        Unit::Count,
        &[],
        "Events of the journal that were left out because folding them panics",
    ),
    (
        "rollcall_deciding_journal_sealed_total",
        Counter,
        Unit::Count,
        &[],
        "Segments of the journal that were sealed",
    ),
    (
        "rollcall_deciding_journal_names_forgotten_total",
        Counter,
        Unit::Count,
        &[],
        "Segments out of which the names were taken, because they had had their time",
    ),
    (
        "rollcall_deciding_journal_snapshots_total",
        Counter,
        Unit::Count,
        &[],
        "How often the table was written down",
    ),
    (
        "rollcall_deciding_journal_chores_failed_total",
        Counter,
        Unit::Count,
        &["chore"],
        "Chores beside the journal that failed and are tried again: snapshot, tidy",
    ),
    (
        "rollcall_deciding_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the cache was replaced and took its sessions over",
    ),
    (
        "rollcall_deciding_addresses_shared_total",
        Counter,
        Unit::Count,
        &[],
        "How often so many users came to an address within a minute that its user was taken from it",
    ),
    (
        "rollcall_deciding_restorations_failed_total",
        Counter,
        Unit::Count,
        &[],
        "How often cache and query actor ended at once, and sessions were lost",
    ),
];
