//! How long an ended session is remembered, so that a firewall that was away still hears of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::section::Section;

/// The limits of the log of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How long the end of a session can be asked for. A consumer that was away for longer reads
    /// everything again.
    pub tombstones: Duration,
    /// How many such ends are kept, the oldest leaving first.
    pub tombstone_count: usize,
}

/// A minute, below which every poll of a firewall that stumbles once is a full one; 30 days, for
/// memory is what is spent.
const TOMBSTONES: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

impl Default for History {
    /// A day, as long as a session lasts, and half as many ends as the sessions that Rollcall is
    /// made for: about 100 MB.
    fn default() -> Self {
        Self { tombstones: Duration::from_secs(24 * 3600), tombstone_count: 500_000 }
    }
}

impl History {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        Self {
            tombstones: section.within("tombstones", default.tombstones, TOMBSTONES),
            tombstone_count: section.within(
                "tombstone_count",
                default.tombstone_count,
                0..=100_000_000,
            ),
        }
    }
}
