//! The limits of one query: a query that is too broad gets a hint, and other queries are answered
//! meanwhile.

use std::time::{Duration, Instant};

use super::error::HistoryError;
use rollcall_runtime::clock::Clock;

/// The remaining budget of a query.
#[derive(Debug)]
pub(crate) struct QueryBudget {
    deadline: Instant,
    rows: u64,
}

/// Longer than a script waits for an answer by default.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// As many events as a segment holds by default, so that an address that fills one is still
/// answered.
const ROW_LIMIT: u64 = 1_000_000;

/// Hourly segments of a month and a half.
const SEGMENT_LIMIT: usize = 1100;

impl QueryBudget {
    /// The deadline of a query that begins now.
    pub(crate) fn deadline() -> Instant {
        Clock::instant() + TIME_LIMIT
    }

    /// The budget of a query with this deadline.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, rows: ROW_LIMIT }
    }

    /// Counts an applied event.
    pub(crate) fn row(&mut self) -> Result<(), HistoryError> {
        self.rows = self
            .rows
            .checked_sub(1)
            .ok_or_else(|| too_broad(format!("it covers more than {ROW_LIMIT} events")))?;
        if self.rows.is_multiple_of(1024) { self.check_time() } else { Ok(()) }
    }

    /// Checks the number of segments to read.
    pub(crate) fn segments(&self, count: usize) -> Result<(), HistoryError> {
        if count <= SEGMENT_LIMIT {
            return Ok(());
        }
        Err(too_broad(format!(
            "it covers {count} segments of the journal, more than {SEGMENT_LIMIT}"
        )))
    }

    /// Checks the deadline.
    pub(crate) fn check_time(&self) -> Result<(), HistoryError> {
        if Clock::instant() < self.deadline {
            return Ok(());
        }
        Err(too_broad(format!("it takes longer than {} s", TIME_LIMIT.as_secs())))
    }

    /// Whether half of the budget is used: a page ends then.
    pub(crate) fn is_half_spent(&self) -> bool {
        Clock::instant() + TIME_LIMIT / 2 > self.deadline || self.rows < ROW_LIMIT / 2
    }
}

fn too_broad(why: String) -> HistoryError {
    HistoryError::TooBroad(why)
}
