//! The one place where a clock is read; everywhere else time is a parameter.
#![expect(clippy::disallowed_methods, reason = "this is the clock that the ban points to")]

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rollcall_identity::Timestamp;

/// Tells the time of day for events and the running time for deadlines.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        }))
    }

    /// A clock that a test or a simulation moves.
    pub fn from_fn(tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The time of day in UTC. It may jump when the machine's clock is set.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// A time that never goes back, for measuring and for deadlines.
    pub fn instant() -> Instant {
        Instant::now()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
