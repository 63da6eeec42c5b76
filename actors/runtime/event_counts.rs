//! The counts of each producer: `received = applied + deduplicated + refused + dropped`.
//!
//! The counts live as long as the process, as the metrics do: a restarted producer continues its
//! counts. They are kept beside the metrics, so that reading them does not depend on an exporter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

/// The live counts of one producer.
#[derive(Debug, Default)]
pub struct EventCounts {
    received: AtomicU64,
    applied: AtomicU64,
    deduplicated: AtomicU64,
    refused: AtomicU64,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counts of one producer at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventTotals {
    /// Received items.
    pub received: u64,
    /// Events that changed a session.
    pub applied: u64,
    /// Events that were known already.
    pub deduplicated: u64,
    /// Events that were not permitted to change anything.
    pub refused: u64,
    /// Items that were dropped before a decision, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// The result of the decision about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It changed a session.
    Applied,
    /// It was known already.
    Deduplicated,
    /// It was not permitted to change anything.
    Refused,
}

type Producers = BTreeMap<Box<str>, Arc<EventCounts>>;

static PRODUCERS: LazyLock<RwLock<Producers>> = LazyLock::new(RwLock::default);

impl EventCounts {
    /// The counts of the producer with this name. They start at zero.
    pub fn of(producer: &str) -> Arc<Self> {
        let known = PRODUCERS.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = known.get(producer) {
            return Arc::clone(counts);
        }
        drop(known);
        let mut known = PRODUCERS.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(producer.into()).or_default())
    }

    pub(crate) fn add_received(&self, count: u64) {
        self.received.fetch_add(count, Relaxed);
    }

    pub(crate) fn add_dropped(&self, reason: &'static str, count: u64) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        *dropped.entry(reason).or_default() += count;
    }

    /// Counts events that were decided.
    pub fn add_decided(&self, decision: DecisionOutcome, count: u64) {
        let counter = match decision {
            DecisionOutcome::Applied => &self.applied,
            DecisionOutcome::Deduplicated => &self.deduplicated,
            DecisionOutcome::Refused => &self.refused,
        };
        counter.fetch_add(count, Relaxed);
    }

    /// The counts now. Events that are in flight are received and not yet decided.
    pub fn totals(&self) -> EventTotals {
        EventTotals {
            received: self.received.load(Relaxed),
            applied: self.applied.load(Relaxed),
            deduplicated: self.deduplicated.load(Relaxed),
            refused: self.refused.load(Relaxed),
            dropped: self.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_accounting::{Dropped, EventAccount, Received};
    use crate::telemetry::TelemetryEvent;

    #[test]
    fn the_counts_of_each_producer_add_up() {
        let producer = "event-counts-test";
        Received { producer, count: 10 }.emit();
        for (reason, form, count) in [("no_user", "junos-vpn", 1), ("no_user", "asa", 1)] {
            Dropped { producer, reason, form, count }.emit();
        }
        drop(EventAccount::open(producer, 1));
        let counts = EventCounts::of(producer);
        counts.add_decided(DecisionOutcome::Applied, 4);
        counts.add_decided(DecisionOutcome::Applied, 1);
        counts.add_decided(DecisionOutcome::Deduplicated, 1);
        counts.add_decided(DecisionOutcome::Refused, 1);
        let expected = EventTotals {
            received: 10,
            applied: 5,
            deduplicated: 1,
            refused: 1,
            dropped: BTreeMap::from([("no_user", 2), ("actor_gone", 1)]),
        };
        assert_eq!(counts.totals(), expected);
        assert_eq!(EventCounts::of("event-counts-test-2").totals(), EventTotals::default());
    }
}
