//! The one place where a clock is read; everywhere else time is a parameter.
#![expect(clippy::disallowed_methods, reason = "this is the clock that the ban points to")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rollcall_identity::{JumpState, SteadyClock, Timestamp};

/// Tells the time of day for events and the running time for deadlines.
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
    pub told: Timestamp,
}

impl Clock {
    /// The machine's clock, which is not believed at once when it jumps: see [`SteadyClock`].
    /// Its jumps are not reported.
    pub fn system() -> Self {
        Self::system_with(|_| {})
    }

    /// The same; each jump is given to `on_jump`.
    pub fn system_with(on_jump: impl Fn(ClockJump) + Send + Sync + 'static) -> Self {
        let began = Instant::now();
        let steady = Mutex::new(SteadyClock::new(machine(), began.elapsed()));
        Self(Arc::new(move || {
            let (told, jump) = {
                let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
                steady.read(machine(), began.elapsed())
            };
            if let Some(jump) = jump {
                on_jump(ClockJump { jump, machine: machine(), told });
            }
            told
        }))
    }

    /// A clock that a test or a simulation moves.
    pub fn from_fn(tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The time of day in UTC. It follows the machine's clock when that is set, by more than an hour
    /// only after a while.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// When the machine was switched on, by what its clock says now; `None` when the kernel does
    /// not tell. What `/proc` says of the beginning of a process counts from there.
    pub fn boot() -> Option<Timestamp> {
        let running = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
        Some(machine() - Duration::from(running))
    }

    /// A time that never goes back, for measuring and for deadlines.
    pub fn instant() -> Instant {
        Instant::now()
    }
}

/// What the machine's clock says.
fn machine() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
