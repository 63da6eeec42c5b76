//! The trait of all producers: one task that reads a source until it is stopped or fails.

use std::pin::Pin;
use std::sync::Arc;

use rollcall_identity::Producer as ProducerKind;
use tokio::sync::watch;

use crate::EventSink;

/// A source of events. It runs until it is stopped, or fails.
pub trait Producer: Send + Sync + 'static {
    /// The kind of the producer.
    fn kind(&self) -> ProducerKind;

    /// Runs the producer. It is called again after a failure, with the same sockets.
    fn run(self: Arc<Self>, sink: EventSink, stop: StopSignal) -> ProducerFuture;
}

/// A running producer. It is polled on the thread of its actor.
pub type ProducerFuture = Pin<Box<dyn Future<Output = Result<(), ProducerError>>>>;

/// The error that ended a producer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProducerError(pub String);

/// Requests that a producer stops reading and submits what it has read.
#[derive(Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    pub(crate) fn subscribe(sender: &watch::Sender<bool>) -> Self {
        Self(sender.subscribe())
    }

    /// Whether the stop is requested. For threads that poll between two blocking calls.
    pub fn is_requested(&self) -> bool {
        // If the actor has ended, the producer must also stop.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the stop is requested.
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
