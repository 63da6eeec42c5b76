//! Telemetry events of questions about the past.

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
    /// The journal does not know.
    Unknown,
    /// The question made no sense.
    Invalid,
    /// It would have taken too long.
    TooBroad,
    /// The journal, or the record of who asked, could not be read or written.
    Unavailable,
}

/// Questions about the past can be asked.
pub struct HistoryOpened;

impl TelemetryEvent for HistoryOpened {
    fn emit(self) {
        // From the beginning, so that the first one that is not answered is seen to grow from zero.
        for outcome in HistoryOutcome::iter() {
            let outcome: &'static str = outcome.into();
            metrics::HISTORY_QUERIES.with([outcome.into()]).increment(0);
        }
        debug!("history queries are accepted");
    }
}

/// A question about the past was answered, or not.
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
