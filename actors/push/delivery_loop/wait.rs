//! Waiting for something new, or for a pause to be over; and up to where the target knows, kept now and
//! then.

use std::time::Duration;

use rollcall_identity::delivery::DeliveryState;

use super::{Command, DeliveryLoop, Inputs};
use crate::cursor_store::StoredCursor;
use crate::telemetry::CursorNotStored;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a position may be known and not kept: what is told again after a crash is told in vain.
const KEEPING: Duration = Duration::from_secs(1);

/// What ended a wait.
pub(super) enum WakeReason {
    /// Time, or something new.
    Up,
    Wished(Command),
    Closing,
}

impl DeliveryLoop {
    /// Keeps up to where the target knows, now and then.
    pub(super) async fn keep_now_and_then(&mut self) {
        let due = self.kept.is_none_or(|(kept, when)| {
            Some(kept) != self.delivery.restart_cursor() && when.elapsed() >= KEEPING
        });
        self.keep_if(due).await;
    }

    /// Keeps it, unless the target is in the middle of being told everything. What cannot be kept is
    /// told again after a restart: nothing is lost.
    pub(super) async fn keep_if(&mut self, due: bool) {
        let place = (self.delivery.state(), self.delivery.restart_cursor(), due);
        let (DeliveryState::Following, Some(cursor), true) = place else { return };
        self.kept = Some((cursor, Clock::instant()));
        let scope = self.target.scope().to_owned();
        let acknowledged = StoredCursor { cursor, scope, hears: self.delivery.scope() };
        if let Err(why) = self.target.keep(&mut self.workers, acknowledged).await {
            CursorNotStored { target: self.target.name(), why: &why.to_string() }.emit();
        }
    }

    /// Waits for something new. What is known and not kept is kept meanwhile.
    pub(super) async fn rest(&mut self) -> WakeReason {
        let now = Clock::instant();
        let mut wait = self.next_check.saturating_duration_since(now);
        if self.delivery.needs_replay() {
            wait = wait.min(self.next_repeat.saturating_duration_since(now));
        }
        if self.kept.is_none_or(|(kept, _)| Some(kept) != self.delivery.restart_cursor()) {
            wait = wait.min(KEEPING);
        }
        let Inputs { newest, wishes, closing, .. } = &mut self.inputs;
        let woken = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => WakeReason::Closing,
            Some(command) = wishes.recv() => WakeReason::Wished(command),
            Ok(()) = newest.changed() => WakeReason::Up,
            () = tokio::time::sleep(wait) => WakeReason::Up,
        };
        // It had everything all the while.
        self.target.rests(self.delivery.cursor());
        woken
    }

    pub(super) async fn pause(&mut self, pause: Duration) -> WakeReason {
        let Inputs { wishes, closing, .. } = &mut self.inputs;
        let over = async {
            // The timer ticks in milliseconds, in which a batch could have been told.
            match pause.is_zero() {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => WakeReason::Closing,
            Some(command) = wishes.recv() => WakeReason::Wished(command),
            () = over => WakeReason::Up,
        }
    }
}
