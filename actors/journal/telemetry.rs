//! Telemetry events of the journal on disk.

use std::time::Duration;

use strum::IntoStaticStr;
use tracing::{debug, error, info, warn};

use crate::Corruption;
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// The journal cannot make events durable and accepts none until it can.
pub(crate) struct WriteFailed<'a> {
    pub error: &'a Corruption,
}

impl TelemetryEvent for WriteFailed<'_> {
    fn emit(self) {
        metrics::JOURNAL_WRITE_FAILURES.with([]).increment(1);
        metrics::JOURNAL_UNAVAILABLE.with([]).set(1.0);
        error!(error = %self.error, "the journal is not writable; queries are still answered");
    }
}

/// The journal accepts events again, in a new segment.
pub(crate) struct WriteRecovered {
    pub after: u64,
}

impl TelemetryEvent for WriteRecovered {
    fn emit(self) {
        metrics::JOURNAL_UNAVAILABLE.with([]).set(0.0);
        info!(after = self.after, "the journal is writable again");
    }
}

/// The disk does not respond: submitted events wait, and push clients get 503.
pub(crate) struct DiskNotResponding {
    /// The time limit.
    pub timeout: Duration,
}

impl TelemetryEvent for DiskNotResponding {
    fn emit(self) {
        let Self { timeout } = self;
        metrics::JOURNAL_WRITE_FAILURES.with([]).increment(1);
        metrics::JOURNAL_UNAVAILABLE.with([]).set(1.0);
        error!(?timeout, "the journal's disk does not respond; queries are still answered");
    }
}

/// The disk responds again, and the waiting events are committed.
pub(crate) struct DiskResponding {
    /// The duration of the stall.
    pub took: Duration,
}

impl TelemetryEvent for DiskResponding {
    fn emit(self) {
        metrics::JOURNAL_UNAVAILABLE.with([]).set(0.0);
        info!(took = ?self.took, "the journal's disk responds again");
    }
}

/// The journal was recovered at a start.
pub(crate) struct Recovered {
    pub sessions: usize,
    /// The number of events applied after the snapshot.
    pub events: u64,
    pub revision: u64,
    /// Whether a new epoch begins: acknowledged events may be missing, or the applied events were
    /// published by other rules.
    pub is_new_epoch: bool,
    pub took: Duration,
}

impl TelemetryEvent for Recovered {
    fn emit(self) {
        let Self { sessions, events, revision, is_new_epoch, took } = self;
        metrics::JOURNAL_UNAVAILABLE.with([]).set(0.0);
        metrics::JOURNAL_RECOVERY_SECONDS.with([]).set(took.as_secs_f64());
        info!(sessions, events, revision, ?took, "the journal was recovered");
        if is_new_epoch {
            warn!(
                "events may be missing in the journal, or other rules decided them before: a new \
                 epoch begins and firewalls make a full resync"
            );
        }
    }
}

/// A journal file is corrupt. Its readable part is used.
pub(crate) struct FileCorrupt<'a> {
    pub file: &'a str,
    pub error: &'a Corruption,
    /// Its current name.
    pub aside: &'a str,
}

impl TelemetryEvent for FileCorrupt<'_> {
    fn emit(self) {
        let Self { file, error, aside } = self;
        metrics::JOURNAL_CORRUPT_FILES.with([]).increment(1);
        error!(file, %error, aside, "a journal file is corrupt");
    }
}

/// Applying an event panics: it is skipped, and all others are applied.
pub(crate) struct EventQuarantined {
    pub revision: u64,
}

impl TelemetryEvent for EventQuarantined {
    fn emit(self) {
        metrics::JOURNAL_EVENTS_QUARANTINED.with([]).increment(1);
        error!(
            revision = self.revision,
            "applying an event of the journal panics, it is skipped: please report it"
        );
    }
}

/// A segment was sealed.
pub(crate) struct SegmentSealed<'a> {
    pub file: &'a str,
    pub events: u64,
    pub bytes: u64,
}

impl TelemetryEvent for SegmentSealed<'_> {
    fn emit(self) {
        let Self { file, events, bytes } = self;
        metrics::JOURNAL_SEGMENTS_SEALED.with([]).increment(1);
        info!(file, events, bytes, "a journal segment was sealed");
    }
}

/// The names of users and devices in a segment were erased.
pub(crate) struct NamesErased<'a> {
    pub file: &'a str,
    pub events: u64,
}

impl TelemetryEvent for NamesErased<'_> {
    fn emit(self) {
        let Self { file, events } = self;
        metrics::JOURNAL_SEGMENTS_ANONYMIZED.with([]).increment(1);
        info!(file, events, "the names in a journal segment were erased");
    }
}

/// A snapshot was written.
pub(crate) struct SnapshotWritten {
    pub revision: u64,
    pub sessions: usize,
}

impl TelemetryEvent for SnapshotWritten {
    fn emit(self) {
        let Self { revision, sessions } = self;
        metrics::JOURNAL_SNAPSHOTS.with([]).increment(1);
        info!(revision, sessions, "a snapshot was written");
    }
}

/// A maintenance task.
#[derive(Debug, Clone, Copy, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum MaintenanceTask {
    /// Writing a snapshot.
    Snapshot,
    /// Sealing segments and applying retention.
    Tidy,
}

/// A task failed. It is retried; nothing is lost.
pub(crate) struct MaintenanceFailed<'a> {
    pub task: MaintenanceTask,
    pub error: &'a Corruption,
}

impl TelemetryEvent for MaintenanceFailed<'_> {
    fn emit(self) {
        let task: &'static str = self.task.into();
        metrics::JOURNAL_MAINTENANCE_FAILURES.with([task.into()]).increment(1);
        warn!(task, error = %self.error, "a maintenance task of the journal failed and is retried");
    }
}

/// The journal refused a batch. The cause is logged once, elsewhere.
pub(crate) struct BatchRefused<'a> {
    pub error: &'a str,
}

impl TelemetryEvent for BatchRefused<'_> {
    fn emit(self) {
        metrics::JOURNAL_BATCHES_REFUSED.with([]).increment(1);
        debug!(error = self.error, "the journal refused events");
    }
}

/// A group of batches is durable.
pub(crate) struct Committed {
    pub took: Duration,
}

impl TelemetryEvent for Committed {
    fn emit(self) {
        metrics::JOURNAL_COMMIT_SECONDS.with([]).record(self.took.as_secs_f64());
    }
}
