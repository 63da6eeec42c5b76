//! Copies the journal to one archive while it is written: sealed segments unchanged, the open
//! segment sealed in the copy, and the newest snapshot. A server continues from the extracted
//! files.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rollcall_identity::Revision;
use serde::Serialize;

use super::archive_writer::ArchiveWriter;
use super::corruption::Corruption;
use super::layout::JournalLayout;
use super::log::{ListedSegment, LogReader};
use super::manifest::{Manifest, Sealed};
use super::segment_log::SegmentLog;
use super::{sealing, snapshot};

/// The contents of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The number of segments.
    pub segments: usize,
    /// The number of events.
    pub events: u64,
    /// The last position.
    pub last: Revision,
    /// The size in bytes.
    pub bytes: u64,
    /// Damaged files of the journal. Their readable part is copied.
    pub problems: Vec<String>,
}

/// Copies the journal in the folder `from` to the tar archive `to`, which gets its name when it is
/// complete and on disk. Events committed while this runs may or may not be included. The copy ends
/// at a commit, and no event before its end is missing.
///
/// The last segment of the copy is sealed, and no segment follows it. A start therefore knows that
/// later events may have been acknowledged, and begins a new epoch: no firewall continues with a
/// cookie that the copy does not know.
///
/// # Errors
/// If the copy cannot be written, or `to` exists.
pub fn back_up(from: &Path, to: &Path) -> Result<BackupReport, Corruption> {
    if to.symlink_metadata().is_ok() {
        let text = "the file exists; a backup does not overwrite a file";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
    }
    let scratch = ScratchFolder::beside(to)?;
    let (from, parts) = (JournalLayout::open_at(from), JournalLayout::open_at(&scratch.0));
    let archive_path = scratch.0.join("whole.tar");
    let mut archive = ArchiveWriter::create(&archive_path)?;
    let backed_up = copy_all((&from, &parts), &mut archive)?;
    archive.finish()?;
    fs::File::open(&archive_path)?.sync_all()?;
    fs::rename(&archive_path, to)?;
    JournalLayout::open_at(folder_of(to)).sync()?;
    Ok(backed_up)
}

/// The temporary folder of a backup, beside the archive and on its file system.
struct ScratchFolder(PathBuf);

impl ScratchFolder {
    fn beside(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".parts-{}", std::process::id()));
        let path = PathBuf::from(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // The name of a folder that cannot be removed shows its purpose.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// Copies each file to the temporary folder and from there to the archive.
fn copy_all(
    (from, parts): (&JournalLayout, &JournalLayout),
    archive: &mut ArchiveWriter,
) -> Result<BackupReport, Corruption> {
    // The snapshot is copied before the segments, so that they reach at least as far.
    if let Some(snapshot) = copy_snapshot(from, parts)? {
        append_part(archive, (parts, &snapshot))?;
    }
    let known = Manifest::load(from).unwrap_or_default();
    let segments = SegmentLog::of(from).segments()?;
    let (mut backed_up, mut manifest) = (BackupReport::default(), Manifest::default());
    for (index, ListedSegment { first, .. }) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        let copied = copy_segment((from, parts), *first, next, (&known, &mut backed_up.problems));
        let sealed = match copied {
            Ok(Some(sealed)) => sealed,
            Ok(None) => continue,
            // A full disk ends the backup; an unreadable segment does not.
            Err(Corruption::Io(error)) => return Err(error.into()),
            Err(error) => {
                backed_up.problems.push(format!("the segment at {first}: {error}"));
                parts.discard(&parts.sealed(*first))?;
                continue;
            }
        };
        append_part(archive, (parts, &parts.sealed(*first)))?;
        backed_up.add(&sealed);
        manifest.insert(sealed);
    }
    manifest.save(parts)?;
    append_part(archive, (parts, &parts.manifest()))?;
    Ok(backed_up)
}

impl BackupReport {
    fn add(&mut self, sealed: &Sealed) {
        self.segments += 1;
        self.events += sealed.events;
        self.last = self.last.max(sealed.last);
        self.bytes += sealed.bytes;
        if sealed.lost > 0 {
            self.problems.push(format!("{} events of {} are lost", sealed.lost, sealed.file));
        }
    }
}

/// Adds a part to the archive and removes its file.
fn append_part(
    archive: &mut ArchiveWriter,
    (parts, part): (&JournalLayout, &Path),
) -> Result<(), Corruption> {
    archive.add(part)?;
    Ok(parts.discard(part)?)
}

/// Copies the newest complete snapshot. Without one, a start applies all events.
fn copy_snapshot(from: &JournalLayout, to: &JournalLayout) -> Result<Option<PathBuf>, Corruption> {
    for last in from.list()?.snapshots.iter().rev() {
        let (source, target) = (from.snapshot(*last), to.snapshot(*last));
        match copy(&source, &target, to) {
            // A newer snapshot was written, and this one was removed.
            Err(Corruption::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(other),
            Ok(()) if snapshot::read(&target).is_ok() => return Ok(Some(target)),
            Ok(()) => to.discard(&target)?,
        }
    }
    Ok(None)
}

/// Copies a segment, and seals the copy if it is open. `None` if retention removed the segment
/// meanwhile.
fn copy_segment(
    (from, to): (&JournalLayout, &JournalLayout),
    first: Revision,
    next: Option<&ListedSegment>,
    (known, problems): (&Manifest, &mut Vec<String>),
) -> Result<Option<Sealed>, Corruption> {
    if from.open(first).exists() && !from.sealed(first).exists() {
        let upto = next.map(beginning).transpose()?;
        match sealing::seal_into((from, to), first, upto.unwrap_or(Revision(u64::MAX))) {
            Ok(sealed) => return Ok(Some(sealed)),
            // It was sealed meanwhile.
            Err(_) if from.sealed(first).exists() => {}
            Err(error) => return Err(error),
        }
    }
    let (source, target) = (from.sealed(first), to.sealed(first));
    match copy(&source, &target, to) {
        Err(Corruption::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    }
    let copied = sealing::describe(to, first)?;
    let is_other = known.find(first).is_some_and(|known| known.sha256 != copied.sha256);
    // Its names may have been erased meanwhile.
    let was_named = known.find(first).is_some_and(|known| !known.nameless);
    if is_other && !(copied.nameless && was_named) {
        problems.push(format!("{} differs from its digest in the manifest", copied.file));
    }
    Ok(Some(copied))
}

/// The last acknowledged position before `next`.
fn beginning(next: &ListedSegment) -> Result<Revision, Corruption> {
    match &next.segment {
        Ok(segment) => Ok(segment.after),
        Err(error) => Err(Corruption::Missing(format!("its end, in {}: {error}", next.file))),
    }
}

fn copy(source: &Path, target: &Path, to: &JournalLayout) -> Result<(), Corruption> {
    fs::copy(source, JournalLayout::unfinished(target))?;
    Ok(to.finish(target)?)
}
