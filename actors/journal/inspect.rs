//! Looking through the journal's folder, whether a server writes there or not: is every file what was
//! written, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};

use rollcall_identity::{Event, Revision, RevisionRange, Timestamp};
use serde::Serialize;

use super::corruption::Corruption;
use super::event_reader::{self, SegmentTitle};
use super::file;
use super::layout::{JournalLayout, name_of};
use super::manifest::{Manifest, digest};
use super::snapshot;

/// A file of the journal, looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectReport {
    /// Its name.
    pub file: String,
    /// The first position that is in it; of a snapshot, the one that it stands at.
    pub first: Revision,
    /// The last position that is in it.
    pub last: Revision,
    /// How many events it holds, or of a snapshot, how many sessions.
    pub rows: u64,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// A segment, sealed or not.
struct SegmentInfo {
    path: PathBuf,
    title: Result<SegmentTitle, Corruption>,
    first: Revision,
}

/// Looks through every file of the folder `path`, and gives each to `found`, segments first.
///
/// # Errors
/// When the folder cannot be read; or what `found` fails with.
pub fn inspect<E: From<Corruption>>(
    path: &Path,
    mut found: impl FnMut(InspectReport) -> Result<(), E>,
) -> Result<(), E> {
    let folder = JournalLayout::at(path);
    let listing = folder.list().map_err(Corruption::from)?;
    let manifest = Manifest::load(&folder);
    if let Err(damage) = &manifest {
        let problems = vec![damage.to_string()];
        let (first, last, file) = (Revision(0), Revision(0), name_of(&folder.manifest()));
        found(InspectReport { file, first, last, rows: 0, problems })?;
    }
    let manifest = manifest.unwrap_or_default();
    let chapters = chapters(&folder)?;
    let mut known: Option<Revision> = None;
    for (index, chapter) in chapters.iter().enumerate() {
        let next = chapters.get(index + 1).and_then(|next| next.title.as_ref().ok());
        let mut inspected = look_through(chapter, next.map(|next| next.after));
        if let (Some(known), Ok(title)) = (known, &chapter.title)
            && title.after != known
        {
            let gap = format!("it follows {}, and the one before ends at {known}", title.after);
            inspected.problems.push(gap);
        }
        if let Some(sealed) = manifest.find(chapter.first)
            && sealed.file == inspected.file
            && digest(&chapter.path).map_err(Corruption::from)? != sealed.sha256
        {
            inspected.problems.push("it is not the file that was sealed".to_owned());
        }
        // One that was given up before anything was committed to it ends where it began.
        let is_empty = inspected.rows == 0;
        let last = inspected.last;
        known = chapter.title.as_ref().ok().map(|title| if is_empty { title.after } else { last });
        found(inspected)?;
    }
    for last in &listing.snapshots {
        found(look_at_snapshot(&folder.snapshot(*last), *last))?;
    }
    Ok(())
}

/// Gives each event that was received from `from` on and before `until` to `each`, oldest first,
/// with the epoch of its position.
///
/// # Errors
/// When the folder or a segment cannot be read; or what `each` fails with.
pub fn export<E: From<Corruption>>(
    path: &Path,
    (from, until): (Timestamp, Timestamp),
    mut each: impl FnMut(u64, Revision, &Event) -> Result<(), E>,
) -> Result<(), E> {
    let chapters = chapters(&JournalLayout::at(path))?;
    for (index, SegmentInfo { path, title, .. }) in chapters.iter().enumerate() {
        let epoch = match title {
            Ok(title) => title.stamp.epoch,
            Err(_) => return Err(Corruption::Missing(name_of(path)).into()),
        };
        let next = chapters.get(index + 1).and_then(|next| next.title.as_ref().ok());
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
        if !read.is_whole() {
            let name = name_of(path);
            return Err(Corruption::Missing(format!("{} events of {name}", read.lost)).into());
        }
    }
    Ok(())
}

/// All segments, ascending. One that is sealed while this looks is found under its new name.
fn chapters(folder: &JournalLayout) -> Result<Vec<SegmentInfo>, Corruption> {
    let listing = folder.list()?;
    let of = |first: &Revision| {
        let (open, sealed) = (folder.open(*first), folder.sealed(*first));
        let path = if sealed.exists() { sealed } else { open };
        let title = file::open(&path).and_then(|sql| SegmentTitle::of(&sql));
        SegmentInfo { path, title, first: *first }
    };
    Ok(listing.open.union(&listing.sealed).map(of).collect())
}

fn look_through(chapter: &SegmentInfo, upto: Option<Revision>) -> InspectReport {
    let SegmentInfo { path, title, first } = chapter;
    let before = Revision(first.0.saturating_sub(1));
    let file = name_of(path);
    let mut inspected =
        InspectReport { file, first: *first, last: before, rows: 0, problems: vec![] };
    if let Err(damage) = title {
        inspected.problems.push(damage.to_string());
        return inspected;
    }
    let span = RevisionRange { after: Revision(0), upto: upto.unwrap_or(Revision(u64::MAX)) };
    match event_reader::read(path, span, |_, _| Ok(())) {
        Err(damage) => inspected.problems.push(damage.to_string()),
        Ok(read) => {
            (inspected.last, inspected.rows) = (read.last, read.events);
            inspected.problems.extend(read.broke.map(|damage| damage.to_string()));
            if read.lost > 0 {
                inspected.problems.push(format!("{} events are lost", read.lost));
            }
        }
    }
    inspected
}

fn look_at_snapshot(path: &Path, last: Revision) -> InspectReport {
    let mut inspected =
        InspectReport { file: name_of(path), first: last, last, rows: 0, problems: Vec::new() };
    match snapshot::read(path) {
        Ok(snapshot) => inspected.rows = snapshot.handover.sessions.len() as u64,
        // Thrown away while this looked.
        Err(_) if !fs::exists(path).unwrap_or(true) => {}
        Err(damage) => inspected.problems.push(damage.to_string()),
    }
    inspected
}
