//! The outlet of a producer, for tests that do by themselves what the producer would.
#![allow(clippy::unwrap_used, reason = "test support: a failure ends the test")]

use std::sync::{Arc, Mutex, PoisonError};

use rollcall_identity::Producer as Word;
use tokio::sync::oneshot;

use crate::{Outlet, Producer, Producing, Running, Stop};
use rollcall_engine::Engine;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Spawn;

/// A producer that gives its outlet away.
struct Lent {
    word: Word,
    lend: Mutex<Option<oneshot::Sender<Outlet>>>,
}

impl Producer for Lent {
    fn word(&self) -> Word {
        self.word
    }

    fn run(self: Arc<Self>, outlet: Outlet, mut stop: Stop) -> Running {
        Box::pin(async move {
            let lend = self.lend.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = lend.map(|lend| lend.send(outlet));
            stop.asked().await;
            Ok(())
        })
    }
}

/// The outlet of a test producer of the kind `word` with the name `called`, connected to `engine`.
pub async fn outlet(engine: &Engine, (word, called): (Word, &str), clock: Clock) -> Outlet {
    let desk = Mailbox::<Producing>::new(called, clock);
    let (lend, lent) = oneshot::channel();
    let producer = Arc::new(Lent { word, lend: Mutex::new(Some(lend)) });
    let (own, cache) = (desk.clone(), engine.cache.clone());
    let hired = move || Producing::new(Arc::clone(&producer) as _, own.clone(), cache.clone());
    engine.supervisor.send(Spawn::new(desk, hired)).await.unwrap();
    lent.await.unwrap()
}
