//! Verifies the files of a journal folder and exports events, whether or not a server writes there.

use std::fs;
use std::path::{Path, PathBuf};

use rollcall_identity::{Event, Revision, RevisionRange, Timestamp};
use serde::Serialize;

use super::corruption::Corruption;
use super::event_reader::{self, SegmentHeader};
use super::file;
use super::layout::{JournalLayout, name_of};
use super::manifest::{Manifest, digest};
use super::snapshot;

/// The result of verifying one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectReport {
    /// The file name.
    pub file: String,
    /// The first position; of a snapshot, its position.
    pub first: Revision,
    /// The last position.
    pub last: Revision,
    /// The number of events; of a snapshot, the number of sessions.
    pub rows: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// A segment, sealed or open.
struct SegmentInfo {
    path: PathBuf,
    header: Result<SegmentHeader, Corruption>,
    first: Revision,
}

/// Verifies every file of the folder `path` and passes each result to `found`, segments first.
///
/// # Errors
/// If the folder cannot be read, or `found` fails.
pub fn inspect<E: From<Corruption>>(
    path: &Path,
    mut found: impl FnMut(InspectReport) -> Result<(), E>,
) -> Result<(), E> {
    let folder = JournalLayout::open_at(path);
    let listing = folder.list().map_err(Corruption::from)?;
    let manifest = Manifest::load(&folder);
    if let Err(error) = &manifest {
        let problems = vec![error.to_string()];
        let (first, last, file) = (Revision(0), Revision(0), name_of(&folder.manifest()));
        found(InspectReport { file, first, last, rows: 0, problems })?;
    }
    let manifest = manifest.unwrap_or_default();
    let segments = segments(&folder)?;
    let mut known: Option<Revision> = None;
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1).and_then(|next| next.header.as_ref().ok());
        let mut inspected = inspect_segment(segment, next.map(|next| next.after));
        if let (Some(known), Ok(header)) = (known, &segment.header)
            && header.after != known
        {
            let gap =
                format!("it follows {}, but the segment before it ends at {known}", header.after);
            inspected.problems.push(gap);
        }
        if let Some(sealed) = manifest.find(segment.first)
            && sealed.file == inspected.file
            && digest(&segment.path).map_err(Corruption::from)? != sealed.sha256
        {
            inspected.problems.push("it differs from its digest in the manifest".to_owned());
        }
        // A segment that was abandoned before its first commit ends where it began.
        let is_empty = inspected.rows == 0;
        let last = inspected.last;
        known =
            segment.header.as_ref().ok().map(|header| if is_empty { header.after } else { last });
        found(inspected)?;
    }
    for last in &listing.snapshots {
        found(inspect_snapshot(&folder.snapshot(*last), *last))?;
    }
    Ok(())
}

/// Calls `each` for each event received at `from` or later and before `until`, oldest first, with
/// the epoch of its position.
///
/// # Errors
/// If the folder or a segment cannot be read, or `each` fails.
pub fn export<E: From<Corruption>>(
    path: &Path,
    (from, until): (Timestamp, Timestamp),
    mut each: impl FnMut(u64, Revision, &Event) -> Result<(), E>,
) -> Result<(), E> {
    let segments = segments(&JournalLayout::open_at(path))?;
    for (index, SegmentInfo { path, header, .. }) in segments.iter().enumerate() {
        let epoch = match header {
            Ok(header) => header.file_header.epoch,
            Err(_) => return Err(Corruption::Missing(name_of(path)).into()),
        };
        let next = segments.get(index + 1).and_then(|next| next.header.as_ref().ok());
        let upto = next.map_or(Revision(u64::MAX), |next| next.after);
        let mut failed = None;
        let read = event_reader::read(
            path,
            RevisionRange { after: Revision(0), upto },
            |revision, event| {
                if event.seen >= from && event.seen < until {
                    each(epoch, revision, &event).map_err(|error| {
                        failed = Some(error);
                        Corruption::Value
                    })?;
                }
                Ok(())
            },
        );
        if let Some(error) = failed {
            return Err(error);
        }
        let read = read?;
        if !read.is_complete() {
            let name = name_of(path);
            return Err(Corruption::Missing(format!("{} events of {name}", read.lost)).into());
        }
    }
    Ok(())
}

/// All segments, ascending. A segment that is sealed meanwhile is found under its new name.
fn segments(folder: &JournalLayout) -> Result<Vec<SegmentInfo>, Corruption> {
    let listing = folder.list()?;
    let of = |first: &Revision| {
        let (open, sealed) = (folder.open(*first), folder.sealed(*first));
        let path = if sealed.exists() { sealed } else { open };
        let header = file::open(&path).and_then(|sql| SegmentHeader::read(&sql));
        SegmentInfo { path, header, first: *first }
    };
    Ok(listing.open.union(&listing.sealed).map(of).collect())
}

fn inspect_segment(segment: &SegmentInfo, upto: Option<Revision>) -> InspectReport {
    let SegmentInfo { path, header, first } = segment;
    let before = Revision(first.0.saturating_sub(1));
    let file = name_of(path);
    let mut inspected =
        InspectReport { file, first: *first, last: before, rows: 0, problems: vec![] };
    if let Err(error) = header {
        inspected.problems.push(error.to_string());
        return inspected;
    }
    let span = RevisionRange { after: Revision(0), upto: upto.unwrap_or(Revision(u64::MAX)) };
    match event_reader::read(path, span, |_, _| Ok(())) {
        Err(error) => inspected.problems.push(error.to_string()),
        Ok(read) => {
            (inspected.last, inspected.rows) = (read.last, read.events);
            inspected.problems.extend(read.error.map(|error| error.to_string()));
            if read.lost > 0 {
                inspected.problems.push(format!("{} events are lost", read.lost));
            }
        }
    }
    inspected
}

fn inspect_snapshot(path: &Path, last: Revision) -> InspectReport {
    let mut inspected =
        InspectReport { file: name_of(path), first: last, last, rows: 0, problems: Vec::new() };
    match snapshot::read(path) {
        Ok(snapshot) => inspected.rows = snapshot.table.sessions.len() as u64,
        // It was removed meanwhile.
        Err(_) if !fs::exists(path).unwrap_or(true) => {}
        Err(error) => inspected.problems.push(error.to_string()),
    }
    inspected
}
