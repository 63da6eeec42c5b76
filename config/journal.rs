//! Where the journal lies, and how long it is kept: what survives a restart, a crash and a power cut.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::section::Section;

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Whether it is on disk.
    pub kind: JournalKind,
    /// Its folder.
    pub folder: PathBuf,
    /// How many events a segment holds before it is sealed.
    pub segment_events: usize,
    /// How old it gets before that.
    pub segment_age: Duration,
    /// How long sealed segments are kept.
    pub retention: Duration,
    /// How many bytes of them, the oldest leaving first.
    pub retention_bytes: usize,
    /// How long the names of users and devices are kept in them; `None` for as long.
    pub names_retention: Option<Duration>,
    /// How often all sessions are written down, from which a start begins to fold.
    pub snapshot_interval: Duration,
}

/// Where the journal is.
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
pub enum JournalKind {
    /// On disk: what was acknowledged survives.
    #[default]
    Disk,
    /// In memory: every start begins with no session.
    Memory,
}

impl JournalKind {
    /// The word of the configuration, for instance `disk`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A hundred, so that a test sees it happen; 100 million, beyond which sealing takes minutes.
const SEGMENT_EVENTS: RangeInclusive<usize> = 100..=100_000_000;

/// A second, likewise; a day, beyond which a question about the past reads too much.
const SEGMENT_AGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// An hour, which every start needs; ten years.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(3650 * 24 * 3600);

/// 1 MiB, of which nothing is kept but the newest; 64 TiB.
const RETENTION_BYTES: RangeInclusive<usize> = (1 << 20)..=(64 << 40);

/// A second; an hour, beyond which a start after a crash folds for too long.
const SNAPSHOT_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

impl Journal {
    /// Reads the section of a configuration whose data folder is `data`.
    pub(crate) fn read(section: &Section<'_>, data: &Path) -> Self {
        let folder = section.get::<PathBuf>("folder");
        let month = Duration::from_secs(30 * 24 * 3600);
        let (hour, minutes) = (Duration::from_secs(3600), Duration::from_secs(300));
        Self {
            kind: section.or("kind", JournalKind::default()),
            folder: folder.map_or_else(|| data.join("journal"), |folder| section.resolve(folder)),
            segment_events: section.within("segment_events", 1_000_000, SEGMENT_EVENTS),
            segment_age: section.within("segment_age", hour, SEGMENT_AGE),
            retention: section.within("retention", month, RETENTION),
            retention_bytes: section.bytes("retention_bytes", 64 << 30, RETENTION_BYTES),
            names_retention: section
                .has("names_retention")
                .then(|| section.within("names_retention", month, RETENTION)),
            snapshot_interval: section.within("snapshot_interval", minutes, SNAPSHOT_INTERVAL),
        }
    }
}
