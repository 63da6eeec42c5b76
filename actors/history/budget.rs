//! How much one question may cost: whoever asks too broadly is told what to narrow, and others are
//! answered meanwhile.

use std::time::{Duration, Instant};

use super::unanswered::Unanswered;
use rollcall_runtime::clock::Clock;

/// What is left of what a question may cost.
#[derive(Debug)]
pub struct Budget {
    deadline: Instant,
    rows: u64,
}

/// Longer than any script waits for an answer without asking why.
const TIME: Duration = Duration::from_secs(10);

/// As many events as a segment holds by default: an address that fills one alone is still told of.
const ROWS: u64 = 1_000_000;

/// A month and a half of segments of an hour.
const SEGMENTS: usize = 1100;

impl Budget {
    /// Until when a question that is begun now must be answered.
    pub fn deadline() -> Instant {
        Clock::instant() + TIME
    }

    /// What one question may cost until then.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, rows: ROWS }
    }

    /// One more event is folded.
    pub fn row(&mut self) -> Result<(), Unanswered> {
        self.rows = self
            .rows
            .checked_sub(1)
            .ok_or_else(|| too_broad(format!("it is about more than {ROWS} events")))?;
        if self.rows.is_multiple_of(1024) { self.in_time() } else { Ok(()) }
    }

    /// So many segments are to be read.
    pub fn segments(&self, count: usize) -> Result<(), Unanswered> {
        if count <= SEGMENTS {
            return Ok(());
        }
        Err(too_broad(format!("it is about {count} segments of the journal, more than {SEGMENTS}")))
    }

    /// There is time left.
    pub fn in_time(&self) -> Result<(), Unanswered> {
        if Clock::instant() < self.deadline {
            return Ok(());
        }
        Err(too_broad(format!("it takes longer than {} s", TIME.as_secs())))
    }

    /// Whether to begin something more, or to be content with what there is.
    pub fn is_half_spent(&self) -> bool {
        Clock::instant() + TIME / 2 > self.deadline || self.rows < ROWS / 2
    }
}

fn too_broad(why: String) -> Unanswered {
    Unanswered::TooBroad(why)
}
