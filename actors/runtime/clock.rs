//! The only module that reads a clock. Everywhere else time is a parameter.
#![expect(clippy::disallowed_methods, reason = "this is the clock that the ban points to")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rollcall_identity::{JumpState, SteadyClock, Timestamp};

/// The time of day for events, and monotonic time for deadlines.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

/// A jump of the machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct ClockJump {
    /// What kind of jump it is.
    pub jump: JumpState,
    /// The time by the machine's clock.
    pub machine: Timestamp,
    /// The time that [`Clock::now`] returns.
    pub reported: Timestamp,
}

impl Clock {
    /// The clock of the machine. A jump is not followed at once, see [`SteadyClock`], and not reported.
    pub fn system() -> Self {
        Self::system_with(|_| {})
    }

    /// [`Clock::system`] that reports each jump to `on_jump`.
    pub fn system_with(on_jump: impl Fn(ClockJump) + Send + Sync + 'static) -> Self {
        let began = Instant::now();
        let steady = Mutex::new(SteadyClock::new(machine(), began.elapsed()));
        Self(Arc::new(move || {
            let (reported, jump) = {
                let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
                steady.read(machine(), began.elapsed())
            };
            if let Some(jump) = jump {
                on_jump(ClockJump { jump, machine: machine(), reported });
            }
            reported
        }))
    }

    /// A clock that a test or a simulation moves.
    pub fn from_fn(tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The time of day in UTC. It follows the clock of the machine; a jump of more than an hour only
    /// after a delay.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The boot time by the current clock of the machine; `None` if the kernel does not report it. Start
    /// times in `/proc` count from it.
    pub fn boot() -> Option<Timestamp> {
        let running = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
        Some(machine() - Duration::from(running))
    }

    /// A monotonic time, for measurements and deadlines.
    pub fn instant() -> Instant {
        Instant::now()
    }
}

/// The time by the clock of the machine.
fn machine() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
