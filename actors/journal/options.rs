//! On what terms the journal keeps what it is given: how large a segment gets, how long it stays.

use std::time::Duration;

/// The terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment is sealed when it holds so many events,
    pub segment_events: u64,
    /// or was begun so long ago.
    pub segment_age: Duration,
    /// Sealed segments go when their latest event is older than this,
    pub retention: Duration,
    /// or when all together are larger than this, in bytes; the oldest first.
    pub retention_bytes: u64,
    /// The names of users and devices in them go earlier, when their latest event is older than this;
    /// `None` when they stay as long.
    pub names_retention: Option<Duration>,
    /// How often the table is written down.
    pub snapshot_interval: Duration,
}

impl Default for JournalOptions {
    /// A million events or an hour, a month, 64 GiB, five minutes.
    fn default() -> Self {
        Self {
            segment_events: 1_000_000,
            segment_age: Duration::from_secs(3600),
            retention: Duration::from_secs(30 * 24 * 3600),
            retention_bytes: 64 << 30,
            names_retention: None,
            snapshot_interval: Duration::from_secs(300),
        }
    }
}
