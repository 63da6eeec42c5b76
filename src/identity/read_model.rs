//! Whoever answers: the log of changes, and whose decisions it takes in. The query actor is this with a
//! mailbox; the simulation, with a queue.

use crate::table::AHEAD;
use crate::{Change, ChangeLog, ChangeLogLimits, TableSnapshot, Timestamp};

/// The log of changes, and the term of the cache whose changes these are.
#[derive(Debug)]
pub struct ReadModel {
    log: ChangeLog,
    /// The term of the cache that goes on from what is known here.
    decider: u64,
}

impl ReadModel {
    /// One that knows nothing yet, in the life `epoch` of the journal's positions.
    pub fn new(epoch: u64, limits: ChangeLogLimits) -> Self {
        Self { log: ChangeLog::new(epoch, limits), decider: 0 }
    }

    /// One that begins with what the cache of the term `decider` knows; 0 before there was any.
    pub fn succeed(
        (epoch, limits): (u64, ChangeLogLimits),
        decider: u64,
        known: TableSnapshot,
    ) -> Self {
        Self { log: ChangeLog::restore(epoch, limits, known), decider }
    }

    /// The log.
    pub fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// Takes in at `now` what the cache of the term `decider` decided. A cache that was frozen and wakes
    /// up is not listened to: its successor went on from what is known here, and would never know of
    /// it. Returns whether it was.
    pub fn show(&mut self, decider: u64, changes: &[Change], now: Timestamp) -> bool {
        let is_heard = decider >= self.decider;
        if is_heard {
            for some in changes.chunks(AHEAD) {
                self.log.look_ahead(some);
                some.iter().for_each(|change| self.log.apply(change, now));
            }
        }
        is_heard
    }

    /// From now on no cache before the term `decider` is listened to: that one goes on from what is
    /// known here.
    pub fn heed(&mut self, decider: u64) {
        self.decider = self.decider.max(decider);
    }

    /// All that is known, for the cache that is listened to.
    pub fn hand_over(&self) -> TableSnapshot {
        self.log.hand_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{rules, saw, seconds};
    use crate::{Decider, Kind, Revision};

    #[test]
    fn a_cache_that_was_replaced_is_not_listened_to() {
        let (mut decider, mut changes) = (Decider::default(), Vec::new());
        let events = [saw(Kind::VpnUp, "alice@corp", 10), saw(Kind::VpnDown, "alice@corp", 20)];
        decider.settle((Revision(1), &events), &rules(), |_, _, decision| {
            changes.extend(decision.change);
        });
        let mut answerer = ReadModel::new(7, ChangeLogLimits::default());
        assert!(answerer.show(1, &changes[..1], seconds(20)));
        answerer.heed(2);
        assert_eq!(answerer.hand_over().newest, Revision(1));
        assert!(!answerer.show(1, &changes[1..], seconds(20)), "it is frozen no more");
        assert_eq!(answerer.log().newest(), Revision(1));
        assert!(answerer.show(2, &changes[1..], seconds(20)));
        let next = ReadModel::succeed((7, ChangeLogLimits::default()), 2, answerer.hand_over());
        assert_eq!((next.log().newest(), next.log().len()), (Revision(2), 0));
    }
}
