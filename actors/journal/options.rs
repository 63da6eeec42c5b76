//! Options of the journal: the size of segments, and retention.

use std::time::Duration;

/// The options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment is sealed at this number of events.
    pub segment_events: u64,
    /// A segment is sealed at this age.
    pub segment_age: Duration,
    /// A sealed segment is removed when its latest event is older than this.
    pub retention: Duration,
    /// The oldest sealed segments are removed while all together are larger than this, in bytes.
    pub retention_bytes: u64,
    /// The names of users and devices in a sealed segment are erased when its latest event is older
    /// than this; `None` keeps them as long as the segment.
    pub names_retention: Option<Duration>,
    /// The interval of snapshots.
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
