//! Verifies the files of a journal folder and exports events, whether or not a server writes there.

use std::fs;
use std::path::Path;

use rollcall_identity::{Revision, Timestamp};
use serde::Serialize;

use super::corruption::Corruption;
use super::layout::{JournalLayout, name_of};
use super::log::{ListedSegment, LogEntry, LogReader, LogSegment};
use super::manifest::{Manifest, digest};
use super::segment_log::SegmentLog;
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
    let log = SegmentLog::of(&folder);
    let mut known: Option<Revision> = None;
    for listed in &log.segments()? {
        let mut inspected = inspect_segment(&log, listed);
        if let (Some(known), Ok(segment)) = (known, &listed.segment)
            && segment.after != known
        {
            let after = segment.after;
            let gap = format!("it follows {after}, but the segment before it ends at {known}");
            inspected.problems.push(gap);
        }
        if let Some(sealed) = manifest.find(listed.first)
            && sealed.file == inspected.file
            && digest(&log.locate(listed.first).0).map_err(Corruption::from)? != sealed.sha256
        {
            inspected.problems.push("it differs from its digest in the manifest".to_owned());
        }
        // A segment that was abandoned before its first commit ends where it began.
        let (last, is_empty) = (inspected.last, inspected.rows == 0);
        let end = |segment: &LogSegment| if is_empty { segment.after } else { last };
        known = listed.segment.as_ref().ok().map(end);
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
    period: (Timestamp, Timestamp),
    each: impl FnMut(&LogEntry) -> Result<(), E>,
) -> Result<(), E> {
    export_log(&SegmentLog::of(&JournalLayout::open_at(path)), period, each)
}

/// The same of any log.
pub(super) fn export_log<E: From<Corruption>>(
    log: &dyn LogReader,
    (from, until): (Timestamp, Timestamp),
    mut each: impl FnMut(&LogEntry) -> Result<(), E>,
) -> Result<(), E> {
    for listed in log.segments()? {
        let (segment, mut failed) = (listed.readable()?, None);
        let read = log.read(&segment, segment.span(), &mut |entry| {
            if entry.event.seen >= from && entry.event.seen < until {
                each(&entry).map_err(|error| {
                    failed = Some(error);
                    Corruption::Value
                })?;
            }
            Ok(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let read = read?;
        if !read.is_complete() {
            let text = format!("{} events of {}", read.lost, segment.file);
            return Err(Corruption::Missing(text).into());
        }
    }
    Ok(())
}

fn inspect_segment(log: &SegmentLog, listed: &ListedSegment) -> InspectReport {
    let ListedSegment { first, file, segment } = listed;
    let (file, before) = (file.clone(), Revision(first.0.saturating_sub(1)));
    let mut inspected =
        InspectReport { file, first: *first, last: before, rows: 0, problems: vec![] };
    let read = match segment {
        Ok(segment) => log.read(segment, segment.span(), &mut |_| Ok(())),
        Err(error) => {
            inspected.problems.push(error.to_string());
            return inspected;
        }
    };
    match read {
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
