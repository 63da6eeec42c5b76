//! How much one question may cost: whoever asks too broadly is told what to narrow, and others are
//! answered meanwhile.

use std::time::{Duration, Instant};

use super::error::HistoryError;
use rollcall_runtime::clock::Clock;

/// The remaining budget of a query.
#[derive(Debug)]
pub(crate) struct QueryBudget {
    deadline: Instant,
    rows: u64,
}

/// Longer than any script waits for an answer without asking why.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// As many events as a segment holds by default: an address that fills one alone is still told of.
const ROW_LIMIT: u64 = 1_000_000;

/// A month and a half of segments of an hour.
const SEGMENT_LIMIT: usize = 1100;

impl QueryBudget {
    /// Until when a question that is begun now must be answered.
    pub(crate) fn deadline() -> Instant {
        Clock::instant() + TIME_LIMIT
    }

    /// The budget of one query until then.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, rows: ROW_LIMIT }
    }

    /// One more event is folded.
    pub(crate) fn row(&mut self) -> Result<(), HistoryError> {
        self.rows = self
            .rows
            .checked_sub(1)
            .ok_or_else(|| too_broad(format!("it covers more than {ROW_LIMIT} events")))?;
        if self.rows.is_multiple_of(1024) { self.check_time() } else { Ok(()) }
    }

    /// So many segments are to be read.
    pub(crate) fn segments(&self, count: usize) -> Result<(), HistoryError> {
        if count <= SEGMENT_LIMIT {
            return Ok(());
        }
        Err(too_broad(format!(
            "it covers {count} segments of the journal, more than {SEGMENT_LIMIT}"
        )))
    }

    /// There is time left.
    pub(crate) fn check_time(&self) -> Result<(), HistoryError> {
        if Clock::instant() < self.deadline {
            return Ok(());
        }
        Err(too_broad(format!("it takes longer than {} s", TIME_LIMIT.as_secs())))
    }

    /// Whether to begin something more, or to be content with what there is.
    pub(crate) fn is_half_spent(&self) -> bool {
        Clock::instant() + TIME_LIMIT / 2 > self.deadline || self.rows < ROW_LIMIT / 2
    }
}

fn too_broad(why: String) -> HistoryError {
    HistoryError::TooBroad(why)
}
