//! The event account of each producer: received = applied + deduplicated + refused + dropped.

use std::collections::BTreeMap;

use rollcall_runtime::event_counts::{EventCounts, EventTotals};
use serde::Serialize;
use utoipa::ToSchema;

/// The number of received items of a producer since the start of the process, by outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    /// Received items.
    received: u64,
    /// Events that changed a session.
    applied: u64,
    /// Events that were already known.
    deduplicated: u64,
    /// Events that the rules refused.
    refused: u64,
    /// Items that were dropped before a decision.
    dropped: u64,
    /// Dropped items by reason.
    dropped_by_reason: BTreeMap<&'static str, u64>,
}

impl Account {
    /// The account of the producer with this name.
    pub(super) fn of(producer: &str) -> Self {
        let EventTotals { received, applied, deduplicated, refused, dropped } =
            EventCounts::of(producer).totals();
        Self {
            received,
            applied,
            deduplicated,
            refused,
            dropped: dropped.values().sum(),
            dropped_by_reason: dropped,
        }
    }
}
