//! Telemetry events of history queries.

use std::time::Duration;

use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};
use tracing::debug;

/// The outcome of a query about the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum HistoryOutcome {
    /// It was answered.
    Answered,
    /// The journal does not cover it.
    Unknown,
    /// The parameters were invalid.
    Invalid,
    /// It would have taken too long.
    TooBroad,
    /// The journal could not be read, or the audit log could not be written.
    Unavailable,
}

/// The history actor accepts queries.
pub struct HistoryOpened;

impl TelemetryEvent for HistoryOpened {
    fn emit(self) {
        // Every outcome starts at zero, so that the first failure is an increase.
        for outcome in HistoryOutcome::iter() {
            let outcome: &'static str = outcome.into();
            metrics::HISTORY_QUERIES.with([outcome.into()]).increment(0);
        }
        debug!("history queries are accepted");
    }
}

/// A history query ended.
pub struct HistoryAsked {
    /// The outcome.
    pub outcome: HistoryOutcome,
    /// The duration.
    pub took: Duration,
}

impl TelemetryEvent for HistoryAsked {
    fn emit(self) {
        let Self { outcome, took } = self;
        let outcome: &'static str = outcome.into();
        metrics::HISTORY_QUERIES.with([outcome.into()]).increment(1);
        metrics::HISTORY_QUERY_SECONDS.with([]).record(took.as_secs_f64());
        debug!(outcome, ?took, "history query");
    }
}
