//! The manifest of the sealed segments: the contents of each, and a digest that shows that it is
//! unchanged.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rollcall_identity::{Revision, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::corruption::Corruption;
use super::layout::JournalLayout;

/// A sealed segment, which never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The file name.
    pub file: String,
    /// The epoch of its positions.
    pub epoch: u64,
    /// The last acknowledged position before it.
    pub after: Revision,
    /// The position of its first event.
    pub first: Revision,
    /// The position of its last event.
    pub last: Revision,
    /// When its earliest event was received.
    pub from: Timestamp,
    /// When its latest event was received.
    pub until: Timestamp,
    /// The number of events.
    pub events: u64,
    /// The number of events that were unreadable when it was sealed.
    pub lost: u64,
    /// The number of sessions at its beginning, including remembered ends; `None` if they were not
    /// available.
    pub sessions: Option<u64>,
    /// Whether the names of users and devices were erased after `names_retention`.
    #[serde(default)]
    pub nameless: bool,
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 digest of the file, in hexadecimal.
    pub sha256: String,
}

/// The list, ascending by position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// All sealed segments.
    pub segments: Vec<Sealed>,
}

/// The maximum size of a manifest, in bytes: one century of hourly segments is 400 MB, one month
/// 300 KB.
const MAX_BYTES: u64 = 64 << 20;

impl Manifest {
    /// Reads the manifest; an empty one if there is none.
    pub(super) fn load(folder: &JournalLayout) -> Result<Self, Corruption> {
        let path = folder.manifest();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
            Ok(metadata) if metadata.len() > MAX_BYTES => return Err(Corruption::WrongFormat),
            Ok(_) => {}
        }
        serde_json::from_slice(&fs::read(&path)?).map_err(|_| Corruption::Value)
    }

    /// Replaces the manifest.
    pub(super) fn save(&self, folder: &JournalLayout) -> Result<(), Corruption> {
        let target = folder.manifest();
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        fs::write(JournalLayout::unfinished(&target), text)?;
        Ok(folder.finish(&target)?)
    }

    /// Inserts a segment at its position.
    pub(super) fn insert(&mut self, sealed: Sealed) {
        self.segments.retain(|known| known.first != sealed.first);
        let index = self.segments.partition_point(|known| known.first < sealed.first);
        self.segments.insert(index, sealed);
    }

    /// The segment that begins at `first`.
    pub(super) fn find(&self, first: Revision) -> Option<&Sealed> {
        let index = self.segments.binary_search_by_key(&first, |sealed| sealed.first).ok()?;
        self.segments.get(index)
    }
}

/// The SHA-256 digest of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    io::copy(&mut File::open(path)?, &mut sum)?;
    let hex = |text: String, byte: &u8| format!("{text}{byte:02x}");
    Ok(sum.finalize().iter().fold(String::with_capacity(64), hex))
}
