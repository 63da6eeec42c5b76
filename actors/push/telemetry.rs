//! Telemetry events of push targets.

use std::time::Duration;

use rollcall_identity::Address;
use strum::IntoEnumIterator;
use tracing::{debug, info, trace, warn};

use crate::{Drift, Outcome, PushError};
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// A target was started. Its counters begin at zero, so that a rate includes the first refusal.
pub(crate) struct TargetStarted<'a> {
    pub target: &'a str,
}

impl TelemetryEvent for TargetStarted<'_> {
    fn emit(self) {
        let target = || self.target.to_owned();
        for outcome in ["accepted", "duplicate", "refused"] {
            metrics::PUSH_REPORTS.with([target().into(), outcome.into()]).increment(0);
        }
        for outcome in Outcome::iter() {
            let outcome: &'static str = outcome.into();
            metrics::PUSH_CONSISTENCY_CHECKS.with([target().into(), outcome.into()]).increment(0);
        }
        metrics::PUSH_BYTES.with([target().into()]).increment(0);
        trace!(target_name = self.target, "push target started");
    }
}

/// A target has acknowledged a batch, or has refused some of its reports.
pub(crate) struct BatchAcknowledged<'a> {
    pub target: &'a str,
    pub accepted: u64,
    pub duplicates: u64,
    pub refused: u64,
}

impl TelemetryEvent for BatchAcknowledged<'_> {
    fn emit(self) {
        let Self { target, accepted, duplicates, refused } = self;
        let counts = [("accepted", accepted), ("duplicate", duplicates), ("refused", refused)];
        for (outcome, count) in counts {
            let target = target.to_owned();
            metrics::PUSH_REPORTS.with([target.into(), outcome.into()]).increment(count);
        }
        trace!(target_name = target, accepted, duplicates, refused, "reports acknowledged");
    }
}

/// A request with reports has ended, with or without a response.
pub(crate) struct RequestCompleted<'a> {
    pub target: &'a str,
    pub bytes: u64,
    pub duration: Duration,
}

impl TelemetryEvent for RequestCompleted<'_> {
    fn emit(self) {
        let Self { target, bytes, duration } = self;
        metrics::PUSH_BYTES.with([target.to_owned().into()]).increment(bytes);
        metrics::PUSH_REQUEST_SECONDS.with([target.to_owned().into()]).record(duration);
        trace!(target_name = target, bytes, ?duration, "request ended");
    }
}

/// A target will never accept this report. The other reports of the batch are effective.
pub(crate) struct ReportRefused<'a> {
    pub target: &'a str,
    pub address: Option<Address>,
    pub reason: &'a str,
}

impl TelemetryEvent for ReportRefused<'_> {
    fn emit(self) {
        let Self { target, address, reason } = self;
        // `BatchAcknowledged` counts it.
        match address {
            Some(address) => warn!(target_name = target, %address, reason, "report refused"),
            None => warn!(target_name = target, reason, "report refused"),
        }
    }
}

/// A request failed and will be retried.
pub(crate) struct PushFailed<'a> {
    pub target: &'a str,
    pub error: &'a PushError,
    pub pause: Duration,
    pub failures: u32,
}

impl TelemetryEvent for PushFailed<'_> {
    fn emit(self) {
        let Self { target, error, pause, failures } = self;
        let reason = error.label();
        metrics::PUSH_FAILURES.with([target.to_owned().into(), reason.into()]).increment(1);
        // Only the first of consecutive failures is a warning, so that the log is not flooded.
        match failures {
            1 => warn!(target_name = target, %error, ?pause, "push failed"),
            _ => debug!(target_name = target, %error, ?pause, failures, "push failed again"),
        }
    }
}

/// A target accepts reports again.
pub(crate) struct PushRecovered<'a> {
    pub target: &'a str,
    pub failures: u32,
}

impl TelemetryEvent for PushRecovered<'_> {
    fn emit(self) {
        info!(target_name = self.target, failures = self.failures, "push resumed");
    }
}

/// A full resync has started.
pub(crate) struct FullResyncStarted<'a> {
    pub target: &'a str,
    pub reason: &'static str,
}

impl TelemetryEvent for FullResyncStarted<'_> {
    fn emit(self) {
        let Self { target, reason } = self;
        metrics::PUSH_FULL_RESYNCS.with([target.to_owned().into(), reason.into()]).increment(1);
        info!(target_name = target, reason, "full resync of push target started");
    }
}

/// All sessions are sent again, because the target would discard them.
pub(crate) struct RefreshStarted<'a> {
    pub target: &'a str,
}

impl TelemetryEvent for RefreshStarted<'_> {
    fn emit(self) {
        debug!(target_name = self.target, "refresh of push target started");
    }
}

/// The content of a target was compared with the expected sessions.
pub(crate) struct ConsistencyChecked<'a> {
    pub target: &'a str,
    pub drift: Drift,
}

impl TelemetryEvent for ConsistencyChecked<'_> {
    fn emit(self) {
        let Self { target, drift: Drift { outcome, differing, not_compared } } = self;
        let label: &'static str = outcome.into();
        metrics::PUSH_CONSISTENCY_CHECKS
            .with([target.to_owned().into(), label.into()])
            .increment(1);
        match outcome {
            Outcome::Differs => warn!(target_name = target, differing, "push target has drifted"),
            Outcome::Same | Outcome::Unsupported | Outcome::Error => {
                debug!(target_name = target, outcome = label, not_compared, "push target compared");
            }
        }
    }
}

/// The content of a target could not be read.
pub(crate) struct ConsistencyCheckFailed<'a> {
    pub target: &'a str,
    pub error: &'a PushError,
}

impl TelemetryEvent for ConsistencyCheckFailed<'_> {
    fn emit(self) {
        // `ConsistencyChecked` counts it as an error.
        warn!(target_name = self.target, error = %self.error, "push target cannot be compared");
    }
}

/// A target that cannot discard entries was disconnected for longer than tombstones are kept.
pub(crate) struct TombstonesExpired<'a> {
    pub target: &'a str,
}

impl TelemetryEvent for TombstonesExpired<'_> {
    fn emit(self) {
        // `FullResyncStarted` counts it.
        warn!(
            target_name = self.target,
            "push target may hold ended sessions: clear its table, then run rollcall push resync"
        );
    }
}

/// The position of a target could not be written to disk.
pub(crate) struct CursorNotStored<'a> {
    pub target: &'a str,
    pub why: &'a str,
}

impl TelemetryEvent for CursorNotStored<'_> {
    fn emit(self) {
        let Self { target, why } = self;
        metrics::PUSH_CURSOR_WRITE_FAILURES.with([target.to_owned().into()]).increment(1);
        warn!(
            target_name = target,
            why, "position of push target not stored: changes will be sent again after a restart"
        );
    }
}

/// The lag of a target.
pub(crate) struct PushLagging<'a> {
    pub target: &'a str,
    pub changes: Option<u64>,
    pub time: Duration,
}

impl TelemetryEvent for PushLagging<'_> {
    fn emit(self) {
        let Self { target, changes, time } = self;
        if let Some(changes) = changes {
            metrics::PUSH_LAG_REVISIONS.with([target.to_owned().into()]).set(changes as f64);
        }
        metrics::PUSH_LAG_SECONDS.with([target.to_owned().into()]).set(time.as_secs_f64());
    }
}
