//! The read model: the change log, fenced by the generation of the cache that feeds it.

use super::batch::{Publication, Visibility};
use super::failover::{Ownership, StaleTakeover, StartMode, StateTransfer};
use crate::table::PREFETCH_BATCH;
use crate::{ChangeLog, ChangeLogLimits, TableSnapshot, Timestamp};

/// The change log, and the generation of the cache that feeds it.
#[derive(Debug)]
pub struct ReadModel {
    log: ChangeLog,
    /// The lowest cache generation whose changes are accepted.
    generation: u64,
}

/// Proof that earlier generations of the cache are fenced off: what is exported is final for them.
#[derive(Debug)]
pub struct Fenced(());

impl ReadModel {
    /// An empty read model for the journal epoch `epoch`.
    pub fn new(epoch: u64, limits: ChangeLogLimits) -> Self {
        Self { log: ChangeLog::new(epoch, limits), generation: 0 }
    }

    /// Starts at `now` from the recovered state. `None` if the state of the cache is required
    /// first: an empty answer would end sessions.
    pub fn start(
        ownership: &impl Ownership,
        limits: ChangeLogLimits,
        now: Timestamp,
    ) -> Option<Self> {
        match ownership.start(now) {
            StartMode::FromLog(state) => {
                Some(Self::resume((ownership.epoch(), limits), 0, state.snapshot))
            }
            StartMode::FromPeer | StartMode::Empty => None,
        }
    }

    /// Starts from the state of the cache.
    ///
    /// # Errors
    /// When one of the two was replaced meanwhile.
    pub fn take_over(
        ownership: &impl Ownership,
        limits: ChangeLogLimits,
        StateTransfer { generation, snapshot }: StateTransfer,
    ) -> Result<Self, StaleTakeover> {
        ownership.complete_takeover(generation)?;
        Ok(Self::resume((ownership.epoch(), limits), generation, snapshot))
    }

    /// A read model with this snapshot, which the cache of `generation` made; 0 if none did.
    fn resume(
        (epoch, limits): (u64, ChangeLogLimits),
        generation: u64,
        snapshot: TableSnapshot,
    ) -> Self {
        Self { log: ChangeLog::restore(epoch, limits, snapshot), generation }
    }

    /// The change log.
    pub fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// Applies published changes at `now`. Those of a replaced cache are rejected: its successor
    /// started from this read model and does not know them.
    pub fn publish(&mut self, publication: &Publication, now: Timestamp) -> Visibility {
        if publication.generation < self.generation {
            return Visibility::NotVisible;
        }
        for chunk in publication.changes.chunks(PREFETCH_BATCH) {
            self.log.prefetch(chunk);
            chunk.iter().for_each(|change| self.log.apply(change, now));
        }
        Visibility::Visible
    }

    /// Rejects changes of caches before `generation` from now on. That generation starts from this
    /// read model.
    pub fn fence(&mut self, generation: u64) -> Fenced {
        self.generation = self.generation.max(generation);
        Fenced(())
    }

    /// The complete state for the cache that takes over, as the query actor of `generation`.
    pub fn export(&self, _: &Fenced, generation: u64) -> StateTransfer {
        StateTransfer { generation, snapshot: self.log.snapshot() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Decider;
    use crate::test_support::{event_at, rules, seconds};
    use crate::{Kind, Revision};

    #[test]
    fn changes_of_a_replaced_cache_are_rejected() {
        let (mut decider, mut changes) = (Decider::default(), Vec::new());
        let events =
            [event_at(Kind::VpnUp, "alice@corp", 10), event_at(Kind::VpnDown, "alice@corp", 20)];
        decider.apply_batch((Revision(1), &events), &rules(), |_, _, decision| {
            changes.extend(decision.change);
        });
        let publication =
            |generation, changes: &[_]| Publication::missed(generation, changes.into());
        let mut model = ReadModel::new(7, ChangeLogLimits::default());
        let first = publication(2, &changes[..1]);
        assert_eq!(model.publish(&first, seconds(20)), Visibility::Visible);
        let fenced = model.fence(3);
        let state = model.export(&fenced, 1);
        assert_eq!((state.generation, state.snapshot.newest), (1, Revision(1)));
        let late = publication(2, &changes[1..]);
        assert_eq!(model.publish(&late, seconds(20)), Visibility::NotVisible);
        assert_eq!(model.log().newest(), Revision(1));
        let next = publication(3, &changes[1..]);
        assert_eq!(model.publish(&next, seconds(20)), Visibility::Visible);
        let limits = (7, ChangeLogLimits::default());
        let next = ReadModel::resume(limits, 3, model.log().snapshot());
        assert_eq!((next.log().newest(), next.log().len()), (Revision(2), 0));
    }
}
