//! Reads the segments of a journal folder for history queries, while the journal writes them and
//! the maintenance thread seals and removes them.

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
use super::log::LogSegment;
use super::manifest::{Manifest, Sealed};
use super::segment_log::SegmentLog;
use super::string_table::Dictionary;
use super::{checkpoint, file};
use crate::telemetry::EventQuarantined;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The maximum number of open segments. Each takes about a megabyte of memory, and an unsealed one
/// 16 bytes more for each event.
const MAX_OPEN_SEGMENTS: usize = 24;

/// The maximum number of quarantined events. With more of them, the events are not the cause.
const MAX_QUARANTINED: usize = 1024;

/// How long before the start of its segment an event may have been received, because it waited for
/// its commit. If this was longer, because the clock was set back, queries use the segment only
/// once it is sealed.
const MAX_COMMIT_DELAY: Duration = Duration::from_secs(60);

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The file name.
    pub file: String,
    /// The last acknowledged position before the segment.
    pub after: Revision,
    /// The position of the first event.
    pub first: Revision,
    /// The last position; `None` until the segment is sealed.
    pub last: Option<Revision>,
    /// Earlier segments hold only events received before this time, unless more is known.
    pub begun: Timestamp,
    /// No event was received before this time.
    pub from: Timestamp,
    /// No event was received after this time, if that is certain.
    pub until: Option<Timestamp>,
    /// The number of events that were unreadable when the segment was sealed.
    pub lost: u64,
    /// Whether it contains the sessions at its beginning.
    pub has_beginning: bool,
    /// Whether its names were erased after `names_retention`.
    pub is_nameless: bool,
}

/// The open segments and the list of all segments.
pub struct Archive {
    log: SegmentLog,
    manifest: Option<(FileIdentity, Rc<Manifest>)>,
    /// The rules of the last query with their fingerprint: computing one takes milliseconds.
    rules: Option<(Arc<Rules>, u64)>,
    /// The events whose application by these rules panics.
    quarantined: BTreeSet<Revision>,
    /// The open segments; the last used one is at the end.
    open: Vec<(PathBuf, FileIdentity, SegmentReader)>,
}

/// Identifies an unchanged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    inode: u64,
    changed: (i64, i64),
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }

    /// The identity of a file that is still written.
    fn of_written(path: &Path) -> io::Result<Self> {
        Self::of(path).map(|identity| Self { changed: (0, 0), ..identity })
    }
}

impl Archive {
    /// The archive of the folder `path`. Reads nothing yet.
    pub fn new(path: &Path) -> Self {
        let (manifest, rules, quarantined, open) = (None, None, BTreeSet::new(), Vec::new());
        Self {
            log: SegmentLog::of(&JournalLayout::open_at(path)),
            manifest,
            rules,
            quarantined,
            open,
        }
    }

    /// All segments that can be opened, ascending, and the file names of those that cannot.
    pub fn segments(
        &mut self,
    ) -> Result<(Vec<SegmentInfo>, BTreeMap<Revision, String>), Corruption> {
        let listing = self.log.folder().list()?;
        let manifest = self.manifest();
        let (mut segments, mut unopened) = (Vec::new(), BTreeMap::new());
        for first in listing.open.union(&listing.sealed) {
            let known = manifest.find(*first).filter(|_| listing.sealed.contains(first));
            let segment = match known {
                Some(sealed) => Ok(SegmentInfo::sealed(sealed)),
                None => self.unlisted(*first),
            };
            match segment {
                // No event was committed to it.
                Ok(segment) if segment.last.is_some_and(|last| last < segment.first) => {}
                Ok(segment) => segments.push(segment),
                Err(_) => drop(unopened.insert(*first, name_of(&self.log.locate(*first).0))),
            }
        }
        self.open.retain(|(path, ..)| path.exists());
        Ok((segments, unopened))
    }

    /// The manifest as last written. The maintenance thread rebuilds a damaged one; meanwhile each
    /// file is read.
    fn manifest(&mut self) -> Rc<Manifest> {
        let identity = FileIdentity::of(&self.log.folder().manifest()).ok();
        if let (Some(identity), Some((known, manifest))) = (identity, &self.manifest)
            && identity == *known
        {
            return Rc::clone(manifest);
        }
        let manifest = Rc::new(Manifest::load(self.log.folder()).unwrap_or_default());
        self.manifest = identity.map(|identity| (identity, Rc::clone(&manifest)));
        manifest
    }

    /// A segment that the manifest does not list: it is open, was just sealed, or the manifest was
    /// lost.
    fn unlisted(&mut self, first: Revision) -> Result<SegmentInfo, Corruption> {
        let reader = self.open(first)?;
        let segment = SegmentInfo::written(reader.segment());
        if !reader.segment().is_sealed {
            return Ok(segment);
        }
        let (last, from, until) = reader.extent()?;
        Ok(SegmentInfo { last: Some(last), begun: from, from, until: Some(until), ..segment })
    }

    /// The fingerprint of rules, as stored in segments.
    pub fn fingerprint(&mut self, rules: &Arc<Rules>) -> u64 {
        match &self.rules {
            Some((known, computed)) if Arc::ptr_eq(known, rules) => *computed,
            _ => {
                let computed = fingerprint(rules);
                self.rules = Some((Arc::clone(rules), computed));
                // Other rules may apply these events without a panic.
                self.quarantined.clear();
                computed
            }
        }
    }

    /// The events that are skipped because applying them by the rules of the last query panics.
    pub fn quarantined(&self) -> &BTreeSet<Revision> {
        &self.quarantined
    }

    /// Quarantines an event. Returns whether it is new and the limit is not reached.
    pub fn quarantine(&mut self, at: Revision) -> bool {
        EventQuarantined { revision: at.0 }.emit();
        self.quarantined.len() < MAX_QUARANTINED && self.quarantined.insert(at)
    }

    /// The segment that begins at `first`.
    pub fn open(&mut self, first: Revision) -> Result<&SegmentReader, Corruption> {
        // A segment that is sealed between the two calls has its new name at the second one.
        let location = self.locate(first).or_else(|_| self.locate(first));
        let (path, is_sealed, identity) = location?;
        let index =
            self.open.iter().position(|(known, same, _)| (known, same) == (&path, &identity));
        let reader = match index {
            Some(index) => self.open.remove(index),
            None => {
                let reader = SegmentReader::open(&path, is_sealed)?;
                self.open.retain(|(known, ..)| *known != path);
                (path, identity, reader)
            }
        };
        if self.open.len() == MAX_OPEN_SEGMENTS {
            self.open.remove(0);
        }
        self.open.push(reader);
        let (_, _, reader) = self.open.last().expect("it was just put there");
        Ok(reader)
    }

    /// The path of the segment, whether it is sealed, and its identity.
    fn locate(&self, first: Revision) -> io::Result<(PathBuf, bool, FileIdentity)> {
        let (path, is_sealed) = self.log.locate(first);
        let identity =
            if is_sealed { FileIdentity::of(&path)? } else { FileIdentity::of_written(&path)? };
        Ok((path, is_sealed, identity))
    }

    /// The state of `address` in the snapshot after `last`; `None` without such a snapshot. This
    /// scans the snapshot, which takes a fraction of a second for a million sessions.
    pub fn snapshot(
        &self,
        last: Revision,
        address: Address,
    ) -> Result<Option<TableSnapshot>, Corruption> {
        let path = self.log.folder().snapshot(last);
        if !path.exists() {
            return Ok(None);
        }
        let sql = file::open(&path)?;
        checkpoint::read_at(&sql, &mut Dictionary::default(), address).map(Some)
    }

    /// Adds the addresses of `user` in that snapshot to `found`.
    pub fn snapshot_of(
        &self,
        last: Revision,
        user: &rollcall_identity::Name,
        found: &mut Addresses,
    ) -> Result<(), Corruption> {
        let path = self.log.folder().snapshot(last);
        if !path.exists() {
            return Ok(());
        }
        let sql = file::open(&path)?;
        let mut statement = sql.prepare("SELECT address FROM sessions WHERE user = ?")?;
        found.add_rows(statement.query([user.as_str()])?)
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

    fn written(segment: &LogSegment) -> Self {
        let LogSegment { file, after, first, begun, .. } = segment;
        Self {
            file: file.clone(),
            after: *after,
            first: *first,
            last: None,
            begun: *begun,
            from: *begun - MAX_COMMIT_DELAY,
            until: None,
            lost: 0,
            has_beginning: false,
            is_nameless: false,
        }
    }
}
