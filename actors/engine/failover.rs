//! The offices of the cache and the query actor as both share them: a term ends when whoever holds it is
//! dropped, and a successor asks the other for what it holds. Who may take over what is decided in
//! [`Generations`].

use crate::messages::StateTransfer;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::Message;
use rollcall_identity::{
    EngineRole, Generations, OwnershipLease, RecoveredState, StaleTakeover, StartMode,
    TableSnapshot, Timestamp,
};

use rollcall_runtime::mailbox::{Handler, Mailbox, MailboxClosed};

/// How long a new query actor or cache waits for what the other holds, before it fails and is
/// replaced after a pause. The other answers within milliseconds, unless it is frozen.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who holds what, shared by the factories of both.
#[derive(Debug, Clone)]
pub(crate) struct Failover(Arc<Mutex<Generations>>);

/// The time in office of one cache or one query actor; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OwnershipGuard {
    tenure: OwnershipLease,
    succession: Failover,
}

/// Why nothing could be taken over for now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// The other is not there.
    #[error("nothing to take over yet: {0}")]
    MailboxClosed(#[from] MailboxClosed),
    /// The other did not answer.
    #[error("nothing to take over yet: no answer within {PATIENCE:?}")]
    Silent,
    /// The one that answered, or the one that asked, was replaced meanwhile.
    #[error(transparent)]
    Outdated(#[from] StaleTakeover),
}

impl Failover {
    /// Nobody is there yet.
    pub(crate) fn new(epoch: u64, legacy: RecoveredState) -> Self {
        Self(Arc::new(Mutex::new(Generations::new(epoch, legacy))))
    }

    /// A new cache is made. Whatever its predecessor held can no longer be reached.
    pub(crate) fn cache(&self) -> OwnershipGuard {
        self.term(EngineRole::Cache)
    }

    /// A new query actor is made. Whatever its predecessor held can no longer be reached.
    pub(crate) fn query(&self) -> OwnershipGuard {
        self.term(EngineRole::Query)
    }

    fn term(&self, office: EngineRole) -> OwnershipGuard {
        let tenure = self.with(|offices| offices.acquire(office));
        OwnershipGuard { tenure, succession: self.clone() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Generations) -> T) -> T {
        // Nothing under the lock can leave them half written.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl OwnershipGuard {
    /// Its number. A later cache has a higher one.
    pub(crate) fn number(&self) -> u64 {
        self.tenure.generation()
    }

    /// The epoch of the cursors.
    pub(crate) fn epoch(&self) -> u64 {
        self.succession.with(|offices| offices.epoch())
    }

    /// Whether no successor was made yet.
    pub(crate) fn lasts(&self) -> bool {
        self.succession.with(|offices| offices.is_current(self.tenure))
    }

    /// Begins at `now`. Except for a [`StartMode::Successor`], it is established then.
    pub(crate) fn begin(&self, now: Timestamp) -> StartMode {
        self.succession.with(|offices| offices.start(self.tenure, now))
    }

    /// Establishes it on what the other held in its term `from`.
    ///
    /// # Errors
    /// When that is no longer all there is to know.
    pub(crate) fn succeed(&self, from: u64) -> Result<(), StaleTakeover> {
        self.succession.with(|offices| offices.complete_takeover(self.tenure, from))
    }
}

impl Drop for OwnershipGuard {
    fn drop(&mut self) {
        self.succession.with(|offices| offices.release(self.tenure));
    }
}

/// Asks whoever is behind `other` for what it holds.
pub(crate) async fn estate<R, M>(other: &Mailbox<R>, question: M) -> Result<StateTransfer, NotReady>
where
    R: Handler<M>,
    M: Message<Result = StateTransfer> + Send + 'static,
{
    // Without waiting for a place: those who wait for one may be waiting for us.
    match tokio::time::timeout(PATIENCE, other.post(question)?).await {
        Ok(estate) => Ok(estate?),
        Err(_) => Err(NotReady::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_with_whoever_holds_it() {
        let now = Timestamp::from_millis(1_795_290_600_000);
        let succession = Failover::new(7, RecoveredState::default());
        let (query, cache) = (succession.query(), succession.cache());
        assert!(matches!(query.begin(now), StartMode::FromLog(_)));
        assert!(matches!(cache.begin(now), StartMode::FromLog(_)));
        drop(cache);
        let cache = succession.cache();
        assert!(matches!(cache.begin(now), StartMode::FromPeer));
        assert_eq!(cache.succeed(query.number()), Ok(()));
        drop((query, cache));
        assert!(matches!(succession.cache().begin(now), StartMode::Empty));
    }
}
