//! Event accounting: received = applied + deduplicated + refused + dropped, exactly.
//!
//! An [`EventAccount`] travels with a batch of events from the producer to the decision. It is settled
//! there, or dropped on the way for any reason. In both cases every event is counted once.

use std::sync::Arc;

use tracing::trace;

use crate::metrics;
use crate::telemetry::TelemetryEvent;

/// Events that are not decided yet. Dropping the account counts them as dropped.
#[derive(Debug)]
pub struct EventAccount {
    producer: Arc<str>,
    events: u64,
    reason: &'static str,
}

impl EventAccount {
    /// Opens an account of `events` that `producer` counted as received.
    pub fn open(producer: impl Into<Arc<str>>, events: u64) -> Self {
        Self { producer: producer.into(), events, reason: "actor_gone" }
    }

    /// The events are decided, and counted as such.
    pub fn settle(&mut self) {
        self.events = 0;
    }

    /// Closes the account: the events are lost for this `reason`. Returns `refused`.
    pub fn lost<E>(mut self, reason: &'static str, refused: E) -> E {
        self.reason = reason;
        refused
    }
}

impl Drop for EventAccount {
    fn drop(&mut self) {
        let Self { producer, events: count, reason } = &*self;
        if *count > 0 {
            Dropped { producer, reason, form: "none", count: *count }.emit();
        }
    }
}

/// Items were received: events, and lines and bodies that gave no event. The left side of the
/// accounting: received = applied + deduplicated + refused + dropped.
pub struct Received<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// The number of items.
    pub count: u64,
}

impl TelemetryEvent for Received<'_> {
    fn emit(self) {
        metrics::EVENTS_RECEIVED.with([self.producer.to_owned().into()]).increment(self.count);
    }
}

/// Items ended before the cache decided them.
pub struct Dropped<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// The reason, from a closed set, such as `sender_unknown` or an error of a template.
    pub reason: &'static str,
    /// The template or dialect that decoded the item, or `none`.
    pub form: &'a str,
    /// The number of items.
    pub count: u64,
}

impl TelemetryEvent for Dropped<'_> {
    fn emit(self) {
        let Self { producer, reason, form, count } = self;
        metrics::EVENTS_DROPPED
            .with([producer.to_owned().into(), reason.into(), form.to_owned().into()])
            .increment(count);
        trace!(producer, reason, form, count, "dropped");
    }
}
