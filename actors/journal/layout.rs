//! The journal's folder: file names, and how a file gets its name.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rollcall_identity::{Revision, Timestamp};

/// The folder. Names contain the position of the first event (segments) or of the last (snapshots)
/// in 20 digits, so that they sort.
#[derive(Debug, Clone)]
pub(super) struct JournalLayout(PathBuf);

/// The files of the folder.
#[derive(Debug, Default)]
pub(super) struct LayoutListing {
    /// Segments that are open, or not sealed yet.
    pub(super) open: BTreeSet<Revision>,
    /// Sealed segments, which never change.
    pub(super) sealed: BTreeSet<Revision>,
    pub(super) snapshots: BTreeSet<Revision>,
    /// Files that were not completed.
    unfinished: Vec<PathBuf>,
}

/// The files that SQLite keeps beside a database in WAL mode.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

impl JournalLayout {
    /// The folder at `path`. Creates it if needed.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The folder at `path`.
    pub(super) fn open_at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Locks the folder against other writing processes until the lock is dropped. Readers need no
    /// lock.
    pub(super) fn lock(&self) -> io::Result<Flock<File>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600);
        let file = file.open(self.0.join("lock"))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            nix::errno::Errno::EWOULDBLOCK => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process uses the journal")
            }
            error => error.into(),
        })
    }

    /// The open segment that begins at `first`.
    pub(super) fn open(&self, first: Revision) -> PathBuf {
        self.0.join(format!("events-{:020}.open.db", first.0))
    }

    /// The sealed segment that begins at `first`.
    pub(super) fn sealed(&self, first: Revision) -> PathBuf {
        self.0.join(format!("events-{:020}.db", first.0))
    }

    /// The snapshot of the table after `last`.
    pub(super) fn snapshot(&self, last: Revision) -> PathBuf {
        self.0.join(format!("snapshot-{:020}.db", last.0))
    }

    /// The manifest of the sealed segments.
    pub(super) fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    /// The temporary name of `target` until it is complete.
    pub(super) fn unfinished(target: &Path) -> PathBuf {
        let mut name = target.as_os_str().to_owned();
        name.push(".tmp");
        name.into()
    }

    /// Lists the files.
    pub(super) fn list(&self) -> io::Result<LayoutListing> {
        let mut listing = LayoutListing::default();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let position = |prefix: &str, suffix: &str| {
                let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
                digits.parse().ok().map(Revision)
            };
            if name.contains(".tmp") {
                listing.unfinished.push(entry.path());
            } else if let Some(first) = position("events-", ".open.db") {
                listing.open.insert(first);
            } else if let Some(first) = position("events-", ".db") {
                listing.sealed.insert(first);
            } else if let Some(last) = position("snapshot-", ".db") {
                listing.snapshots.insert(last);
            }
        }
        Ok(listing)
    }

    /// Removes files that an earlier process did not complete.
    pub(super) fn remove_unfinished(&self, listing: &LayoutListing) -> io::Result<()> {
        listing.unfinished.iter().try_for_each(|path| discard(path))?;
        // A sealed segment gets its name when it is complete, and its source is then obsolete.
        let superseded = listing.open.intersection(&listing.sealed);
        superseded.into_iter().try_for_each(|first| self.discard(&self.open(*first)))
    }

    /// Syncs all visible files: an earlier process may have been killed between a write and its
    /// sync, and published data must survive a power failure.
    pub(super) fn sync_existing(&self, listing: &LayoutListing) -> io::Result<()> {
        for first in &listing.open {
            let path = self.open(*first);
            for path in [companion(&path, COMPANIONS[0]), path] {
                match File::open(path).and_then(|file| file.sync_all()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        self.sync()
    }

    /// Renames the completed temporary file of `target`: the content is synced before the name.
    pub(super) fn finish(&self, target: &Path) -> io::Result<()> {
        let unfinished = Self::unfinished(target);
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, target)?;
        self.sync()
    }

    /// Syncs the names of the folder.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Removes a file and its SQLite companions.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        discard(path)?;
        COMPANIONS.iter().try_for_each(|suffix| discard(&companion(path, suffix)))?;
        self.sync()
    }

    /// Renames a damaged file and its SQLite companions, so that it is not read again, and returns
    /// its new name: `…db.damaged-1795300716697`.
    pub(super) fn set_aside(&self, path: &Path, now: Timestamp) -> io::Result<PathBuf> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".damaged-{}", now.millis()));
        let aside = PathBuf::from(aside);
        for suffix in COMPANIONS {
            match fs::rename(companion(path, suffix), companion(&aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, &aside)?;
        self.sync()?;
        Ok(aside)
    }
}

fn companion(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of a file without its folder, for messages.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
