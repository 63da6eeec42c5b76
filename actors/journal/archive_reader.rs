//! The segments as they lie in the folder, opened for questions about the past: beside the journal
//! that writes them and the keeper that seals and removes them.

mod live_index;
mod segment_reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rollcall_identity::{Address, Revision, Rules, TableSnapshot, Timestamp};

pub use self::segment_reader::{Addresses, EventQuery, ReadStats, SegmentReader};
use super::corruption::Corruption;
use super::fingerprint::fingerprint;
use super::layout::{JournalLayout, name_of};
use super::manifest::{Manifest, Sealed};
use super::string_table::Dictionary;
use super::{checkpoint, file};
use crate::telemetry::EventQuarantined;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How many segments stay open. Each takes about a megabyte, and one that is written 16 bytes an
/// event besides.
const VOLUMES: usize = 24;

/// How many events are remembered to be set aside: with more of them, it is not the events.
const POISONOUS: usize = 1024;

/// By how much an event may have been received before its segment was begun: it waited to be
/// committed. When that is longer because the clock was set back, the segment is asked only once it
/// is sealed.
const WAITED: Duration = Duration::from_secs(60);

/// One segment, by what is known of it without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its file.
    pub file: String,
    /// The last position before it that was acknowledged.
    pub after: Revision,
    /// The position of its first event.
    pub first: Revision,
    /// The last position in it; `None` while it is written, and until it is sealed.
    pub last: Option<Revision>,
    /// What came before it was received before this, unless it is known better.
    pub begun: Timestamp,
    /// It holds nothing that was received before this.
    pub from: Timestamp,
    /// It holds nothing that was received after this, when that is certain.
    pub until: Option<Timestamp>,
    /// How many of its events could no longer be read when it was sealed.
    pub lost: u64,
    /// Whether it says what was known when it began.
    pub has_beginning: bool,
    /// Whether the names were taken out, because they had had their time.
    pub is_nameless: bool,
}

/// What is open, and the list of what there is.
pub struct Archive {
    folder: JournalLayout,
    manifest: Option<(Identity, Rc<Manifest>)>,
    /// The rules that were last asked about: to make a fingerprint takes milliseconds.
    rules: Option<(Arc<Rules>, u64)>,
    /// Which events cannot be folded by them: nobody survives it.
    poison: BTreeSet<Revision>,
    /// The most recently asked last.
    open: Vec<(PathBuf, Identity, SegmentReader)>,
}

/// By what a file is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    inode: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self { inode: about.ino(), changed: (about.ctime(), about.ctime_nsec()) })
    }

    /// A file that is written changes all the time and stays the same.
    fn of_written(path: &Path) -> io::Result<Self> {
        Self::of(path).map(|identity| Self { changed: (0, 0), ..identity })
    }
}

impl Archive {
    /// The library in the folder `path`. Nothing is read yet.
    pub fn new(path: &Path) -> Self {
        let (manifest, rules, poison, open) = (None, None, BTreeSet::new(), Vec::new());
        Self { folder: JournalLayout::at(path), manifest, rules, poison, open }
    }

    /// All segments that can be opened, ascending, and those that cannot, with their files.
    pub fn chapters(
        &mut self,
    ) -> Result<(Vec<SegmentInfo>, BTreeMap<Revision, String>), Corruption> {
        let listing = self.folder.list()?;
        let manifest = self.manifest();
        let (mut chapters, mut unopened) = (Vec::new(), BTreeMap::new());
        for first in listing.open.union(&listing.sealed) {
            let known = manifest.find(*first).filter(|_| listing.sealed.contains(first));
            let chapter = match known {
                Some(sealed) => Ok(SegmentInfo::sealed(sealed)),
                None => self.unlisted(*first),
            };
            match chapter {
                // Nothing was ever committed to it.
                Ok(chapter) if chapter.last.is_some_and(|last| last < chapter.first) => {}
                Ok(chapter) => chapters.push(chapter),
                Err(_) => drop(unopened.insert(*first, name_of(&self.path(*first)))),
            }
        }
        self.open.retain(|(path, ..)| path.exists());
        Ok((chapters, unopened))
    }

    /// The list of the sealed ones, as it was last written. One that is damaged is made anew by the
    /// keeper; meanwhile each file is asked itself.
    fn manifest(&mut self) -> Rc<Manifest> {
        let identity = Identity::of(&self.folder.manifest()).ok();
        if let (Some(identity), Some((known, manifest))) = (identity, &self.manifest)
            && identity == *known
        {
            return Rc::clone(manifest);
        }
        let manifest = Rc::new(Manifest::load(&self.folder).unwrap_or_default());
        self.manifest = identity.map(|identity| (identity, Rc::clone(&manifest)));
        manifest
    }

    /// A segment that the manifest does not list: one that is written, or was sealed just now, or
    /// whose manifest was lost.
    fn unlisted(&mut self, first: Revision) -> Result<SegmentInfo, Corruption> {
        let is_sealed = self.folder.sealed(first).exists();
        let file = name_of(&self.path(first));
        let volume = self.open(first)?;
        let chapter = SegmentInfo::written(file, volume);
        if !is_sealed {
            return Ok(chapter);
        }
        let (last, from, until) = volume.extent()?;
        Ok(SegmentInfo { last: Some(last), begun: from, from, until: Some(until), ..chapter })
    }

    /// The fingerprint of rules, as segments carry it.
    pub fn fingerprint(&mut self, rules: &Arc<Rules>) -> u64 {
        match &self.rules {
            Some((known, print)) if Arc::ptr_eq(known, rules) => *print,
            _ => {
                let print = fingerprint(rules);
                self.rules = Some((Arc::clone(rules), print));
                // By other rules, they may not be.
                self.poison.clear();
                print
            }
        }
    }

    /// The events that are set aside, because they cannot be folded by the rules last asked about.
    pub fn poison(&self) -> &BTreeSet<Revision> {
        &self.poison
    }

    /// Sets one aside. Whether it was not before, and there is room for it.
    pub fn set_aside(&mut self, at: Revision) -> bool {
        EventQuarantined { revision: at.0 }.emit();
        self.poison.len() < POISONOUS && self.poison.insert(at)
    }

    /// The segment that begins at `first`.
    pub fn open(&mut self, first: Revision) -> Result<&SegmentReader, Corruption> {
        // One that is sealed at this very moment has its other name at the second look.
        let located = self.locate(first).or_else(|_| self.locate(first));
        let (path, is_sealed, identity) = located?;
        let place =
            self.open.iter().position(|(known, same, _)| (known, same) == (&path, &identity));
        let volume = match place {
            Some(place) => self.open.remove(place),
            None => {
                let volume = if is_sealed {
                    SegmentReader::sealed(&path)?
                } else {
                    SegmentReader::written(&path)?
                };
                self.open.retain(|(known, ..)| *known != path);
                (path, identity, volume)
            }
        };
        if self.open.len() == VOLUMES {
            self.open.remove(0);
        }
        self.open.push(volume);
        let (_, _, volume) = self.open.last().expect("it was just put there");
        Ok(volume)
    }

    /// Where the segment is, whether it is sealed, and by what it is known.
    fn locate(&self, first: Revision) -> io::Result<(PathBuf, bool, Identity)> {
        let path = self.path(first);
        let is_sealed = path == self.folder.sealed(first);
        let identity = if is_sealed { Identity::of(&path)? } else { Identity::of_written(&path)? };
        Ok((path, is_sealed, identity))
    }

    fn path(&self, first: Revision) -> PathBuf {
        let sealed = self.folder.sealed(first);
        if sealed.exists() { sealed } else { self.folder.open(first) }
    }

    /// What the snapshot after `last` knows of `address`; `None` without such a snapshot. It is read
    /// through, which takes a fraction of a second for a million sessions.
    pub fn snapshot(
        &self,
        last: Revision,
        address: Address,
    ) -> Result<Option<TableSnapshot>, Corruption> {
        let path = self.folder.snapshot(last);
        if !path.exists() {
            return Ok(None);
        }
        let sql = file::open(&path)?;
        checkpoint::read_at(&sql, &mut Dictionary::default(), address).map(Some)
    }

    /// Puts into `found` where that snapshot knows `user` to be.
    pub fn snapshot_of(
        &self,
        last: Revision,
        user: &rollcall_identity::Name,
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let path = self.folder.snapshot(last);
        if !path.exists() {
            return Ok(());
        }
        let sql = file::open(&path)?;
        let mut statement = sql.prepare("SELECT address FROM sessions WHERE user = ?")?;
        found.take(statement.query([user.as_str()])?)
    }
}

impl SegmentInfo {
    fn sealed(sealed: &Sealed) -> Self {
        Self {
            file: sealed.file.clone(),
            after: sealed.after,
            first: sealed.first,
            last: Some(sealed.last),
            begun: sealed.from,
            from: sealed.from,
            until: Some(sealed.until),
            lost: sealed.lost,
            has_beginning: sealed.sessions.is_some(),
            is_nameless: sealed.nameless,
        }
    }

    fn written(file: String, volume: &SegmentReader) -> Self {
        let title = volume.title();
        Self {
            file,
            after: title.after,
            first: title.first,
            last: None,
            begun: volume.begun(),
            from: volume.begun() - WAITED,
            until: None,
            lost: 0,
            has_beginning: false,
            is_nameless: false,
        }
    }
}
