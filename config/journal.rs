//! The `journal` table: where the journal is stored and how long it is kept.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::scalar::keyword_enum;
use crate::table_reader::TableReader;

/// The settings of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Whether the journal is durable.
    pub storage: JournalStorage,
    /// The folder of the journal.
    pub folder: PathBuf,
    /// The number of events after which a segment is sealed.
    pub segment_events: usize,
    /// The age after which a segment is sealed.
    pub segment_age: Duration,
    /// How long sealed segments are kept.
    pub retention: Duration,
    /// The maximum size of all sealed segments in bytes. The oldest are removed first.
    pub retention_bytes: usize,
    /// How long sealed segments keep the names of users and devices; `None` for as long as the
    /// segment exists.
    pub names_retention: Option<Duration>,
    /// The interval between checkpoints of all sessions. A start replays the events after the last
    /// checkpoint.
    pub checkpoint_interval: Duration,
}

/// Where the journal is stored.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum JournalStorage {
    /// On disk: acknowledged events survive a crash.
    #[default]
    Disk,
    /// In memory: every start begins without sessions.
    Memory,
}

keyword_enum!(JournalStorage: "\"disk\" or \"memory\"");

impl JournalStorage {
    /// The keyword of the configuration, for example `disk`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The minimum makes sealing observable in a test. Above 100 million events, sealing takes minutes.
const SEGMENT_EVENTS: RangeInclusive<usize> = 100..=100_000_000;

/// The minimum is for tests, too. Above a day, a query about the past reads too much.
const SEGMENT_AGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// Every start needs the last hour. The maximum is ten years.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(3650 * 24 * 3600);

/// With 1 MiB only the newest segment is kept. The maximum is 64 TiB.
const RETENTION_BYTES: RangeInclusive<usize> = (1 << 20)..=(64 << 40);

/// Above an hour, a start after a crash replays too many events.
const CHECKPOINT_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

impl Journal {
    /// Reads the table. The default folder is `journal` in the data folder `data`.
    pub(crate) fn from_table(table: &TableReader<'_>, data: &Path) -> Self {
        let month = Duration::from_secs(30 * 24 * 3600);
        let (hour, minutes) = (Duration::from_secs(3600), Duration::from_secs(300));
        Self {
            storage: table.get_or("storage", JournalStorage::default()),
            folder: table.file_path_or("folder", data.join("journal")),
            segment_events: table.in_range("segment_events", 1_000_000, SEGMENT_EVENTS),
            segment_age: table.in_range("segment_age", hour, SEGMENT_AGE),
            retention: table.in_range("retention", month, RETENTION),
            retention_bytes: table.bytes_in_range("retention_bytes", 64 << 30, RETENTION_BYTES),
            names_retention: table
                .has("names_retention")
                .then(|| table.in_range("names_retention", month, RETENTION)),
            checkpoint_interval: table.in_range(
                "checkpoint_interval",
                minutes,
                CHECKPOINT_INTERVAL,
            ),
        }
    }
}
