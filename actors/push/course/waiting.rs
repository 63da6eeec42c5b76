//! Waiting for something new, or for a pause to be over; and up to where the target knows, kept now and
//! then.

use std::time::Duration;

use rollcall_identity::delivery::DeliveryState;

use super::{Course, Ears, Wish};
use crate::keeping::Acknowledged;
use crate::telemetry::NotKept;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a position may be known and not kept: what is told again after a crash is told in vain.
const KEEPING: Duration = Duration::from_secs(1);

/// What ended a wait.
pub(super) enum Woken {
    /// Time, or something new.
    Up,
    Wished(Wish),
    Closing,
}

impl Course {
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
        let scope = self.recipient.scope().to_owned();
        let acknowledged = Acknowledged { cursor, scope, hears: self.delivery.scope() };
        if let Err(why) = self.recipient.keep(&mut self.mouths, acknowledged).await {
            NotKept { target: self.recipient.name(), why: &why.to_string() }.emit();
        }
    }

    /// Waits for something new. What is known and not kept is kept meanwhile.
    pub(super) async fn rest(&mut self) -> Woken {
        let now = Clock::instant();
        let mut wait = self.next_check.saturating_duration_since(now);
        if self.delivery.needs_replay() {
            wait = wait.min(self.next_repeat.saturating_duration_since(now));
        }
        if self.kept.is_none_or(|(kept, _)| Some(kept) != self.delivery.restart_cursor()) {
            wait = wait.min(KEEPING);
        }
        let Ears { newest, wishes, closing, .. } = &mut self.ears;
        let woken = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Woken::Closing,
            Some(wish) = wishes.recv() => Woken::Wished(wish),
            Ok(()) = newest.changed() => Woken::Up,
            () = tokio::time::sleep(wait) => Woken::Up,
        };
        // It had everything all the while.
        self.recipient.rests(self.delivery.cursor());
        woken
    }

    pub(super) async fn pause(&mut self, pause: Duration) -> Woken {
        let Ears { wishes, closing, .. } = &mut self.ears;
        let over = async {
            // The timer ticks in milliseconds, in which a batch could have been told.
            match pause.is_zero() {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Woken::Closing,
            Some(wish) = wishes.recv() => Woken::Wished(wish),
            () = over => Woken::Up,
        }
    }
}
