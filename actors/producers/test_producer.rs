//! The sink of a producer, for tests that do by themselves what the producer would.
#![allow(clippy::unwrap_used, reason = "test support: a failure ends the test")]

use std::sync::{Arc, Mutex, PoisonError};

use rollcall_identity::Producer as ProducerKind;
use tokio::sync::oneshot;

use crate::{EventSink, Producer, ProducerActor, ProducerFuture, StopSignal};
use rollcall_engine::Engine;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

/// A producer that gives its sink away.
struct Lent {
    kind: ProducerKind,
    lend: Mutex<Option<oneshot::Sender<EventSink>>>,
}

impl Producer for Lent {
    fn kind(&self) -> ProducerKind {
        self.kind
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let lend = self.lend.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = lend.map(|lend| lend.send(sink));
            stop.requested().await;
            Ok(())
        })
    }
}

/// The sink of a test producer of the kind `kind` with the name `called`, connected to `engine`.
pub async fn sink(
    engine: &Engine,
    (kind, called): (ProducerKind, &str),
    clock: Clock,
) -> EventSink {
    let desk = Mailbox::<ProducerActor>::new(called, clock);
    let (lend, lent) = oneshot::channel();
    let producer = Arc::new(Lent { kind, lend: Mutex::new(Some(lend)) });
    let (own, cache) = (desk.clone(), engine.cache.clone());
    let hired = move || ProducerActor::new(Arc::clone(&producer) as _, own.clone(), cache.clone());
    engine.supervisor.send(Spawn::new(desk, hired)).await.unwrap();
    lent.await.unwrap()
}
