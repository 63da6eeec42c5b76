//! Telling: batches go on their way, as many at once as the window lets, and what the target says of
//! each moves the place up to where it knows everything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rollcall_identity::delivery::{OutgoingBatch, SendOutcome, SkippedChange};
use rollcall_wire::secure_edge::SessionDigest;

use super::DeliveryLoop;
use crate::dialect::{Acknowledgement, PushBatch, Worker};
use crate::error::PushError;
use crate::telemetry::{ReportRefused, Sent};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// What became of a batch that was on its way.
pub(super) struct Returned {
    worker: Worker,
    launch: OutgoingBatch,
    arrived: Result<Acknowledgement, PushError>,
    bytes: u64,
    took: Duration,
}

impl DeliveryLoop {
    /// Tells what is in the window, until something else may be read or, at a rate, something else
    /// be told. Returns how many reports were sent, whatever became of them.
    pub(super) async fn tell(&mut self) -> Result<usize, PushError> {
        let mut told = 0;
        while let Some(returned) = self.on_way.next().await {
            told += self.land(returned?)?;
            if told > 0 && (self.delivery.wants_page() || self.rate.is_some()) {
                break;
            }
            self.launch()?;
        }
        Ok(told)
    }

    /// Sends whatever may go on its way.
    pub(super) fn launch(&mut self) -> Result<(), PushError> {
        while let Some(launch) = self.delivery.next_batch() {
            let worker = match self.workers.take() {
                Ok(worker) => worker,
                Err(error) => {
                    // It was not sent.
                    let _ = self.delivery.on_outcome(&launch, SendOutcome::NotApplied);
                    return Err(error);
                }
            };
            let batch = PushBatch {
                changes: Arc::clone(&launch.changes),
                after: launch.after,
                next: launch.next,
                turn: self.turn.clone(),
            };
            let began = Clock::instant();
            let told = worker.ask(move |dialect| (dialect.tell(&batch), dialect.take_sent()));
            self.on_way.push(Box::pin(async move {
                let (arrived, bytes) = told.await?;
                Ok(Returned { worker, launch, arrived, bytes, took: began.elapsed() })
            }));
        }
        Ok(())
    }

    /// Takes note of what became of a batch. Returns how many reports were in it.
    fn land(&mut self, returned: Returned) -> Result<usize, PushError> {
        let Returned { worker, launch, arrived, bytes, took } = returned;
        self.workers.give(worker);
        Sent { target: self.target.name(), bytes, took }.emit();
        self.target.sent(bytes);
        let landing = match &arrived {
            Ok(_) => SendOutcome::Accepted,
            Err(error @ PushError::BatchRejected { .. }) => {
                SendOutcome::Rejected(error.to_string())
            }
            Err(
                PushError::Unreachable(_) | PushError::ProtocolError(_) | PushError::Unaccepted(_),
            ) => SendOutcome::Unknown,
            Err(_) => SendOutcome::NotApplied,
        };
        match (arrived, self.delivery.on_outcome(&launch, landing)) {
            // What it took is no news to it.
            (_, Ok(Some(SkippedChange { address, reason }))) => {
                let refused = vec![(Some(address), reason)];
                self.arrived(&Acknowledgement { refused, ..Acknowledgement::default() });
            }
            (Ok(arrived), _) => self.arrived(&arrived),
            // It is sent in two, or something else in its place.
            (Err(_), Ok(None)) => {}
            (Err(error), Err(_)) => return Err(error),
        }
        Ok(launch.changes.len())
    }

    /// Waits for whatever is on its way, each for no longer than a request may take. Nobody is told
    /// anything more by what becomes of it: the failure before counts.
    pub(super) async fn settle(&mut self) -> Result<(), PushError> {
        while let Some(returned) = self.on_way.next().await {
            let _ = self.land(returned?);
        }
        Ok(())
    }

    fn arrived(&mut self, arrived: &Acknowledgement) {
        self.target.arrived(arrived);
        for (address, reason) in &arrived.refused {
            self.unheld.extend(address.map(SessionDigest::page));
            ReportRefused { target: self.target.name(), address: *address, reason }.emit();
        }
    }
}
