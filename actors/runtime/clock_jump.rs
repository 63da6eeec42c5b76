//! The telemetry event of a clock jump, and the system clock that reports it.

use rollcall_identity::JumpState;
use tracing::{info, warn};

use crate::clock::{Clock, ClockJump};
use crate::metrics;
use crate::telemetry::TelemetryEvent;

impl TelemetryEvent for ClockJump {
    fn emit(self) {
        let Self { jump, machine, reported } = self;
        let outcome: &'static str = jump.into();
        metrics::CLOCK_JUMPS.with([outcome.into()]).increment(1);
        match jump {
            JumpState::Suspected => warn!(
                %machine, %reported,
                "the clock of the machine jumped; it is not followed for 15 minutes, so that no session \
                 expires early"
            ),
            JumpState::Reverted => info!(%machine, "the clock of the machine is correct again"),
            JumpState::Accepted => {
                warn!(%machine, "the clock of the machine kept its new time and is followed now");
            }
        }
    }
}

/// The machine's clock, whose jumps are logged and counted.
pub fn system_clock() -> Clock {
    Clock::system_with(ClockJump::emit)
}
