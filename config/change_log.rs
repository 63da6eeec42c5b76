//! The `change_log` table: how long ended sessions stay available to consumers that resume.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::table_reader::TableReader;

/// The limits of the change log in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLogLimits {
    /// How long an ended session is kept as a tombstone. A consumer that was disconnected for
    /// longer needs a full resync.
    pub tombstone_retention: Duration,
    /// The maximum number of tombstones. The oldest are removed first.
    pub max_tombstones: usize,
}

/// Below a minute, one failed poll of a firewall would cause a full resync. The maximum of 30 days
/// bounds the memory.
const TOMBSTONE_RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

impl Default for ChangeLogLimits {
    /// A day, which is the default duration of a session, and half as many tombstones as the
    /// sessions that Rollcall is designed for. They use about 100 MB.
    fn default() -> Self {
        Self { tombstone_retention: Duration::from_secs(24 * 3600), max_tombstones: 500_000 }
    }
}

impl ChangeLogLimits {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let default = Self::default();
        Self {
            tombstone_retention: table.in_range(
                "tombstone_retention",
                default.tombstone_retention,
                TOMBSTONE_RETENTION,
            ),
            max_tombstones: table.in_range(
                "max_tombstones",
                default.max_tombstones,
                0..=100_000_000,
            ),
        }
    }
}
