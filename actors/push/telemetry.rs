//! Telemetry events of push targets.

use std::time::Duration;

use rollcall_identity::Address;
use strum::IntoEnumIterator;
use tracing::{debug, info, trace, warn};

use crate::{Drift, Outcome, PushError};
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// A target is told from now on. Its counters begin at zero, so that the first refusal is seen to
/// grow from something.
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
        trace!(target_name = self.target, "push target is told");
    }
}

/// A target has taken a batch, or refused some of it for good.
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
        trace!(target_name = target, accepted, duplicates, refused, "reports arrived");
    }
}

/// A request with reports was sent, and answered or not.
pub(crate) struct Sent<'a> {
    pub target: &'a str,
    pub bytes: u64,
    pub took: Duration,
}

impl TelemetryEvent for Sent<'_> {
    fn emit(self) {
        let Self { target, bytes, took } = self;
        metrics::PUSH_BYTES.with([target.to_owned().into()]).increment(bytes);
        metrics::PUSH_REQUEST_SECONDS.with([target.to_owned().into()]).record(took);
        trace!(target_name = target, bytes, ?took, "request ended");
    }
}

/// A target will never take this report. The others of its batch are in force there.
pub(crate) struct ReportRefused<'a> {
    pub target: &'a str,
    pub address: Option<Address>,
    pub reason: &'a str,
}

impl TelemetryEvent for ReportRefused<'_> {
    fn emit(self) {
        let Self { target, address, reason } = self;
        // Counted where the batch is.
        match address {
            Some(address) => warn!(target_name = target, %address, reason, "report refused"),
            None => warn!(target_name = target, reason, "report refused"),
        }
    }
}

/// Something did not arrive, and is tried again.
pub(crate) struct PushFailed<'a> {
    pub target: &'a str,
    pub error: &'a PushError,
    pub pause: Duration,
    pub failures: u32,
}

impl TelemetryEvent for PushFailed<'_> {
    fn emit(self) {
        let Self { target, error, pause, failures } = self;
        let reason = error.word();
        metrics::PUSH_FAILURES.with([target.to_owned().into(), reason.into()]).increment(1);
        // The first of a row says it; the others would only fill the log.
        match failures {
            1 => warn!(target_name = target, %error, ?pause, "push failed"),
            _ => debug!(target_name = target, %error, ?pause, failures, "push failed again"),
        }
    }
}

/// A target takes what it is told again.
pub(crate) struct PushRecovered<'a> {
    pub target: &'a str,
    pub failures: u32,
}

impl TelemetryEvent for PushRecovered<'_> {
    fn emit(self) {
        info!(target_name = self.target, failures = self.failures, "push goes on");
    }
}

/// A target is told everything anew.
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

/// What a target holds was compared with what it should hold.
pub(crate) struct ConsistencyChecked<'a> {
    pub target: &'a str,
    pub drift: Drift,
}

impl TelemetryEvent for ConsistencyChecked<'_> {
    fn emit(self) {
        let Self { target, drift: Drift { outcome, differing, unsettled } } = self;
        let word: &'static str = outcome.into();
        metrics::PUSH_CONSISTENCY_CHECKS.with([target.to_owned().into(), word.into()]).increment(1);
        match outcome {
            Outcome::Differs => warn!(target_name = target, differing, "push target has drifted"),
            Outcome::Same | Outcome::Unsupported | Outcome::Error => {
                debug!(target_name = target, word, unsettled, "push target compared");
            }
        }
    }
}

/// A target was asked what it holds, and that is not known.
pub(crate) struct ConsistencyCheckFailed<'a> {
    pub target: &'a str,
    pub error: &'a PushError,
}

impl TelemetryEvent for ConsistencyCheckFailed<'_> {
    fn emit(self) {
        // Counted as a comparison without an answer.
        warn!(target_name = self.target, error = %self.error, "push target cannot be compared");
    }
}

/// A firewall was away for longer than ends are remembered.
pub(crate) struct TombstonesExpired<'a> {
    pub target: &'a str,
}

impl TelemetryEvent for TombstonesExpired<'_> {
    fn emit(self) {
        // Counted as a synchronisation.
        warn!(
            target_name = self.target,
            "push target may hold ended sessions: clear its table, then run rollcall push resync"
        );
    }
}

/// Up to where a target knows could not be written to the disk.
pub(crate) struct CursorNotStored<'a> {
    pub target: &'a str,
    pub why: &'a str,
}

impl TelemetryEvent for CursorNotStored<'_> {
    fn emit(self) {
        let Self { target, why } = self;
        metrics::PUSH_CURSOR_WRITE_FAILURES.with([target.to_owned().into()]).increment(1);
        warn!(target_name = target, why, "the target is told some things again");
    }
}

/// How far a target is behind.
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
