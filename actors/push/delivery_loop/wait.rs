//! Waiting for changes and for the end of a backoff, and storing the acknowledged position.

use std::time::Duration;

use rollcall_identity::delivery::DeliveryState;

use super::{Command, DeliveryLoop, Inputs};
use crate::cursor_store::StoredCursor;
use crate::telemetry::CursorNotStored;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The minimum interval between two writes of the position. After a crash, changes of this interval
/// are sent again.
const STORE_INTERVAL: Duration = Duration::from_secs(1);

/// The wait when nothing is due. New changes end it.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Why a wait ended.
pub(super) enum WakeReason {
    /// The time has passed, or there are new changes.
    Ready,
    Command(Command),
    Closing,
}

impl DeliveryLoop {
    /// Stores the position, at most once per interval.
    pub(super) async fn store_periodically(&mut self) {
        let is_due = self.stored.is_none_or(|(stored, when)| {
            Some(stored) != self.delivery.restart_cursor() && when.elapsed() >= STORE_INTERVAL
        });
        self.store_if(is_due).await;
    }

    /// Stores the position, except during a full resync. If that fails, changes are sent again after a
    /// restart, and none is lost.
    pub(super) async fn store_if(&mut self, is_due: bool) {
        let position = (self.delivery.state(), self.delivery.restart_cursor(), is_due);
        let (DeliveryState::Following, Some(cursor), true) = position else { return };
        self.stored = Some((cursor, Clock::instant()));
        let content_settings = self.target.content_settings().to_owned();
        let delivery_scope = self.delivery.scope();
        let stored = StoredCursor { cursor, content_settings, delivery_scope };
        if let Err(why) = self.target.store(&mut self.workers, stored).await {
            CursorNotStored { target: self.target.name(), why: &why.to_string() }.emit();
        }
    }

    /// Waits for new changes, or until something else is due.
    pub(super) async fn wait_for_changes(&mut self) -> WakeReason {
        let wait = self.next_due();
        let Inputs { newest, commands, closing, .. } = &mut self.inputs;
        let woken = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => WakeReason::Closing,
            Some(command) = commands.recv() => WakeReason::Command(command),
            Ok(()) = newest.changed() => WakeReason::Ready,
            () = tokio::time::sleep(wait) => WakeReason::Ready,
        };
        // The target had every change until now.
        self.target.set_complete(self.delivery.cursor());
        woken
    }

    /// The time until the next check, refresh, replay or write of the position.
    fn next_due(&self) -> Duration {
        let replay = self.delivery.needs_replay().then_some(self.next_replay);
        let now = Clock::instant();
        let due = [self.next_check, self.next_refresh, replay].into_iter().flatten().min();
        let wait = due.map_or(MAX_WAIT, |at| at.saturating_duration_since(now));
        match self.stored {
            Some((stored, _)) if Some(stored) == self.delivery.restart_cursor() => wait,
            _ => wait.min(STORE_INTERVAL),
        }
    }

    /// Waits for the end of a backoff or of a rate limit.
    pub(super) async fn pause(&mut self, pause: Duration) -> WakeReason {
        let Inputs { commands, closing, .. } = &mut self.inputs;
        let over = async {
            // The timer has a resolution of a millisecond, in which a batch could be sent.
            match pause.is_zero() {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => WakeReason::Closing,
            Some(command) = commands.recv() => WakeReason::Command(command),
            () = over => WakeReason::Ready,
        }
    }
}
