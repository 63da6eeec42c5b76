//! A copy of the journal while it is written: sealed segments as they are, the one that is written
//! sealed in the copy, and the newest snapshot. A server started on it goes on from there.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rollcall_identity::Revision;
use serde::Serialize;

use super::damage::Damage;
use super::folder::Folder;
use super::manifest::{Manifest, Sealed};
use super::reading::Title;
use super::{file, sealing, snapshot};

/// What a copy holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BackedUp {
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

/// Copies the journal in the folder `from` into the folder `to`, which is made, or is empty. What is
/// committed while this runs may be in it or not; it ends with a commit, and nothing before its end is
/// missing.
///
/// The last segment of the copy is sealed, and none follows it. By that a start knows that more may
/// have been acknowledged, and begins a new epoch: no firewall goes on with a cookie of what the copy
/// does not know.
///
/// # Errors
/// When the copy cannot be written.
pub fn back_up(from: &Path, to: &Path) -> Result<BackedUp, Damage> {
    let (from, to) = (Folder::at(from), empty(to)?);
    // Before the segments: so they reach at least as far.
    copy_snapshot(&from, &to)?;
    let listing = from.list()?;
    let known = Manifest::load(&from).unwrap_or_default();
    let firsts: Vec<Revision> = listing.open.union(&listing.sealed).copied().collect();
    let (mut backed_up, mut manifest) = (BackedUp::default(), Manifest::default());
    for (index, first) in firsts.iter().enumerate() {
        let (folders, next) = ((&from, &to), firsts.get(index + 1).copied());
        let copied = copy_segment(folders, *first, next, (&known, &mut backed_up.problems));
        let sealed = match copied {
            Ok(Some(sealed)) => sealed,
            Ok(None) => continue,
            // A full disk is the end of it; a segment that cannot be read is not.
            Err(Damage::Io(error)) => return Err(error.into()),
            Err(damage) => {
                backed_up.problems.push(format!("the segment at {first}: {damage}"));
                to.discard(&to.sealed(*first))?;
                continue;
            }
        };
        backed_up.segments += 1;
        backed_up.events += sealed.events;
        backed_up.last = backed_up.last.max(sealed.last);
        backed_up.bytes += sealed.bytes;
        if sealed.lost > 0 {
            backed_up.problems.push(format!("{} events of {} are lost", sealed.lost, sealed.file));
        }
        manifest.enter(sealed);
    }
    manifest.save(&to)?;
    Ok(backed_up)
}

/// The folder at `path`, made when it is not there, and empty.
fn empty(path: &Path) -> Result<Folder, Damage> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::read_dir(path)?.next().is_some() {
        let text = "there is something in it: a copy has a folder of its own";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
    }
    Ok(Folder::at(path))
}

/// Copies the newest snapshot that is whole. Without one, a start folds everything.
fn copy_snapshot(from: &Folder, to: &Folder) -> Result<(), Damage> {
    for last in from.list()?.snapshots.iter().rev() {
        let (source, target) = (from.snapshot(*last), to.snapshot(*last));
        match copy(&source, &target, to) {
            // Another was written, and this one thrown away.
            Err(Damage::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(other),
            Ok(()) if snapshot::read(&target).is_ok() => return Ok(()),
            Ok(()) => to.discard(&target)?,
        }
    }
    Ok(())
}

/// Copies a segment, and seals it in the copy when it is not yet. `None` when its time had come
/// meanwhile.
fn copy_segment(
    (from, to): (&Folder, &Folder),
    first: Revision,
    next: Option<Revision>,
    (known, problems): (&Manifest, &mut Vec<String>),
) -> Result<Option<Sealed>, Damage> {
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
        Err(Damage::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
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
fn after(folder: &Folder, first: Revision) -> Result<Revision, Damage> {
    let sealed = folder.sealed(first);
    let path = if sealed.exists() { sealed } else { folder.open(first) };
    Ok(Title::of(&file::open(&path)?)?.after)
}

fn copy(source: &Path, target: &Path, to: &Folder) -> Result<(), Damage> {
    fs::copy(source, Folder::unfinished(target))?;
    Ok(to.finish(target)?)
}
