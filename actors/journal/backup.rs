//! A copy of the journal in one file, made while it is written: sealed segments as they are, the one
//! that is written sealed in the copy, and the newest snapshot. A server on what `tar` unpacks of it goes
//! on from there.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rollcall_identity::Revision;
use serde::Serialize;

use super::corruption::Corruption;
use super::event_reader::SegmentTitle;
use super::layout::JournalLayout;
use super::manifest::{Manifest, Sealed};
use super::tar::TarWriter;
use super::{file, sealing, snapshot};

/// What a copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// How many segments.
    pub segments: usize,
    /// How many events.
    pub events: u64,
    /// The last position.
    pub last: Revision,
    /// How many bytes.
    pub bytes: u64,
    /// What is wrong with files of the journal: what can be read of them is copied.
    pub problems: Vec<String>,
}

/// Copies the journal in the folder `from` into the file `to`, a tar archive that has its name when it
/// is whole and on the disk. What is committed while this runs may be in it or not; it ends with a
/// commit, and nothing before its end is missing.
///
/// The last segment of the copy is sealed, and none follows it. By that a start knows that more may
/// have been acknowledged, and begins a new epoch: no firewall goes on with a cookie of what the copy
/// does not know.
///
/// # Errors
/// When the copy cannot be written, or something is there under its name.
pub fn back_up(from: &Path, to: &Path) -> Result<BackupReport, Corruption> {
    if to.symlink_metadata().is_ok() {
        let text = "it is there already: no copy is written over another";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
    }
    let workshop = Workshop::beside(to)?;
    let (from, parts) = (JournalLayout::at(from), JournalLayout::at(&workshop.0));
    let whole = workshop.0.join("whole.tar");
    let mut archive = TarWriter::create(&whole)?;
    let backed_up = copy_all((&from, &parts), &mut archive)?;
    archive.finish()?;
    fs::File::open(&whole)?.sync_all()?;
    fs::rename(&whole, to)?;
    JournalLayout::at(folder_of(to)).sync()?;
    Ok(backed_up)
}

/// Where a copy is made, part by part, beside the file that it becomes: on its file system.
struct Workshop(PathBuf);

impl Workshop {
    fn beside(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(format!(".parts-{}", std::process::id()));
        let path = PathBuf::from(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed says by its name what it is.
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

/// Copies one file after the other into the folder of parts, and from there into the archive.
fn copy_all(
    (from, parts): (&JournalLayout, &JournalLayout),
    archive: &mut TarWriter,
) -> Result<BackupReport, Corruption> {
    // Before the segments: so they reach at least as far.
    if let Some(snapshot) = copy_snapshot(from, parts)? {
        pack(archive, (parts, &snapshot))?;
    }
    let listing = from.list()?;
    let known = Manifest::load(from).unwrap_or_default();
    let firsts: Vec<Revision> = listing.open.union(&listing.sealed).copied().collect();
    let (mut backed_up, mut manifest) = (BackupReport::default(), Manifest::default());
    for (index, first) in firsts.iter().enumerate() {
        let next = firsts.get(index + 1).copied();
        let copied = copy_segment((from, parts), *first, next, (&known, &mut backed_up.problems));
        let sealed = match copied {
            Ok(Some(sealed)) => sealed,
            Ok(None) => continue,
            // A full disk is the end of it; a segment that cannot be read is not.
            Err(Corruption::Io(error)) => return Err(error.into()),
            Err(damage) => {
                backed_up.problems.push(format!("the segment at {first}: {damage}"));
                parts.discard(&parts.sealed(*first))?;
                continue;
            }
        };
        pack(archive, (parts, &parts.sealed(*first)))?;
        backed_up.note(&sealed);
        manifest.enter(sealed);
    }
    manifest.save(parts)?;
    pack(archive, (parts, &parts.manifest()))?;
    Ok(backed_up)
}

impl BackupReport {
    fn note(&mut self, sealed: &Sealed) {
        self.segments += 1;
        self.events += sealed.events;
        self.last = self.last.max(sealed.last);
        self.bytes += sealed.bytes;
        if sealed.lost > 0 {
            self.problems.push(format!("{} events of {} are lost", sealed.lost, sealed.file));
        }
    }
}

/// Adds a part to the archive, after which it is not needed any more.
fn pack(archive: &mut TarWriter, (parts, part): (&JournalLayout, &Path)) -> Result<(), Corruption> {
    archive.add(part)?;
    Ok(parts.discard(part)?)
}

/// Copies the newest snapshot that is whole. Without one, a start folds everything.
fn copy_snapshot(from: &JournalLayout, to: &JournalLayout) -> Result<Option<PathBuf>, Corruption> {
    for last in from.list()?.snapshots.iter().rev() {
        let (source, target) = (from.snapshot(*last), to.snapshot(*last));
        match copy(&source, &target, to) {
            // Another was written, and this one thrown away.
            Err(Corruption::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(other),
            Ok(()) if snapshot::read(&target).is_ok() => return Ok(Some(target)),
            Ok(()) => to.discard(&target)?,
        }
    }
    Ok(None)
}

/// Copies a segment, and seals it in the copy when it is not yet. `None` when its time had come
/// meanwhile.
fn copy_segment(
    (from, to): (&JournalLayout, &JournalLayout),
    first: Revision,
    next: Option<Revision>,
    (known, problems): (&Manifest, &mut Vec<String>),
) -> Result<Option<Sealed>, Corruption> {
    if from.open(first).exists() && !from.sealed(first).exists() {
        let upto = next.map(|next| after(from, next)).transpose()?;
        match sealing::seal_into((from, to), first, upto.unwrap_or(Revision(u64::MAX))) {
            Ok(sealed) => return Ok(Some(sealed)),
            // It was sealed meanwhile.
            Err(_) if from.sealed(first).exists() => {}
            Err(damage) => return Err(damage),
        }
    }
    let (source, target) = (from.sealed(first), to.sealed(first));
    match copy(&source, &target, to) {
        Err(Corruption::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    }
    let copied = sealing::describe(to, first)?;
    let is_other = known.find(first).is_some_and(|known| known.sha256 != copied.sha256);
    // The names may have been taken out of it meanwhile.
    let was_named = known.find(first).is_some_and(|known| !known.nameless);
    if is_other && !(copied.nameless && was_named) {
        problems.push(format!("{} is not the file that was sealed", copied.file));
    }
    Ok(Some(copied))
}

/// Where what came before the segment that begins at `first` ends.
fn after(folder: &JournalLayout, first: Revision) -> Result<Revision, Corruption> {
    let sealed = folder.sealed(first);
    let path = if sealed.exists() { sealed } else { folder.open(first) };
    Ok(SegmentTitle::of(&file::open(&path)?)?.after)
}

fn copy(source: &Path, target: &Path, to: &JournalLayout) -> Result<(), Corruption> {
    fs::copy(source, JournalLayout::unfinished(target))?;
    Ok(to.finish(target)?)
}
