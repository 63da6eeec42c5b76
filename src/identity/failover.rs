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
    legacy: RecoveredState,
    /// Whether a cache ever decided anything: before that, there is nothing to take over.
    begun: bool,
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
    office: EngineRole,
    term: u64,
}

/// Whoever holds an office at the moment. Terms begin at 1.
#[derive(Debug, Default)]
struct Holder {
    /// The term of the latest.
    latest: u64,
    /// The term of the latest that knew all there was to know.
    established: u64,
    /// Whether that one is still there.
    held: bool,
}

/// What earlier lives of the process left: the same for both, to each in its own shape.
#[derive(Debug, Default)]
pub struct RecoveredState {
    /// For the cache.
    pub table: Table,
    /// For the query actor; of the cache's only the newest position is filled.
    pub handover: TableSnapshot,
}

impl RecoveredState {
    /// What `table`, in which everything up to `newest` is folded, leaves to both.
    pub fn of(table: Table, newest: Revision) -> Self {
        Self { handover: table.hand_over(newest), table }
    }
}

/// How a term begins.
#[derive(Debug)]
pub enum StartMode {
    /// With what earlier lives of the process left.
    First(Box<RecoveredState>),
    /// What is known is to be taken over from the other.
    Successor,
    /// What was known is lost with the other. The epoch is a new one.
    Anew,
}

/// The one that answered, or the one that asked, was replaced meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was taken over is out of date")]
pub struct StaleTakeover;

impl OwnershipLease {
    /// Its number. A later cache has a higher one.
    pub fn term(self) -> u64 {
        self.term
    }
}

impl Generations {
    /// Nobody is there yet.
    pub fn new(epoch: u64, legacy: RecoveredState) -> Self {
        let (cache, query) = (Holder::default(), Holder::default());
        Self { epoch, legacy, begun: false, cache, query }
    }

    /// The epoch of the cursors.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Somebody new is made. Whatever the predecessor held can no longer be reached.
    pub fn appoint(&mut self, office: EngineRole) -> OwnershipLease {
        let holder = self.holder(office);
        holder.latest += 1;
        holder.held = false;
        OwnershipLease { office, term: holder.latest }
    }

    /// Whether no successor was made yet.
    pub fn lasts(&mut self, tenure: OwnershipLease) -> bool {
        self.holder(tenure.office).latest == tenure.term
    }

    /// Begins at `now`. Except for a [`StartMode::Successor`], it is established then.
    pub fn begin(&mut self, tenure: OwnershipLease, now: Timestamp) -> StartMode {
        let beginning = match tenure.office {
            office if !self.begun => StartMode::First(Box::new(self.leave_to(office))),
            EngineRole::Cache if !self.query.held => StartMode::Anew,
            EngineRole::Cache | EngineRole::Query => StartMode::Successor,
        };
        if matches!(beginning, StartMode::Anew) {
            // Later than every epoch before, also those of earlier lives of the process.
            let time = u64::try_from(now.millis()).unwrap_or_default();
            self.epoch = time.max(self.epoch + 1);
        }
        if !matches!(beginning, StartMode::Successor) {
            self.begun |= tenure.office == EngineRole::Cache;
            self.establish(tenure);
        }
        beginning
    }

    /// Establishes it on what the other held in its term `from`.
    ///
    /// # Errors
    /// When that is no longer all there is to know.
    pub fn succeed(&mut self, tenure: OwnershipLease, from: u64) -> Result<(), StaleTakeover> {
        let other = match tenure.office {
            EngineRole::Cache => EngineRole::Query,
            EngineRole::Query => EngineRole::Cache,
        };
        if !self.lasts(tenure) || self.holder(other).established != from {
            return Err(StaleTakeover);
        }
        self.establish(tenure);
        Ok(())
    }

    /// It ends. What it held is lost, unless it was taken over.
    pub fn resign(&mut self, tenure: OwnershipLease) {
        let holder = self.holder(tenure.office);
        // One that was abandoned long ago and leaves only now held nothing any more.
        holder.held &= holder.established != tenure.term;
    }

    fn holder(&mut self, office: EngineRole) -> &mut Holder {
        match office {
            EngineRole::Cache => &mut self.cache,
            EngineRole::Query => &mut self.query,
        }
    }

    fn establish(&mut self, tenure: OwnershipLease) {
        let holder = self.holder(tenure.office);
        if holder.latest == tenure.term {
            holder.established = tenure.term;
            holder.held = true;
        }
    }

    /// The query actor may fail and ask again before there is a cache; the first cache is the last
    /// that is left anything.
    fn leave_to(&mut self, office: EngineRole) -> RecoveredState {
        match office {
            EngineRole::Query => {
                RecoveredState { table: Table::default(), handover: self.legacy.handover.clone() }
            }
            EngineRole::Cache => {
                let RecoveredState { table, handover } = std::mem::take(&mut self.legacy);
                let handover =
                    TableSnapshot { newest: handover.newest, ..TableSnapshot::default() };
                RecoveredState { table, handover }
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
    fn begun() -> (Generations, OwnershipLease, OwnershipLease) {
        let mut offices = Generations::new(7, RecoveredState::default());
        let (query, cache) =
            (offices.appoint(EngineRole::Query), offices.appoint(EngineRole::Cache));
        assert!(matches!(offices.begin(query, *NOW), StartMode::First(_)));
        assert!(matches!(offices.begin(cache, *NOW), StartMode::First(_)));
        (offices, query, cache)
    }

    #[test]
    fn each_succeeds_on_what_the_other_holds() {
        let (mut offices, query, cache) = begun();
        offices.resign(cache);
        let cache = offices.appoint(EngineRole::Cache);
        assert!(matches!(offices.begin(cache, *NOW), StartMode::Successor));
        assert_eq!(offices.succeed(cache, query.term()), Ok(()));
        offices.resign(query);
        let query = offices.appoint(EngineRole::Query);
        assert!(matches!(offices.begin(query, *NOW), StartMode::Successor));
        assert_eq!(offices.succeed(query, cache.term()), Ok(()));
        assert_eq!((offices.epoch(), cache.term(), query.term()), (7, 2, 2));
    }

    #[test]
    fn a_query_actor_that_ends_before_there_was_a_cache_begins_again() {
        let mut offices = Generations::new(7, RecoveredState::default());
        let first = offices.appoint(EngineRole::Query);
        offices.resign(first);
        let second = offices.appoint(EngineRole::Query);
        assert!(matches!(offices.begin(second, *NOW), StartMode::First(_)));
    }

    #[test]
    fn when_both_are_lost_the_cache_begins_anew_and_the_query_actor_follows() {
        let (mut offices, query, cache) = begun();
        offices.resign(query);
        offices.resign(cache);
        let (query, cache) =
            (offices.appoint(EngineRole::Query), offices.appoint(EngineRole::Cache));
        assert!(matches!(offices.begin(query, *NOW), StartMode::Successor));
        assert!(matches!(offices.begin(cache, *NOW), StartMode::Anew));
        assert_eq!(
            offices.succeed(query, 1),
            Err(StaleTakeover),
            "what the first cache said is void"
        );
        assert_eq!(offices.succeed(query, 2), Ok(()));
        assert_eq!(offices.epoch(), 1_795_290_600_000);
    }

    #[test]
    fn what_is_already_in_hand_is_not_lost_with_the_one_who_gave_it() {
        let (mut offices, query, cache) = begun();
        offices.resign(query);
        let query = offices.appoint(EngineRole::Query);
        // The cache answers, and ends before its answer arrives.
        offices.resign(cache);
        let next = offices.appoint(EngineRole::Cache);
        assert_eq!(offices.succeed(query, cache.term()), Ok(()));
        assert!(matches!(offices.begin(next, *NOW), StartMode::Successor));
        assert_eq!((offices.succeed(next, query.term()), offices.epoch()), (Ok(()), 7));
    }

    #[test]
    fn one_that_was_abandoned_changes_nothing_when_it_wakes() {
        let (mut offices, query, frozen) = begun();
        let cache = offices.appoint(EngineRole::Cache);
        assert!(offices.lasts(cache) && !offices.lasts(frozen));
        assert_eq!(offices.succeed(frozen, query.term()), Err(StaleTakeover));
        assert_eq!(offices.succeed(cache, query.term()), Ok(()));
        offices.resign(frozen);
        offices.resign(query);
        let query = offices.appoint(EngineRole::Query);
        assert_eq!(offices.succeed(query, cache.term()), Ok(()));
        offices.resign(cache);
        let next = offices.appoint(EngineRole::Cache);
        let begun = offices.begin(next, *NOW);
        assert!(matches!(begun, StartMode::Successor), "the query actor holds it");
    }
}
