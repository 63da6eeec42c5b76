//! The telemetry event of a clock jump, and the system clock that reports it.

use rollcall_identity::JumpState;
use tracing::{info, warn};

use crate::clock::{Clock, ClockJump};
use crate::metrics;
use crate::telemetry::TelemetryEvent;

impl TelemetryEvent for ClockJump {
    fn emit(self) {
        let Self { jump, machine, told } = self;
        let outcome: &'static str = jump.into();
        metrics::CLOCK_JUMPS.with([outcome.into()]).increment(1);
        match jump {
            JumpState::Suspected => warn!(
                %machine, %told,
                "the machine's clock was set; it is not followed for a quarter of an hour, so that no \
                 session ends by it"
            ),
            JumpState::Reverted => info!(%machine, "the machine's clock is right again"),
            JumpState::Accepted => {
                warn!(%machine, "the machine's clock stays where it was set, and is followed");
            }
        }
    }
}

/// The machine's clock, whose jumps are logged and counted.
pub fn system_clock() -> Clock {
    Clock::system_with(ClockJump::emit)
}
