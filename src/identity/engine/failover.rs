//! Failover between the cache and the query actor: a replacement takes over the state of its peer,
//! and neither starts empty while the other has state.
//!
//! Only the cache starts with an empty table, and only if the query actor holds no state either.
//! The query actor always follows the cache, so the two never wait for each other.
//!
//! A generation has one number everywhere: the one under which the supervisor started it. Later
//! generations have higher numbers, and no two actors share one.

use crate::{Revision, Table, TableSnapshot, Timestamp};

/// The generations of both actors, and which of them hold state.
#[derive(Debug)]
pub struct Generations {
    epoch: u64,
    /// The state restored at start; emptied when the first cache takes it.
    recovered: RecoveredState,
    /// Whether a cache was ever started. Before that there is nothing to take over.
    has_started: bool,
    cache: Holder,
    query: Holder,
}

/// The two actors that back each other up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineRole {
    /// The cache, which decides.
    Cache,
    /// The query actor, which answers.
    Query,
}

/// The ownership of a role by one generation of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnershipLease {
    role: EngineRole,
    generation: u64,
}

/// The owner of a role. 0 is no generation.
#[derive(Debug, Default)]
struct Holder {
    /// The latest generation.
    latest: u64,
    /// The latest generation that had the complete state.
    established: u64,
    /// Whether that generation is still running.
    is_held: bool,
}

/// The state recovered from the journal: the same content in the form that each actor needs.
#[derive(Debug, Default)]
pub struct RecoveredState {
    /// For the cache.
    pub table: Table,
    /// For the query actor. For the cache, only the newest position is set.
    pub snapshot: TableSnapshot,
}

impl RecoveredState {
    /// The state for both actors from `table`, to which everything up to `newest` is applied.
    pub fn from_table(table: Table, newest: Revision) -> Self {
        Self { snapshot: table.snapshot(newest), table }
    }
}

/// How a generation starts.
#[derive(Debug)]
pub enum StartMode {
    /// With the state recovered from the journal.
    FromLog(Box<RecoveredState>),
    /// With the state of the peer.
    FromPeer,
    /// With an empty state and a new epoch, because the peer's state is lost too.
    Empty,
}

/// The state of one actor for the other.
#[derive(Debug)]
pub struct StateTransfer {
    /// The generation of the exporting actor.
    pub generation: u64,
    /// Its state.
    pub snapshot: TableSnapshot,
}

/// The ownership of a role, as the state machines need it. Both roles share one [`Generations`].
pub trait Ownership {
    /// The generation.
    fn generation(&self) -> u64;

    /// The epoch of the cursors.
    fn epoch(&self) -> u64;

    /// Starts at `now`. The takeover is complete at once, except for [`StartMode::FromPeer`].
    fn start(&self, now: Timestamp) -> StartMode;

    /// Whether no later generation exists.
    fn is_current(&self) -> bool;

    /// Completes a takeover from the state of generation `from` of the other actor.
    ///
    /// # Errors
    /// When one of the two was replaced meanwhile.
    fn complete_takeover(&self, from: u64) -> Result<(), StaleTakeover>;
}

/// One of the two actors was replaced during the takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer was replaced during the takeover")]
pub struct StaleTakeover;

impl OwnershipLease {
    /// The generation number. Later generations have higher numbers.
    pub fn generation(self) -> u64 {
        self.generation
    }
}

impl Generations {
    /// No actor is running yet.
    pub fn new(epoch: u64, recovered: RecoveredState) -> Self {
        let (cache, query) = (Holder::default(), Holder::default());
        Self { epoch, recovered, has_started: false, cache, query }
    }

    /// The epoch of the cursors.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Acquires the role for `generation`. The state of the previous one is no longer reachable. A
    /// generation that is started after its successor acquires nothing.
    pub fn acquire(&mut self, role: EngineRole, generation: u64) -> OwnershipLease {
        let holder = self.holder(role);
        if generation > holder.latest {
            holder.latest = generation;
            holder.is_held = false;
        }
        OwnershipLease { role, generation }
    }

    /// Whether no newer generation has acquired the role.
    pub fn is_current(&mut self, lease: OwnershipLease) -> bool {
        self.holder(lease.role).latest == lease.generation
    }

    /// Starts the generation at `now`. Except for [`StartMode::FromPeer`], it then has the complete
    /// state.
    pub fn start(&mut self, lease: OwnershipLease, now: Timestamp) -> StartMode {
        let mode = match lease.role {
            role if !self.has_started => StartMode::FromLog(Box::new(self.recovered_for(role))),
            EngineRole::Cache if !self.query.is_held => StartMode::Empty,
            EngineRole::Cache | EngineRole::Query => StartMode::FromPeer,
        };
        if matches!(mode, StartMode::Empty) {
            // Later than every epoch before, including those of earlier processes.
            let time = u64::try_from(now.millis()).unwrap_or_default();
            self.epoch = time.max(self.epoch + 1);
        }
        if !matches!(mode, StartMode::FromPeer) {
            self.has_started |= lease.role == EngineRole::Cache;
            self.mark_established(lease);
        }
        mode
    }

    /// Marks the takeover from the peer's generation `from` as complete.
    ///
    /// # Errors
    /// If that generation no longer has the latest state.
    pub fn complete_takeover(
        &mut self,
        lease: OwnershipLease,
        from: u64,
    ) -> Result<(), StaleTakeover> {
        let other = match lease.role {
            EngineRole::Cache => EngineRole::Query,
            EngineRole::Query => EngineRole::Cache,
        };
        if !self.is_current(lease) || self.holder(other).established != from {
            return Err(StaleTakeover);
        }
        self.mark_established(lease);
        Ok(())
    }

    /// Releases the role. The state of this generation is lost unless the peer took it over.
    pub fn release(&mut self, lease: OwnershipLease) {
        let holder = self.holder(lease.role);
        // A generation that was abandoned earlier and stops only now holds no state.
        holder.is_held &= holder.established != lease.generation;
    }

    fn holder(&mut self, role: EngineRole) -> &mut Holder {
        match role {
            EngineRole::Cache => &mut self.cache,
            EngineRole::Query => &mut self.query,
        }
    }

    fn mark_established(&mut self, lease: OwnershipLease) {
        let holder = self.holder(lease.role);
        if holder.latest == lease.generation {
            holder.established = lease.generation;
            holder.is_held = true;
        }
    }

    /// The query actor may fail and ask again before the first cache starts; the first cache takes
    /// the state.
    fn recovered_for(&mut self, role: EngineRole) -> RecoveredState {
        match role {
            EngineRole::Query => RecoveredState {
                table: Table::default(),
                snapshot: self.recovered.snapshot.clone(),
            },
            EngineRole::Cache => {
                let RecoveredState { table, snapshot } = std::mem::take(&mut self.recovered);
                let snapshot =
                    TableSnapshot { newest: snapshot.newest, ..TableSnapshot::default() };
                RecoveredState { table, snapshot }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static NOW: LazyLock<Timestamp> = LazyLock::new(|| Timestamp::from_millis(1_795_290_600_000));

    /// A query actor and a cache in their first generations.
    fn started() -> (Generations, OwnershipLease, OwnershipLease) {
        let mut generations = Generations::new(7, RecoveredState::default());
        let (query, cache) =
            (generations.acquire(EngineRole::Query, 1), generations.acquire(EngineRole::Cache, 2));
        assert!(matches!(generations.start(query, *NOW), StartMode::FromLog(_)));
        assert!(matches!(generations.start(cache, *NOW), StartMode::FromLog(_)));
        (generations, query, cache)
    }

    #[test]
    fn each_actor_takes_over_from_its_peer() {
        let (mut generations, query, cache) = started();
        generations.release(cache);
        let cache = generations.acquire(EngineRole::Cache, 3);
        assert!(matches!(generations.start(cache, *NOW), StartMode::FromPeer));
        assert_eq!(generations.complete_takeover(cache, query.generation()), Ok(()));
        generations.release(query);
        let query = generations.acquire(EngineRole::Query, 4);
        assert!(matches!(generations.start(query, *NOW), StartMode::FromPeer));
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        assert_eq!((generations.epoch(), cache.generation(), query.generation()), (7, 3, 4));
    }

    #[test]
    fn a_query_actor_that_stops_before_the_first_cache_starts_from_the_log() {
        let mut generations = Generations::new(7, RecoveredState::default());
        let first = generations.acquire(EngineRole::Query, 1);
        generations.release(first);
        let second = generations.acquire(EngineRole::Query, 2);
        assert!(matches!(generations.start(second, *NOW), StartMode::FromLog(_)));
    }

    #[test]
    fn when_both_are_lost_the_cache_starts_empty_and_the_query_actor_follows() {
        let (mut generations, query, cache) = started();
        generations.release(query);
        generations.release(cache);
        let (query, cache) =
            (generations.acquire(EngineRole::Query, 3), generations.acquire(EngineRole::Cache, 4));
        assert!(matches!(generations.start(query, *NOW), StartMode::FromPeer));
        assert!(matches!(generations.start(cache, *NOW), StartMode::Empty));
        assert_eq!(
            generations.complete_takeover(query, 2),
            Err(StaleTakeover),
            "what the first cache said is void"
        );
        assert_eq!(generations.complete_takeover(query, 4), Ok(()));
        assert_eq!(generations.epoch(), 1_795_290_600_000);
    }

    #[test]
    fn a_received_state_survives_the_peer_that_sent_it() {
        let (mut generations, query, cache) = started();
        generations.release(query);
        let query = generations.acquire(EngineRole::Query, 3);
        // The cache replies, and stops before the reply arrives.
        generations.release(cache);
        let next = generations.acquire(EngineRole::Cache, 4);
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        assert!(matches!(generations.start(next, *NOW), StartMode::FromPeer));
        assert_eq!(
            (generations.complete_takeover(next, query.generation()), generations.epoch()),
            (Ok(()), 7)
        );
    }

    #[test]
    fn a_generation_that_starts_after_its_successor_owns_nothing() {
        let (mut generations, query, _) = started();
        let cache = generations.acquire(EngineRole::Cache, 4);
        let late = generations.acquire(EngineRole::Cache, 3);
        assert!(generations.is_current(cache) && !generations.is_current(late));
        assert_eq!(generations.complete_takeover(late, query.generation()), Err(StaleTakeover));
    }

    #[test]
    fn an_abandoned_generation_has_no_effect() {
        let (mut generations, query, frozen) = started();
        let cache = generations.acquire(EngineRole::Cache, 3);
        assert!(generations.is_current(cache) && !generations.is_current(frozen));
        assert_eq!(generations.complete_takeover(frozen, query.generation()), Err(StaleTakeover));
        assert_eq!(generations.complete_takeover(cache, query.generation()), Ok(()));
        generations.release(frozen);
        generations.release(query);
        let query = generations.acquire(EngineRole::Query, 4);
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        generations.release(cache);
        let next = generations.acquire(EngineRole::Cache, 5);
        let started = generations.start(next, *NOW);
        assert!(matches!(started, StartMode::FromPeer), "the query actor holds it");
    }
}
