//! Handing over what was read of a log, batch by batch: while one is being committed, the next one is
//! asked for and read, and waits.

use std::future::Future;
use std::pin::Pin;

use rollcall_identity::logon::auditing::AuditGap;

use super::decoder::DecodedBatch;
use crate::{EventSink, InputBatch};
use rollcall_engine::messages::ApplyError;

/// The batch that was handed over last, until it is visible. There is never a second one behind it:
/// were the first refused, the bookmark of the second would be committed without it, and what it
/// covers would be lost.
pub(super) struct InFlight<'a> {
    sink: &'a EventSink,
    batch: Option<(Receipt, Read)>,
}

/// Comes when the batch is visible.
type Receipt = Pin<Box<dyn Future<Output = Result<(), ApplyError>>>>;

/// What is to be told of a batch, once it is visible.
#[derive(Debug)]
pub(super) struct Read {
    /// What it was, besides its events.
    pub(super) gathered: DecodedBatch,
    /// What the server does not audit, as far as it was known then.
    pub(super) unaudited: Vec<AuditGap>,
    /// The last record in it, or before it.
    pub(super) place: Option<u64>,
    /// Whether it was as large as it may be, so that there is more.
    pub(super) is_full: bool,
}

impl<'a> InFlight<'a> {
    /// Nothing yet; what comes goes to `sink`.
    pub(super) const fn new(sink: &'a EventSink) -> Self {
        Self { sink, batch: None }
    }

    /// Hands over `input` as soon as the batch before is visible, which is returned.
    ///
    /// # Errors
    /// The batch before was refused: this one is not handed over, and both are to be read again.
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

    /// Waits until nothing is under way; returns the batch that is visible now. When this is dropped
    /// before it is done, the batch is under way as before.
    ///
    /// # Errors
    /// It was refused, and is to be read again.
    pub(super) async fn settled(&mut self) -> Result<Option<Read>, ApplyError> {
        let Some((receipt, _)) = &mut self.batch else { return Ok(None) };
        let taken = receipt.await;
        let read = self.batch.take().map(|(_, read)| read);
        taken.map(|()| read)
    }
}

#[cfg(test)]
mod tests;
