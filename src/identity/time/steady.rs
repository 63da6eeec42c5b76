//! A clock that does not follow large jumps of the system clock at once. Sessions expire by it, and
//! a temporarily wrong system clock must not end or prolong them.

use std::time::Duration;

use strum::IntoStaticStr;

use super::Timestamp;

/// The time of day, from the system clock and a monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteadyClock {
    last: Timestamp,
    /// The monotonic time of the last reading.
    running: Duration,
    /// Since when, in monotonic time, the system clock has diverged.
    diverged_since: Option<Duration>,
}

/// The state of a jump of the system clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JumpState {
    /// The system clock differs by more than the limit and is not followed yet.
    Suspected,
    /// The system clock returned to the expected time.
    Reverted,
    /// The system clock kept the new time, which is followed now.
    Accepted,
}

impl SteadyClock {
    /// The largest jump that is followed at once: a machine suspended for an hour, or a clock that
    /// drifted. If the jump was wrong, one session in 24 expires that much too early.
    pub const MAX_STEP: Duration = Duration::from_secs(3600);

    /// How long a larger jump must persist before it is followed: enough time to correct a wrong
    /// setting, or for other time servers to outvote a wrong one.
    pub const CONFIRM_AFTER: Duration = Duration::from_secs(15 * 60);

    /// Starts at the time of the system clock.
    pub fn new(wall: Timestamp, running: Duration) -> Self {
        Self { last: wall, running, diverged_since: None }
    }

    /// Returns the time, given the system clock `wall` and the monotonic time `running`, and a
    /// change in the state of a jump.
    pub fn read(&mut self, wall: Timestamp, running: Duration) -> (Timestamp, Option<JumpState>) {
        let expected = self.last + running.saturating_sub(self.running);
        let difference = wall.since(expected).max(expected.since(wall));
        let (last, diverged_since, jump) = if difference <= Self::MAX_STEP {
            (wall, None, self.diverged_since.map(|_| JumpState::Reverted))
        } else {
            let since = self.diverged_since.unwrap_or(running);
            if running.saturating_sub(since) >= Self::CONFIRM_AFTER {
                (wall, None, Some(JumpState::Accepted))
            } else {
                let is_new = self.diverged_since.is_none();
                (expected, Some(since), is_new.then_some(JumpState::Suspected))
            }
        };
        *self = Self { last, running: running.max(self.running), diverged_since };
        (last, jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn seconds(after: i64) -> Timestamp {
        Timestamp::from_millis((1_795_290_600 + after) * 1000)
    }

    fn clock() -> impl FnMut(i64, u64) -> (i64, Option<JumpState>) {
        let mut steady = SteadyClock::new(seconds(0), Duration::ZERO);
        move |wall, running| {
            let (last, jump) = steady.read(seconds(wall), Duration::from_secs(running));
            ((last.millis() - seconds(0).millis()) / 1000, jump)
        }
    }

    #[test]
    fn a_large_jump_that_is_reverted_is_not_followed() {
        for far in [3 * DAY, -3 * DAY, 4000 * DAY] {
            let mut read = clock();
            assert_eq!(read(10, 10), (10, None));
            assert_eq!(read(20 + far, 20), (20, Some(JumpState::Suspected)));
            assert_eq!(read(900 + far, 900), (900, None));
            assert_eq!(read(910, 910), (910, Some(JumpState::Reverted)));
            assert_eq!(read(920, 920), (920, None));
        }
    }

    #[test]
    fn a_persistent_jump_is_accepted() {
        let mut read = clock();
        assert_eq!(read(20 + DAY, 20), (20, Some(JumpState::Suspected)));
        assert_eq!(read(919 + DAY, 919), (919, None));
        assert_eq!(read(920 + DAY, 920), (920 + DAY, Some(JumpState::Accepted)));
        assert_eq!(read(930 + DAY, 930), (930 + DAY, None));
    }

    #[test]
    fn small_corrections_are_followed_at_once() {
        let mut read = clock();
        assert_eq!(read(3000, 10), (3000, None));
        assert_eq!(read(20, 20), (20, None), "back by most of an hour");
        assert_eq!(read(3620, 20), (3620, None), "by an hour exactly");
    }
}
