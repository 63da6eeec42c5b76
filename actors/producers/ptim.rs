//! The PTIM producer: clients push events to the enforcement listener, which submits them here.

pub(crate) mod factory;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rollcall_identity::Producer as ProducerKind;

use super::{EventSink, Producer, ProducerFuture, StopSignal};

/// Where the enforcement listener finds the event sink of the producer. It is empty while no
/// producer runs.
#[derive(Clone, Default)]
pub struct PushSink(Arc<ArcSwapOption<EventSink>>);

impl PushSink {
    /// The event sink, if pushes are accepted now.
    pub fn get(&self) -> Option<Arc<EventSink>> {
        self.0.load_full()
    }
}

/// The producer. It has no socket: it publishes its event sink, and withdraws it when it is stopped.
pub struct Ptim {
    pushes: PushSink,
}

impl Ptim {
    /// A producer that publishes its event sink in `pushes`.
    pub fn new(pushes: PushSink) -> Self {
        Self { pushes }
    }
}

impl Producer for Ptim {
    fn kind(&self) -> ProducerKind {
        ProducerKind::Ptim
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            // After a failure the sink stays: its mailbox is kept, and returns an error while no
            // actor runs.
            self.pushes.0.store(Some(Arc::new(sink)));
            stop.requested().await;
            self.pushes.0.store(None);
            Ok(())
        })
    }
}
