//! Waiting for a condition, with a deadline. Tests do not sleep for a fixed time.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long a test waits for a condition before it fails. Two busy cores answer within milliseconds;
/// a machine that compiles at the same time may need seconds.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// The time between two checks: short compared with the wait, long compared with a check.
const PAUSE: Duration = Duration::from_millis(15);

/// Calls `check` until it returns `Some`, and returns the value.
///
/// Panics after [`WAIT_LIMIT`]; the message names the `condition`.
#[track_caller]
pub(crate) fn until<T>(condition: &str, check: impl FnMut() -> Option<T>) -> T {
    until_within(WAIT_LIMIT, condition, check)
}

/// The same with another limit.
#[track_caller]
pub(crate) fn until_within<T>(
    limit: Duration,
    condition: &str,
    check: impl FnMut() -> Option<T>,
) -> T {
    within(limit, check).unwrap_or_else(|| panic!("after {limit:?} not yet: {condition}"))
}

/// Calls `check` until it returns `Some`; `None` when `limit` has passed.
pub(crate) fn within<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock() + limit;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if clock() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests run in real time, against a real server")]
fn clock() -> Instant {
    Instant::now()
}

/// The time of day, for the timestamps that senders write.
#[expect(clippy::disallowed_methods, reason = "the tests run in real time, against a real server")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
