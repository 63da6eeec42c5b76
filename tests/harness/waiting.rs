//! Waiting for a condition with a deadline, instead of sleeping and hoping.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long a story waits before it fails. Two busy cores answer within milliseconds; a machine
/// that compiles beside the tests may take seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long between two looks: short against what is waited for, long against the work of a look.
const PAUSE: Duration = Duration::from_millis(15);

/// The first `Some` of `look`.
///
/// Panics, naming `what` was waited for, after [`PATIENCE`].
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// The first `Some` of `look`, if it comes within `patience`.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = clock() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "stories run in real time, against a real server")]
fn clock() -> Instant {
    Instant::now()
}

/// The time of day, for the lines that senders write.
#[expect(clippy::disallowed_methods, reason = "stories run in real time, against a real server")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
