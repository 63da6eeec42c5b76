//! Whoever answers: the log of changes, and whose decisions it takes in. The query actor is this with a
//! mailbox; the simulation, with a queue.

use crate::table::PREFETCH_BATCH;
use crate::{Change, ChangeLog, ChangeLogLimits, TableSnapshot, Timestamp};

/// The log of changes, and the term of the cache whose changes these are.
#[derive(Debug)]
pub struct ReadModel {
    log: ChangeLog,
    /// The term of the cache that goes on from what is known here.
    generation: u64,
}

impl ReadModel {
    /// One that knows nothing yet, in the life `epoch` of the journal's positions.
    pub fn new(epoch: u64, limits: ChangeLogLimits) -> Self {
        Self { log: ChangeLog::new(epoch, limits), generation: 0 }
    }

    /// One that begins with what the cache of the term `decider` knows; 0 before there was any.
    pub fn resume(
        (epoch, limits): (u64, ChangeLogLimits),
        generation: u64,
        snapshot: TableSnapshot,
    ) -> Self {
        Self { log: ChangeLog::restore(epoch, limits, snapshot), generation }
    }

    /// The log.
    pub fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// Takes in at `now` what the cache of the term `decider` decided. A cache that was frozen and wakes
    /// up is not listened to: its successor went on from what is known here, and would never know of
    /// it. Returns whether it was.
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

    /// From now on no cache before the term `decider` is listened to: that one goes on from what is
    /// known here.
    pub fn fence(&mut self, generation: u64) {
        self.generation = self.generation.max(generation);
    }

    /// All that is known, for the cache that is listened to.
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
    fn a_cache_that_was_replaced_is_not_listened_to() {
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
