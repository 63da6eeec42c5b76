//! The pushing producer: firewalls and programs post events to the enforcement listener, which hands
//! them over here.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rollcall_identity::Producer as Word;

use super::{Outlet, Producer, Running, Stop};

/// Where the listener finds the producer's way to the cache. Empty while there is no producer.
#[derive(Clone, Default)]
pub struct Pushes(Arc<ArcSwapOption<Outlet>>);

impl Pushes {
    /// The way to the cache, if pushes are taken now.
    pub fn outlet(&self) -> Option<Arc<Outlet>> {
        self.0.load_full()
    }
}

/// The producer. It has no socket of its own: it opens the way, and closes it.
pub struct Ptim {
    pushes: Pushes,
}

impl Ptim {
    /// A producer that takes what comes by `pushes`.
    pub fn new(pushes: Pushes) -> Self {
        Self { pushes }
    }
}

impl Producer for Ptim {
    fn word(&self) -> Word {
        Word::Ptim
    }

    fn run(self: Arc<Self>, outlet: Outlet, mut stop: Stop) -> Running {
        Box::pin(async move {
            // It is left there by a failure: the mailbox behind it stays valid, and says so itself
            // while nobody is there.
            self.pushes.0.store(Some(Arc::new(outlet)));
            stop.asked().await;
            self.pushes.0.store(None);
            Ok(())
        })
    }
}
