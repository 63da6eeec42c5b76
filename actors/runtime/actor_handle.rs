//! What a supervised actor holds while it lives. It stands apart from supervisor and mailbox, because
//! both use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::mpsc;

use crate::actor_metrics::End;

/// How an actor ended, told by its lease.
pub(crate) struct Ended {
    pub actor: Arc<str>,
    pub term: u64,
    pub end: End,
    pub error: Option<String>,
}

/// What an actor holds while it lives; dropping it is the only way to end.
pub struct Lease {
    pub(crate) actor: Arc<str>,
    pub(crate) term: u64,
    pub(crate) current: Arc<AtomicU64>,
    pub(crate) error: Option<String>,
    pub(crate) reports: mpsc::UnboundedSender<Ended>,
}

impl Lease {
    /// Notes why the actor gives up.
    pub(crate) fn failed(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Whether somebody else was seated meanwhile.
    pub(crate) fn is_revoked(&self) -> bool {
        self.current.load(SeqCst) != self.term
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let end = match self.error {
            _ if std::thread::panicking() => End::Panic,
            Some(_) => End::Error,
            None => End::Stop,
        };
        // The supervisor may be gone when the process ends.
        let _ = self.reports.send(Ended {
            actor: Arc::clone(&self.actor),
            term: self.term,
            end,
            error: self.error.take(),
        });
    }
}
