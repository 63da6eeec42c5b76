//! The account of each producer: received = applied + deduplicated + refused + dropped.

use std::collections::BTreeMap;

use rollcall_runtime::event_counts::{EventCounts, EventTotals};
use serde::Serialize;
use utoipa::ToSchema;

/// What became of everything that a producer received since the process began.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    /// Items that came in.
    received: u64,
    /// Events that changed who is where.
    applied: u64,
    /// Events that were known already.
    deduplicated: u64,
    /// Events that were not allowed to change anything.
    refused: u64,
    /// Items that ended before a decision.
    dropped: u64,
    /// The dropped ones, by reason.
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
