//! How the cache and the query actor succeed themselves: whichever is replaced takes over what the
//! other holds, and neither begins empty beside one that does not.
//!
//! Only the cache ever begins anew, and only when it can be sure that the query actor holds nothing
//! either; the query actor always follows the cache. So the two never wait for each other.

use crate::{Revision, Table, TableSnapshot, Timestamp};

/// Who holds what.
#[derive(Debug)]
pub struct Generations {
    epoch: u64,
    /// What was restored at the start; gone when the first cache has it.
    recovered: RecoveredState,
    /// Whether a cache ever decided anything: before that, there is nothing to take over.
    has_started: bool,
    cache: Holder,
    query: Holder,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineRole {
    /// Whoever decides.
    Cache,
    /// Whoever answers.
    Query,
}

/// The time in office of one cache or one query actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnershipLease {
    role: EngineRole,
    generation: u64,
}

/// Whoever holds an office at the moment. Terms begin at 1.
#[derive(Debug, Default)]
struct Holder {
    /// The term of the latest.
    latest: u64,
    /// The term of the latest that knew all there was to know.
    established: u64,
    /// Whether that one is still there.
    is_held: bool,
}

/// What earlier lives of the process left: the same for both, to each in its own shape.
#[derive(Debug, Default)]
pub struct RecoveredState {
    /// For the cache.
    pub table: Table,
    /// For the query actor; of the cache's only the newest position is filled.
    pub snapshot: TableSnapshot,
}

impl RecoveredState {
    /// What `table`, in which everything up to `newest` is folded, leaves to both.
    pub fn from_table(table: Table, newest: Revision) -> Self {
        Self { snapshot: table.snapshot(newest), table }
    }
}

/// How a term begins.
#[derive(Debug)]
pub enum StartMode {
    /// With what earlier lives of the process left.
    FromLog(Box<RecoveredState>),
    /// What is known is to be taken over from the other.
    FromPeer,
    /// What was known is lost with the other. The epoch is a new one.
    Empty,
}

/// The one that answered, or the one that asked, was replaced meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was taken over is out of date")]
pub struct StaleTakeover;

impl OwnershipLease {
    /// Its number. A later cache has a higher one.
    pub fn generation(self) -> u64 {
        self.generation
    }
}

impl Generations {
    /// Nobody is there yet.
    pub fn new(epoch: u64, recovered: RecoveredState) -> Self {
        let (cache, query) = (Holder::default(), Holder::default());
        Self { epoch, recovered, has_started: false, cache, query }
    }

    /// The epoch of the cursors.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Somebody new is made. Whatever the predecessor held can no longer be reached.
    pub fn acquire(&mut self, role: EngineRole) -> OwnershipLease {
        let holder = self.holder(role);
        holder.latest += 1;
        holder.is_held = false;
        OwnershipLease { role, generation: holder.latest }
    }

    /// Whether no successor was made yet.
    pub fn is_current(&mut self, lease: OwnershipLease) -> bool {
        self.holder(lease.role).latest == lease.generation
    }

    /// Begins at `now`. Except for a [`StartMode::FromPeer`], it is established then.
    pub fn start(&mut self, lease: OwnershipLease, now: Timestamp) -> StartMode {
        let mode = match lease.role {
            role if !self.has_started => StartMode::FromLog(Box::new(self.recovered_for(role))),
            EngineRole::Cache if !self.query.is_held => StartMode::Empty,
            EngineRole::Cache | EngineRole::Query => StartMode::FromPeer,
        };
        if matches!(mode, StartMode::Empty) {
            // Later than every epoch before, also those of earlier lives of the process.
            let time = u64::try_from(now.millis()).unwrap_or_default();
            self.epoch = time.max(self.epoch + 1);
        }
        if !matches!(mode, StartMode::FromPeer) {
            self.has_started |= lease.role == EngineRole::Cache;
            self.mark_established(lease);
        }
        mode
    }

    /// Establishes it on what the other held in its term `from`.
    ///
    /// # Errors
    /// When that is no longer all there is to know.
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

    /// It ends. What it held is lost, unless it was taken over.
    pub fn release(&mut self, lease: OwnershipLease) {
        let holder = self.holder(lease.role);
        // One that was abandoned long ago and leaves only now held nothing any more.
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

    /// The query actor may fail and ask again before there is a cache; the first cache is the last
    /// that is left anything.
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

    /// A query actor and a cache in their first terms.
    fn started() -> (Generations, OwnershipLease, OwnershipLease) {
        let mut generations = Generations::new(7, RecoveredState::default());
        let (query, cache) =
            (generations.acquire(EngineRole::Query), generations.acquire(EngineRole::Cache));
        assert!(matches!(generations.start(query, *NOW), StartMode::FromLog(_)));
        assert!(matches!(generations.start(cache, *NOW), StartMode::FromLog(_)));
        (generations, query, cache)
    }

    #[test]
    fn each_succeeds_on_what_the_other_holds() {
        let (mut generations, query, cache) = started();
        generations.release(cache);
        let cache = generations.acquire(EngineRole::Cache);
        assert!(matches!(generations.start(cache, *NOW), StartMode::FromPeer));
        assert_eq!(generations.complete_takeover(cache, query.generation()), Ok(()));
        generations.release(query);
        let query = generations.acquire(EngineRole::Query);
        assert!(matches!(generations.start(query, *NOW), StartMode::FromPeer));
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        assert_eq!((generations.epoch(), cache.generation(), query.generation()), (7, 2, 2));
    }

    #[test]
    fn a_query_actor_that_ends_before_there_was_a_cache_begins_again() {
        let mut generations = Generations::new(7, RecoveredState::default());
        let first = generations.acquire(EngineRole::Query);
        generations.release(first);
        let second = generations.acquire(EngineRole::Query);
        assert!(matches!(generations.start(second, *NOW), StartMode::FromLog(_)));
    }

    #[test]
    fn when_both_are_lost_the_cache_begins_anew_and_the_query_actor_follows() {
        let (mut generations, query, cache) = started();
        generations.release(query);
        generations.release(cache);
        let (query, cache) =
            (generations.acquire(EngineRole::Query), generations.acquire(EngineRole::Cache));
        assert!(matches!(generations.start(query, *NOW), StartMode::FromPeer));
        assert!(matches!(generations.start(cache, *NOW), StartMode::Empty));
        assert_eq!(
            generations.complete_takeover(query, 1),
            Err(StaleTakeover),
            "what the first cache said is void"
        );
        assert_eq!(generations.complete_takeover(query, 2), Ok(()));
        assert_eq!(generations.epoch(), 1_795_290_600_000);
    }

    #[test]
    fn what_is_already_in_hand_is_not_lost_with_the_one_who_gave_it() {
        let (mut generations, query, cache) = started();
        generations.release(query);
        let query = generations.acquire(EngineRole::Query);
        // The cache answers, and ends before its answer arrives.
        generations.release(cache);
        let next = generations.acquire(EngineRole::Cache);
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        assert!(matches!(generations.start(next, *NOW), StartMode::FromPeer));
        assert_eq!(
            (generations.complete_takeover(next, query.generation()), generations.epoch()),
            (Ok(()), 7)
        );
    }

    #[test]
    fn one_that_was_abandoned_changes_nothing_when_it_wakes() {
        let (mut generations, query, frozen) = started();
        let cache = generations.acquire(EngineRole::Cache);
        assert!(generations.is_current(cache) && !generations.is_current(frozen));
        assert_eq!(generations.complete_takeover(frozen, query.generation()), Err(StaleTakeover));
        assert_eq!(generations.complete_takeover(cache, query.generation()), Ok(()));
        generations.release(frozen);
        generations.release(query);
        let query = generations.acquire(EngineRole::Query);
        assert_eq!(generations.complete_takeover(query, cache.generation()), Ok(()));
        generations.release(cache);
        let next = generations.acquire(EngineRole::Cache);
        let started = generations.start(next, *NOW);
        assert!(matches!(started, StartMode::FromPeer), "the query actor holds it");
    }
}
