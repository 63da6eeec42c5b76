//! The list of the sealed segments: what each holds, and the digest by which it is known unchanged.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rollcall_identity::{Revision, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::corruption::Corruption;
use super::layout::JournalLayout;

/// A segment that never changes any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Its name in the folder.
    pub file: String,
    /// The life of its positions.
    pub epoch: u64,
    /// The last position before it that was acknowledged.
    pub after: Revision,
    /// The position of its first event.
    pub first: Revision,
    /// The position of its last event.
    pub last: Revision,
    /// When its earliest event was received.
    pub from: Timestamp,
    /// When its latest event was received.
    pub until: Timestamp,
    /// How many events it holds.
    pub events: u64,
    /// How many events were no longer readable when it was sealed.
    pub lost: u64,
    /// How many sessions were there, or still remembered, when it began; `None` when that was no
    /// longer known.
    pub sessions: Option<u64>,
    /// Whether the names of users and devices were taken out, because they had had their time.
    #[serde(default)]
    pub nameless: bool,
    /// Its size.
    pub bytes: u64,
    /// The digest of the whole file, in hexadecimal.
    pub sha256: String,
}

/// The list, ascending by position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// All that are there.
    pub segments: Vec<Sealed>,
}

/// The longest list that is read, in bytes: a century of segments of an hour is 400 MB, a month 300
/// KB.
const LONGEST: u64 = 64 << 20;

impl Manifest {
    /// Reads the list; an empty one when there is none yet.
    pub(super) fn load(folder: &JournalLayout) -> Result<Self, Corruption> {
        let path = folder.manifest();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
            Ok(about) if about.len() > LONGEST => return Err(Corruption::Strange),
            Ok(_) => {}
        }
        serde_json::from_slice(&fs::read(&path)?).map_err(|_| Corruption::Value)
    }

    /// Writes the list in the place of the one before.
    pub(super) fn save(&self, folder: &JournalLayout) -> Result<(), Corruption> {
        let target = folder.manifest();
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        fs::write(JournalLayout::unfinished(&target), text)?;
        Ok(folder.finish(&target)?)
    }

    /// Enters a segment in its place.
    pub(super) fn enter(&mut self, sealed: Sealed) {
        self.segments.retain(|known| known.first != sealed.first);
        let place = self.segments.partition_point(|known| known.first < sealed.first);
        self.segments.insert(place, sealed);
    }

    /// What is known of the segment that begins at `first`.
    pub(super) fn find(&self, first: Revision) -> Option<&Sealed> {
        let place = self.segments.binary_search_by_key(&first, |sealed| sealed.first).ok()?;
        self.segments.get(place)
    }
}

/// The digest of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    io::copy(&mut File::open(path)?, &mut sum)?;
    let hex = |text: String, byte: &u8| format!("{text}{byte:02x}");
    Ok(sum.finalize().iter().fold(String::with_capacity(64), hex))
}
