//! Submits the batches of a log one after another: while one batch is committed, the next one is
//! requested and decoded, and waits.

use std::future::Future;
use std::pin::Pin;

use rollcall_identity::logon::auditing::AuditGap;

use super::decoder::DecodedBatch;
use crate::{EventSink, InputBatch};
use rollcall_engine::messages::ApplyError;

/// The batch that was submitted last, until it is visible. Only one batch is in flight. If a second
/// one were submitted and the first one rejected, the bookmark of the second would be committed,
/// and the events of the first would be lost.
pub(super) struct InFlight<'a> {
    sink: &'a EventSink,
    batch: Option<(Receipt, Read)>,
}

/// Completes when the batch is visible.
type Receipt = Pin<Box<dyn Future<Output = Result<(), ApplyError>>>>;

/// The facts about a batch that are reported when it is visible.
#[derive(Debug)]
pub(super) struct Read {
    /// Its content, except its events.
    pub(super) batch: DecodedBatch,
    /// The events that the server does not audit, as far as known at that time.
    pub(super) unaudited: Vec<AuditGap>,
    /// The number of the last record in the batch, or before it.
    pub(super) last_record: Option<u64>,
    /// Whether the batch has the maximum size, so that more records are available.
    pub(super) is_full: bool,
}

impl<'a> InFlight<'a> {
    /// No batch is in flight; batches are submitted to `sink`.
    pub(super) const fn new(sink: &'a EventSink) -> Self {
        Self { sink, batch: None }
    }

    /// Submits `input` as soon as the previous batch is visible, and returns the previous batch.
    ///
    /// # Errors
    /// When the previous batch was rejected. `input` is not submitted, and both must be read again.
    pub(super) async fn submit(
        &mut self,
        mut input: InputBatch,
        read: Read,
    ) -> Result<Option<Read>, ApplyError> {
        let before = self.settled().await?;
        let pending = self.sink.submit(&mut input).await;
        let receipt = async move {
            match pending {
                Some(pending) => pending.receipt().await.map(drop),
                None => Ok(()),
            }
        };
        self.batch = Some((Box::pin(receipt), read));
        Ok(before)
    }

    /// Waits until no batch is in flight, and returns the batch that became visible. It is
    /// cancel-safe: when the future is dropped, the batch stays in flight.
    ///
    /// # Errors
    /// When the batch was rejected. It must be read again.
    pub(super) async fn settled(&mut self) -> Result<Option<Read>, ApplyError> {
        let Some((receipt, _)) = &mut self.batch else { return Ok(None) };
        let accepted = receipt.await;
        let read = self.batch.take().map(|(_, read)| read);
        accepted.map(|()| read)
    }
}

#[cfg(test)]
mod tests;
