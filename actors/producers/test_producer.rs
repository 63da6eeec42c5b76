//! A producer for tests that passes its event sink to the test.
#![allow(clippy::unwrap_used, reason = "test support: a failure ends the test")]

use std::sync::{Arc, Mutex, PoisonError};

use rollcall_identity::Producer as ProducerKind;
use tokio::sync::oneshot;

use crate::{EventSink, Producer, ProducerActor, ProducerFuture, StopSignal};
use rollcall_engine::Engine;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

/// A producer that passes its sink to the test.
struct TestProducer {
    kind: ProducerKind,
    sender: Mutex<Option<oneshot::Sender<EventSink>>>,
}

impl Producer for TestProducer {
    fn kind(&self) -> ProducerKind {
        self.kind
    }

    fn run(self: Arc<Self>, sink: EventSink, mut stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = sender.map(|sender| sender.send(sink));
            stop.requested().await;
            Ok(())
        })
    }
}

/// The sink of a test producer of the kind `kind` with the name `name`, connected to `engine`.
pub async fn sink(engine: &Engine, (kind, name): (ProducerKind, &str), clock: Clock) -> EventSink {
    let mailbox = Mailbox::<ProducerActor>::new(name, clock);
    let (sender, receiver) = oneshot::channel();
    let producer = Arc::new(TestProducer { kind, sender: Mutex::new(Some(sender)) });
    let (own, cache) = (mailbox.clone(), engine.cache.clone());
    let factory =
        move || ProducerActor::new(Arc::clone(&producer) as _, own.clone(), cache.clone());
    engine.supervisor.send(Spawn::new(mailbox, factory)).await.unwrap();
    receiver.await.unwrap()
}
