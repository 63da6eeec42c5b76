//! A rate limit for log lines that any host on the network can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rollcall_identity::Timestamp;

/// The number of log lines per [`WINDOW`]: enough to identify the source, too few to fill a disk.
const LOGGED: u64 = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// Counts occurrences and decides which of them are logged.
#[derive(Debug, Default)]
pub struct LogRateLimit(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    since: Option<Timestamp>,
    count: u64,
}

impl LogRateLimit {
    /// Whether an occurrence at `now` is logged, and if so, how many in the minute before were not.
    pub fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unlogged = 0;
        if seen.since.is_none_or(|since| now.since(since) >= WINDOW) {
            unlogged = seen.count.saturating_sub(LOGGED);
            *seen = Seen { since: Some(now), count: 0 };
        }
        seen.count += 1;
        (seen.count <= LOGGED).then_some(unlogged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_are_logged_and_the_rest_is_counted() {
        let (sample, now) = (LogRateLimit::default(), Timestamp::EPOCH);
        let logged = (0..25).filter(|_| sample.admit(now) == Some(0)).count();
        assert_eq!(logged, 10);
        assert_eq!(sample.admit(now + WINDOW), Some(15));
        assert_eq!(sample.admit(now + WINDOW), Some(0));
    }
}
