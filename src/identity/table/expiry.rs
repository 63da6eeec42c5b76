//! Which sessions their logoff time may have ended: one place in a queue for each, not one for
//! each time it was extended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::{Address, Session, SteadyClock, Timestamp};

/// How long after a proposal that brought no end it is made again: the batch with the expiry may
/// have been lost on its way to the journal, and a session must not outlive that.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a session was last proven at a time that has not come at `now`, by more than the clock may
/// be set back at once. It would last for as long as the clock was ahead, and every login until then
/// would be older than it.
pub(super) fn is_from_future(session: &Session, now: Timestamp) -> bool {
    session.confirmed > now + SteadyClock::MAX_STEP
}

/// Addresses by the time at which to look at their session. A session that is extended keeps its
/// place and is only looked at too early.
#[derive(Debug, Default)]
pub(super) struct ExpiryQueue(BinaryHeap<Reverse<(Timestamp, Address)>>);

impl ExpiryQueue {
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
