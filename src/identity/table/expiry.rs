//! Which sessions their logoff time may have ended: one place in a queue for each, not one for
//! each time it was extended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::{Address, Timestamp};

/// How long after a proposal that brought no end it is made again: the batch with the expiry may
/// have been lost on its way to the journal, and a session must not outlive that.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// Addresses by the time at which to look at their session. A session that is extended keeps its
/// place and is only looked at too early.
#[derive(Debug, Default)]
pub(super) struct Queue(BinaryHeap<Reverse<(Timestamp, Address)>>);

impl Queue {
    /// Asks for a look at `address` at `when`.
    pub(super) fn push(&mut self, when: Timestamp, address: Address) {
        self.0.push(Reverse((when, address)));
    }

    /// The earliest look that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Address)> {
        self.next().filter(|when| *when <= now)?;
        self.0.pop().map(|Reverse(look)| look)
    }

    /// When the earliest look is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((when, _))| *when)
    }
}
