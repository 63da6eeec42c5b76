//! The handle that a supervised actor holds while it lives, and the report of its end.
//!
//! It is a module of its own because the supervisor and the mailbox both use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::mpsc;

use crate::actor_metrics::ExitCause;

/// How an actor ended, reported by its handle.
pub(crate) struct ActorExit {
    pub actor: Arc<str>,
    pub generation: u64,
    pub cause: ExitCause,
    pub error: Option<String>,
}

/// What an actor holds while it lives. Dropping it reports the end to the supervisor, whatever ended
/// the actor.
pub(crate) struct ActorHandle {
    pub actor: Arc<str>,
    pub generation: u64,
    /// The newest generation of the actor.
    pub newest: Arc<AtomicU64>,
    pub error: Option<String>,
    pub exits: mpsc::UnboundedSender<ActorExit>,
}

impl ActorHandle {
    /// Records the error with which the actor ends.
    pub(crate) fn failed(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Whether the supervisor has started a newer generation.
    pub(crate) fn is_superseded(&self) -> bool {
        self.newest.load(SeqCst) != self.generation
    }
}

impl Drop for ActorHandle {
    fn drop(&mut self) {
        let cause = match self.error {
            _ if std::thread::panicking() => ExitCause::Panic,
            Some(_) => ExitCause::Error,
            None => ExitCause::Stop,
        };
        // The supervisor may be gone when the process ends.
        let _ = self.exits.send(ActorExit {
            actor: Arc::clone(&self.actor),
            generation: self.generation,
            cause,
            error: self.error.take(),
        });
    }
}
