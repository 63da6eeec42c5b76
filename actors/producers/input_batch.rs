//! The result of one read of a socket or of one request: events, and items that were dropped.

use std::sync::Arc;

use rollcall_identity::{Event, Name};

/// The result of one read of a socket or of one request. All its items count as received.
#[derive(Debug, Default)]
pub struct InputBatch {
    /// The decoded events.
    pub events: Vec<Event>,
    /// The read position after these events: the name that the producer gives its source, and at
    /// most [`ReadPosition::LIMIT`](rollcall_identity::ReadPosition::LIMIT) bytes that only the
    /// producer interprets. Events and position are committed together.
    pub read: Option<(Name, Arc<[u8]>)>,
    pub(crate) dropped: Vec<DropCount>,
}

/// The number of items that were dropped for one reason.
#[derive(Debug)]
pub(crate) struct DropCount {
    pub(crate) reason: &'static str,
    pub(crate) form: Option<Name>,
    pub(crate) count: u64,
}

impl InputBatch {
    /// Counts an item that could not be decoded to an event: the reason, and the template or
    /// dialect that was tried.
    pub fn count_drop(&mut self, reason: &'static str, form: Option<&Name>) {
        let same = |drop: &&mut DropCount| drop.reason == reason && drop.form.as_ref() == form;
        match self.dropped.iter_mut().find(same) {
            Some(drop) => drop.count += 1,
            None => self.dropped.push(DropCount { reason, form: form.cloned(), count: 1 }),
        }
    }
}
