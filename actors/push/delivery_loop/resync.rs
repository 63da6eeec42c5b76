//! Full resyncs, and refreshes of targets that discard entries after a time.

use std::sync::Arc;
use std::time::Instant;

use rollcall_identity::delivery::TargetPosition;

use super::{DeliveryLoop, NextStep, missing, unique_id};
use crate::dialect::{Dialect, PushSession};
use crate::error::PushError;
use crate::telemetry::{FullResyncStarted, RefreshStarted};
use rollcall_runtime::telemetry::TelemetryEvent;

impl DeliveryLoop {
    /// Requests a full resync for this reason.
    pub(super) async fn request_resync(&mut self, reason: &'static str) -> Result<(), PushError> {
        self.drain().await?;
        self.delivery.request_resync();
        self.session = PushSession::Incremental(unique_id());
        self.on_resync_started(reason);
        // Otherwise a target without a position would continue from the old one after a restart.
        self.store_if(true).await;
        Ok(())
    }

    pub(super) fn on_resync_started(&mut self, reason: &'static str) {
        self.suspects = None;
        self.refused.clear();
        self.target.full_resync_started();
        FullResyncStarted { target: self.target.name(), reason }.emit();
    }

    /// Sends all sessions again before the target discards them.
    pub(super) fn refresh(&mut self, now: Instant) {
        self.delivery.request_resync();
        self.session = PushSession::Incremental(unique_id());
        let interval = self.target.capabilities().refresh_interval();
        self.next_refresh = interval.map(|interval| now + interval);
        RefreshStarted { target: self.target.name() }.emit();
    }

    pub(super) async fn start_resync(&mut self) -> Result<NextStep, PushError> {
        let id = unique_id();
        self.session = PushSession::FullResync(Arc::clone(&id));
        let start = move |dialect: &mut dyn Dialect| match dialect.resync() {
            Some(target) => target.start_resync(&id),
            None => Err(missing("full resync")),
        };
        let window = self.workers.run(start).await??;
        self.delivery.resync_started(self.width(window));
        Ok(NextStep::Continue(0))
    }

    /// Finishes a full resync. If the target is at its end already, only the last response was lost.
    pub(super) async fn finish_resync(&mut self) -> Result<NextStep, PushError> {
        if let (PushSession::FullResync(id), Some(end)) =
            (self.session.clone(), self.delivery.resync_end())
            && self.read_position().await?.position != TargetPosition::At(end)
        {
            let finish = move |dialect: &mut dyn Dialect| match dialect.resync() {
                Some(target) => target.finish_resync(&id, &end),
                None => Err(missing("full resync")),
            };
            self.workers.run(finish).await??;
        }
        self.delivery.resync_finished();
        self.session = PushSession::Incremental(unique_id());
        self.store_if(true).await;
        Ok(NextStep::Continue(0))
    }
}
