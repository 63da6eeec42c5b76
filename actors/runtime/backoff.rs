//! Exponential backoff with jitter: the one rule by which Rollcall waits before it tries again.

use std::time::Duration;

/// The delays between attempts that fail in a row. Each is twice as long as the one before, up to a
/// maximum, and has up to a quarter of jitter on top, so that parts that failed together do not all
/// try again at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff that begins with `first` and grows to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The delay before the next attempt, after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.delay_after(self.failures)
    }

    /// Starts again with the first delay, after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The delay after this many failures in a row, for a caller that counts them itself.
    pub fn delay_after(&self, failures: u32) -> Duration {
        // The exponent is bounded so that no product overflows: 2^20 times 100 ms is a day.
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(self.longest).mul_f64(1.0 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_again_after_a_success() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(60));
        let mut backoff = Backoff::new(first, longest);
        for expected in [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000] {
            let delay = backoff.next_delay();
            let expected = Duration::from_millis(expected);
            assert!(delay >= expected && delay <= expected.mul_f64(1.25), "{delay:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= first.mul_f64(1.25));
        assert!(backoff.delay_after(u32::MAX) <= longest.mul_f64(1.25));
    }
}
