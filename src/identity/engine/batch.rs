//! A batch of events on its way through the journal, and the changes that it causes.

use crate::{Change, Event, JournalBatch, JournalError, ReadPosition, Timestamp};

/// Events that are appended and applied together, in order.
#[derive(Debug, Clone)]
pub struct EventBatch<T> {
    /// The events.
    pub events: Vec<Event>,
    /// The producer's read position after these events.
    pub read: Option<ReadPosition>,
    /// What is answered when the batch is decided or rejected.
    pub ticket: T,
}

impl<T> JournalBatch for EventBatch<T> {
    fn events(&self) -> &[Event] {
        &self.events
    }

    fn read_position(&self) -> Option<&ReadPosition> {
        self.read.as_ref()
    }
}

/// The owner of a batch in the journal.
#[derive(Debug, Clone)]
pub enum BatchOwner<T> {
    /// A producer, which waits for the receipt.
    Producer(T),
    /// The cache itself: sessions that have expired. More may be due.
    Expiry,
    /// The cache itself: a slice of a membership update.
    Membership,
}

/// Why a batch was not applied. None of its events is visible, and the sender may retry.
#[derive(Debug, Clone)]
pub enum Rejection {
    /// The queue of the journal is full.
    Busy,
    /// The journal is not writable.
    Journal(JournalError),
    /// The cache was replaced, or the read model, before the effects were visible.
    Replaced,
}

impl From<JournalError> for Rejection {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// Whether published changes are visible to consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Every consumer sees them.
    Visible,
    /// The read model rejected them, or was lost before it applied them.
    NotVisible,
}

/// The changes of one batch, in order.
#[derive(Debug)]
pub struct Publication {
    /// The generation of the cache that decided.
    pub generation: u64,
    /// The changes.
    pub changes: Vec<Change>,
    /// The times at which the events were received, each with the number of consecutive events that
    /// share it: one read of a socket gives all its events one time.
    pub received: Vec<(Timestamp, usize)>,
}

impl Publication {
    /// No changes yet, of a batch of `events`, by this generation of the cache.
    pub fn new(generation: u64, events: usize) -> Self {
        Self { generation, changes: Vec::with_capacity(events), received: Vec::new() }
    }

    /// Changes that the generation before did not publish.
    pub(super) fn missed(generation: u64, changes: Vec<Change>) -> Self {
        Self { generation, changes, received: Vec::new() }
    }

    /// Adds the effect of an event that was received at `received`.
    pub fn push(&mut self, received: Timestamp, change: Option<Change>) {
        match self.received.last_mut() {
            Some((last, count)) if *last == received => *count += 1,
            _ => self.received.push((received, 1)),
        }
        self.changes.extend(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_events_of_one_receive_time_share_an_entry() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_400));
        let mut publication = Publication::new(1, 4);
        for received in [early, early, late, early] {
            publication.push(received, None);
        }
        assert_eq!(publication.received, [(early, 2), (late, 1), (early, 1)]);
    }
}
