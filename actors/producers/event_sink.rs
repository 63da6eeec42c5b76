//! The path of a producer to the cache. It counts received and dropped items.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use rollcall_engine::messages::{Apply, ApplyError, GetReadPosition, UpdateMembership};
use rollcall_identity::directory::{AffectedAccounts, RemovalPolicy};
use rollcall_identity::{Name, Origin, ReadPosition, ReadSource, Receipt};
use rollcall_journal::WriteErrorWatch;
use rollcall_runtime::event_accounting::{Dropped, EventAccount, Received};
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::input_batch::{DropCount, InputBatch};
use crate::{ProducerActor, StopSignal};

/// The path of a producer to the cache.
#[derive(Clone)]
pub struct EventSink {
    pub(crate) name: Arc<str>,
    pub(crate) mailbox: Mailbox<ProducerActor>,
    pub(crate) journal_status: WriteErrorWatch,
}

/// Submitted events that are not decided yet. They are decided, or counted as dropped, whether the
/// receipt is awaited or not.
pub struct PendingAck(Pin<Box<dyn Future<Output = Result<Receipt, ApplyError>> + Send>>);

impl PendingAck {
    /// Waits until the effects of the events are visible to all consumers.
    ///
    /// # Errors
    /// When the cache did not accept the events.
    pub async fn receipt(self) -> Result<Receipt, ApplyError> {
        self.0.await
    }
}

/// The pause before a directory update is submitted again.
const UPDATE_RETRY: Duration = Duration::from_secs(1);

impl EventSink {
    /// The configured name of the producer.
    pub fn producer(&self) -> &str {
        &self.name
    }

    /// Waits while the journal is not writable, or until `stop`. For producers whose senders do not
    /// repeat rejected input: input that is not read stays in the kernel, and stream senders
    /// experience back-pressure.
    pub async fn wait_for_journal(&self, stop: &StopSignal) {
        let (mut journal_status, mut stop) = (self.journal_status.clone(), stop.clone());
        let (writable, stopped) =
            (pin!(journal_status.wait_for(Option::is_none)), pin!(stop.requested()));
        // If the journal has ended, the next submission fails with its error.
        let _ = select(stopped, writable).await;
    }

    /// Submits a batch and leaves it empty. Returns when the mailbox of the producer has accepted
    /// the events: this is how back-pressure reaches the socket. `None` when there was nothing to
    /// submit.
    pub async fn submit(&self, batch: &mut InputBatch) -> Option<PendingAck> {
        let dropped: u64 = batch.dropped.iter().map(|drop| drop.count).sum();
        // The next batch is probably as large: its memory is allocated at once.
        let next = Vec::with_capacity(batch.events.len());
        let events = std::mem::replace(&mut batch.events, next);
        let count = events.len() as u64;
        Received { producer: &self.name, count: count + dropped }.emit();
        for DropCount { reason, form, count } in batch.dropped.drain(..) {
            let form = form.as_ref().map_or("none", Name::as_str);
            Dropped { producer: &self.name, reason, form, count }.emit();
        }
        let read = batch.read.take();
        if events.is_empty() && read.is_none() {
            return None;
        }
        let read = read.and_then(|(name, position)| {
            Some(ReadPosition { source: self.source(name)?, position })
        });
        let account = EventAccount::open(Arc::clone(&self.name), count);
        let apply = Apply { events, read, account };
        // While the actor of the producer is being replaced, events wait for the next generation.
        self.mailbox.wait_until_running().await;
        Some(PendingAck(match self.mailbox.queue(apply).await {
            Ok(reply) => Box::pin(async { reply.await? }),
            Err(closed) => Box::pin(async move { Err(closed.into()) }),
        }))
    }

    /// The last committed read position of the source `name`; `None` when there is none. Producers
    /// query it at each start, because events that were submitted but not committed must be read
    /// again.
    ///
    /// # Errors
    /// When the journal is unavailable.
    pub async fn last_read(&self, name: Name) -> Result<Option<Arc<[u8]>>, ApplyError> {
        let Some(source) = self.source(name) else { return Ok(None) };
        self.mailbox.wait_until_running().await;
        self.mailbox.send(GetReadPosition(source)).await?
    }

    fn source(&self, name: Name) -> Option<ReadSource> {
        Some(ReadSource { producer: Name::new(&self.name).ok()?, name })
    }

    /// Submits directory changes that affect sessions, in the name of `origin`. Returns when the
    /// effects are visible. While the cache is being replaced or accepts nothing, it retries.
    pub async fn submit_update(
        &self,
        affected: Arc<AffectedAccounts>,
        removal: RemovalPolicy,
        origin: Arc<Origin>,
    ) {
        let update = UpdateMembership { affected, gone: removal, origin };
        loop {
            self.mailbox.wait_until_running().await;
            if let Ok(reply) = self.mailbox.queue(update.clone()).await
                && let Ok(Ok(())) = reply.await
            {
                return;
            }
            tokio::time::sleep(UPDATE_RETRY).await;
        }
    }
}
