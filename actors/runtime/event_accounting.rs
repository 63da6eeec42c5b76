//! Event accounting: `received = applied + deduplicated + refused + dropped` holds exactly.
//!
//! An [`EventAccount`] travels with a batch of events from the producer to the decision. It is settled
//! there, or counts its events as dropped when it is dropped anywhere else: every event is counted
//! once.

use std::sync::Arc;

use tracing::trace;

use crate::event_counts::EventCounts;
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
    /// Opens an account of `events` that `producer` has counted as received.
    pub fn open(producer: impl Into<Arc<str>>, events: u64) -> Self {
        Self { producer: producer.into(), events, reason: "actor_gone" }
    }

    /// Closes the account: the events are decided and counted as decided.
    pub fn settle(&mut self) {
        self.events = 0;
    }

    /// Closes the account because of the error `refused`: the events are counted as dropped for this
    /// `reason`.
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

/// Items were received: events, or lines and bodies that could not be decoded to events.
pub struct Received<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// The number of items.
    pub count: u64,
}

impl TelemetryEvent for Received<'_> {
    fn emit(self) {
        EventCounts::of(self.producer).add_received(self.count);
        metrics::EVENTS_RECEIVED.with([self.producer.to_owned().into()]).increment(self.count);
    }
}

/// Items were dropped before a decision.
pub struct Dropped<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// The reason, one of a closed set, such as `sender_unknown` or an error of a template.
    pub reason: &'static str,
    /// The template or dialect that decoded the item, or `none`.
    pub form: &'a str,
    /// The number of items.
    pub count: u64,
}

impl TelemetryEvent for Dropped<'_> {
    fn emit(self) {
        let Self { producer, reason, form, count } = self;
        EventCounts::of(producer).add_dropped(reason, count);
        metrics::EVENTS_DROPPED
            .with([producer.to_owned().into(), reason.into(), form.to_owned().into()])
            .increment(count);
        trace!(producer, reason, form, count, "dropped");
    }
}
