//! The read model: the change log, fenced by the generation of the cache that feeds it. The query
//! actor adds a mailbox; the simulation adds a queue.

use crate::table::PREFETCH_BATCH;
use crate::{Change, ChangeLog, ChangeLogLimits, TableSnapshot, Timestamp};

/// The change log, and the generation of the cache that feeds it.
#[derive(Debug)]
pub struct ReadModel {
    log: ChangeLog,
    /// The lowest cache generation whose changes are accepted.
    generation: u64,
}

impl ReadModel {
    /// An empty read model for the journal epoch `epoch`.
    pub fn new(epoch: u64, limits: ChangeLogLimits) -> Self {
        Self { log: ChangeLog::new(epoch, limits), generation: 0 }
    }

    /// A read model that starts from the snapshot of the cache of `generation`; 0 if there was
    /// none.
    pub fn resume(
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

    /// Applies at `now` the changes decided by the cache of `generation`, and returns whether they
    /// were accepted. Changes of a replaced cache are rejected: its successor started from this
    /// read model and does not know them.
    pub fn apply(&mut self, generation: u64, changes: &[Change], now: Timestamp) -> bool {
        let is_current = generation >= self.generation;
        if is_current {
            for chunk in changes.chunks(PREFETCH_BATCH) {
                self.log.prefetch(chunk);
                chunk.iter().for_each(|change| self.log.apply(change, now));
            }
        }
        is_current
    }

    /// Rejects changes of caches before `generation` from now on. That generation starts from this
    /// read model.
    pub fn fence(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    /// The complete state, for the cache that takes over.
    pub fn snapshot(&self) -> TableSnapshot {
        self.log.snapshot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{event_at, rules, seconds};
    use crate::{Decider, Kind, Revision};

    #[test]
    fn changes_of_a_replaced_cache_are_rejected() {
        let (mut generation, mut changes) = (Decider::default(), Vec::new());
        let events =
            [event_at(Kind::VpnUp, "alice@corp", 10), event_at(Kind::VpnDown, "alice@corp", 20)];
        generation.apply_batch((Revision(1), &events), &rules(), |_, _, decision| {
            changes.extend(decision.change);
        });
        let mut model = ReadModel::new(7, ChangeLogLimits::default());
        assert!(model.apply(1, &changes[..1], seconds(20)));
        model.fence(2);
        assert_eq!(model.snapshot().newest, Revision(1));
        assert!(!model.apply(1, &changes[1..], seconds(20)), "it is frozen no more");
        assert_eq!(model.log().newest(), Revision(1));
        assert!(model.apply(2, &changes[1..], seconds(20)));
        let next = ReadModel::resume((7, ChangeLogLimits::default()), 2, model.snapshot());
        assert_eq!((next.log().newest(), next.log().len()), (Revision(2), 0));
    }
}
