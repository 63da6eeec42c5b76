//! The queue of sessions that may have expired: one entry per address, not one per extension.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::{Address, Session, SteadyClock, Timestamp};

/// How soon an expiry is proposed again if it had no effect: the batch may have been lost before
/// the journal, and the session must not outlive it.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a session was confirmed in the future, seen from `now`, by more than the clock may be
/// set back at once. It would last as long as the clock was ahead, and would make every login until
/// then late.
pub(super) fn is_from_future(session: &Session, now: Timestamp) -> bool {
    session.confirmed > now + SteadyClock::MAX_STEP
}

/// Addresses by the time at which to check their session. A session that is extended keeps its
/// entry and is checked too early once.
#[derive(Debug, Default)]
pub(super) struct ExpiryQueue(BinaryHeap<Reverse<(Timestamp, Address)>>);

impl ExpiryQueue {
    /// Schedules a check of `address` at `when`.
    pub(super) fn push(&mut self, when: Timestamp, address: Address) {
        self.0.push(Reverse((when, address)));
    }

    /// Removes the earliest check that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Address)> {
        self.next().filter(|when| *when <= now)?;
        self.0.pop().map(|Reverse(look)| look)
    }

    /// When the earliest check is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|Reverse((when, _))| *when)
    }
}
