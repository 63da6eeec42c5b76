//! The account of events: received = applied + deduplicated + refused + dropped, exactly.
//!
//! An [`Account`] travels with a batch of events from the producer to the decision. Settled there,
//! or dropped on the way, for whatever reason: in both cases every event is counted once.

use std::sync::Arc;

use crate::happenings::{Dropped, Happening};

/// Events that are not decided yet. Dropping it counts them as dropped.
#[derive(Debug)]
pub struct Account {
    producer: Arc<str>,
    events: u64,
    reason: &'static str,
}

impl Account {
    /// Opens an account of `events` that `producer` saw and counted as received.
    pub fn open(producer: impl Into<Arc<str>>, events: u64) -> Self {
        Self { producer: producer.into(), events, reason: "actor_gone" }
    }

    /// The events are decided, and counted as such.
    pub fn settle(&mut self) {
        self.events = 0;
    }

    /// Closes the account because of `refused`: the events are lost for this `reason`.
    pub fn lost<E>(mut self, reason: &'static str, refused: E) -> E {
        self.reason = reason;
        refused
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Self { producer, events: count, reason } = &*self;
        if *count > 0 {
            Dropped { producer, reason, form: "none", count: *count }.emit();
        }
    }
}
