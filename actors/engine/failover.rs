//! Failover between the cache and the query actor: each new one takes over the state of the other.
//!
//! [`Generations`] decides who may take over from whom. This module shares it between the factories of
//! both actors, and releases ownership when an actor is dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::Message;
use futures_util::future::BoxFuture;
use rollcall_identity::Timestamp;
use rollcall_identity::engine::{
    EngineRole, Generations, Ownership, OwnershipLease, RecoveredState, StaleTakeover, StartMode,
    StateTransfer,
};
use rollcall_runtime::mailbox::{Handler, Mailbox, MailboxClosed};

/// How long a new actor waits for the state of the other before it fails and is restarted after a
/// backoff. The other answers within milliseconds, unless it hangs.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2);

/// The current generations of both actors, shared by their factories.
#[derive(Debug, Clone)]
pub(crate) struct Failover(Arc<Mutex<Generations>>);

/// The ownership of one generation of the cache or the query actor. Dropping it releases the
/// ownership.
#[derive(Debug)]
pub(crate) struct OwnershipGuard {
    lease: OwnershipLease,
    failover: Failover,
}

/// Why the state of the other actor is not available now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// The other actor does not run.
    #[error("state transfer unavailable: {0}")]
    MailboxClosed(#[from] MailboxClosed),
    /// The other actor did not answer.
    #[error("state transfer unavailable: no answer within {TRANSFER_TIMEOUT:?}")]
    Timeout,
    /// One of the two was replaced meanwhile.
    #[error(transparent)]
    Stale(#[from] StaleTakeover),
}

impl Failover {
    /// No actor runs yet; the first ones start from `recovered`.
    pub(crate) fn new(epoch: u64, recovered: RecoveredState) -> Self {
        Self(Arc::new(Mutex::new(Generations::new(epoch, recovered))))
    }

    /// Ownership of `role` for this generation of its actor, as the supervisor numbers it. The
    /// generation before loses its own.
    pub(crate) fn acquire(&self, role: EngineRole, generation: u64) -> OwnershipGuard {
        let lease = self.with(|generations| generations.acquire(role, generation));
        OwnershipGuard { lease, failover: self.clone() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        // No operation under the lock can leave the value half written.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ownership for OwnershipGuard {
    fn generation(&self) -> u64 {
        self.lease.generation()
    }

    fn epoch(&self) -> u64 {
        self.failover.with(|generations| generations.epoch())
    }

    fn start(&self, now: Timestamp) -> StartMode {
        self.failover.with(|generations| generations.start(self.lease, now))
    }

    fn is_current(&self) -> bool {
        self.failover.with(|generations| generations.is_current(self.lease))
    }

    fn complete_takeover(&self, from: u64) -> Result<(), StaleTakeover> {
        self.failover.with(|generations| generations.complete_takeover(self.lease, from))
    }
}

impl Drop for OwnershipGuard {
    fn drop(&mut self) {
        self.failover.with(|generations| generations.release(self.lease));
    }
}

/// Requests the state of the other actor, whatever its type: the two actors do not import each other.
pub(crate) type StateSource =
    Arc<dyn Fn() -> BoxFuture<'static, Result<StateTransfer, NotReady>> + Send + Sync>;

/// Requests the state of the actor behind `other`.
pub(crate) async fn request_state<A, M>(
    other: &Mailbox<A>,
    request: M,
) -> Result<StateTransfer, NotReady>
where
    A: Handler<M>,
    M: Message<Result = StateTransfer> + Send + 'static,
{
    // Without a permit: senders that hold the permits may wait for this actor.
    match tokio::time::timeout(TRANSFER_TIMEOUT, other.post(request)?).await {
        Ok(state) => Ok(state?),
        Err(_) => Err(NotReady::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_guard_releases_the_ownership() {
        let now = Timestamp::from_millis(1_795_290_600_000);
        let failover = Failover::new(7, RecoveredState::default());
        let query = failover.acquire(EngineRole::Query, 1);
        let cache = failover.acquire(EngineRole::Cache, 2);
        assert!(matches!(query.start(now), StartMode::FromLog(_)));
        assert!(matches!(cache.start(now), StartMode::FromLog(_)));
        drop(cache);
        let cache = failover.acquire(EngineRole::Cache, 3);
        assert!(matches!(cache.start(now), StartMode::FromPeer));
        assert_eq!(cache.complete_takeover(query.generation()), Ok(()));
        drop((query, cache));
        let cache = failover.acquire(EngineRole::Cache, 4);
        assert!(matches!(cache.start(now), StartMode::Empty));
    }
}
