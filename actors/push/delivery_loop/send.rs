//! Sending batches, as many in parallel as the window allows, and processing the responses.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rollcall_identity::delivery::{OutgoingBatch, SendOutcome, SkippedChange};

use super::DeliveryLoop;
use crate::dialect::{Acknowledgement, PushBatch};
use crate::error::PushError;
use crate::telemetry::{ReportRefused, RequestCompleted};
use crate::worker::Worker;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The response to a batch.
pub(super) struct BatchResponse {
    worker: Worker,
    batch: OutgoingBatch,
    result: Result<Acknowledgement, PushError>,
    bytes: u64,
    duration: Duration,
}

impl DeliveryLoop {
    /// Receives responses and sends further batches, until another page may be read or, for a target
    /// with a maximum rate, until something was sent. Returns the number of changes that were sent,
    /// whatever their outcome.
    pub(super) async fn receive(&mut self) -> Result<usize, PushError> {
        let has_rate = self.target.capabilities().rate.is_some();
        let mut sent = 0;
        while let Some(response) = self.in_flight.next().await {
            sent += self.on_response(response?)?;
            if sent > 0 && (self.delivery.wants_page() || has_rate) {
                break;
            }
            self.send_ready()?;
        }
        Ok(sent)
    }

    /// Sends every batch that may be sent now.
    pub(super) fn send_ready(&mut self) -> Result<(), PushError> {
        while let Some(batch) = self.delivery.next_batch() {
            let worker = match self.workers.acquire() {
                Ok(worker) => worker,
                Err(error) => {
                    // The batch was not sent, and is queued again.
                    let _ = self.delivery.on_outcome(&batch, SendOutcome::NotApplied);
                    return Err(error);
                }
            };
            let request = PushBatch {
                changes: Arc::clone(&batch.changes),
                after: batch.after,
                next: batch.next,
                session: self.session.clone(),
            };
            let began = Clock::instant();
            let sent =
                worker.run(move |dialect| (dialect.send(&request), dialect.take_bytes_sent()));
            self.in_flight.push(Box::pin(async move {
                let (result, bytes) = sent.await?;
                Ok(BatchResponse { worker, batch, result, bytes, duration: began.elapsed() })
            }));
        }
        Ok(())
    }

    /// Processes a response. Returns the number of changes in its batch.
    fn on_response(&mut self, response: BatchResponse) -> Result<usize, PushError> {
        let BatchResponse { worker, batch, result, bytes, duration } = response;
        self.workers.release(worker);
        RequestCompleted { target: self.target.name(), bytes, duration }.emit();
        self.target.sent(bytes);
        let outcome = match &result {
            Ok(_) => SendOutcome::Accepted,
            Err(error @ PushError::BatchRejected(_)) => SendOutcome::Rejected(error.to_string()),
            Err(PushError::Unreachable(_) | PushError::ProtocolError(_)) => SendOutcome::Unknown,
            Err(_) => SendOutcome::NotApplied,
        };
        match (result, self.delivery.on_outcome(&batch, outcome)) {
            // The accepted probe contains nothing new.
            (_, Ok(Some(SkippedChange { address, reason }))) => {
                let refused = vec![(Some(address), reason)];
                self.on_acknowledged(&Acknowledgement { refused, ..Acknowledgement::default() });
            }
            (Ok(acknowledgement), _) => self.on_acknowledged(&acknowledgement),
            // The batch is split, or a probe is sent in its place.
            (Err(_), Ok(None)) => {}
            (Err(error), Err(_)) => return Err(error),
        }
        Ok(batch.changes.len())
    }

    /// Waits for all requests in flight, each no longer than its timeout. Their failures are not
    /// reported, because an earlier failure was.
    pub(super) async fn drain(&mut self) -> Result<(), PushError> {
        while let Some(response) = self.in_flight.next().await {
            let _ = self.on_response(response?);
        }
        Ok(())
    }

    fn on_acknowledged(&mut self, acknowledgement: &Acknowledgement) {
        self.target.acknowledged(acknowledgement);
        for (address, reason) in &acknowledgement.refused {
            self.refused.extend(address);
            ReportRefused { target: self.target.name(), address: *address, reason }.emit();
        }
    }
}
