//! The journal's folder: what lies there under which name, and how a file gets its name.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use rollcall_identity::{Revision, Timestamp};

/// The folder. Names hold the position of the first event (segments) or of the last (snapshots) in
/// 20 digits, so that they sort.
#[derive(Debug, Clone)]
pub(super) struct JournalLayout(PathBuf);

/// What lies there.
#[derive(Debug, Default)]
pub(super) struct LayoutListing {
    /// Segments that are written, or were until they are sealed.
    pub(super) open: BTreeSet<Revision>,
    /// Segments that never change any more.
    pub(super) sealed: BTreeSet<Revision>,
    /// Snapshots.
    pub(super) snapshots: BTreeSet<Revision>,
    /// What was not finished.
    unfinished: Vec<PathBuf>,
}

/// What SQLite keeps beside a file that is written.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

impl JournalLayout {
    /// The folder at `path`, made when it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The folder at `path`, as it is.
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Keeps every other process out until the lock is dropped. Readers do not ask.
    pub(super) fn lock(&self) -> io::Result<Flock<File>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600);
        let file = file.open(self.0.join("lock"))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
            nix::errno::Errno::EWOULDBLOCK => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process writes there")
            }
            error => error.into(),
        })
    }

    /// The segment that begins at `first`, while it is written.
    pub(super) fn open(&self, first: Revision) -> PathBuf {
        self.0.join(format!("events-{:020}.open.db", first.0))
    }

    /// The same when it is sealed.
    pub(super) fn sealed(&self, first: Revision) -> PathBuf {
        self.0.join(format!("events-{:020}.db", first.0))
    }

    /// The snapshot of the table after `last`.
    pub(super) fn snapshot(&self, last: Revision) -> PathBuf {
        self.0.join(format!("snapshot-{:020}.db", last.0))
    }

    /// The list of the sealed segments.
    pub(super) fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }

    /// Where `target` is made before it has its name.
    pub(super) fn unfinished(target: &Path) -> PathBuf {
        let mut name = target.as_os_str().to_owned();
        name.push(".tmp");
        name.into()
    }

    /// What lies there.
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

    /// Throws away what an earlier process did not finish.
    pub(super) fn sweep(&self, listing: &LayoutListing) -> io::Result<()> {
        listing.unfinished.iter().try_for_each(|path| discard(path))?;
        // A segment gets its sealed name when it is whole: what it was made from has had its time.
        let both = listing.open.intersection(&listing.sealed);
        both.into_iter().try_for_each(|first| self.discard(&self.open(*first)))
    }

    /// Makes safe what can be seen: an earlier process may have been killed between writing and
    /// synchronising, and what is shown from now on must survive the power, too.
    pub(super) fn settle(&self, listing: &LayoutListing) -> io::Result<()> {
        for first in &listing.open {
            let path = self.open(*first);
            for path in [beside(&path, COMPANIONS[0]), path] {
                match File::open(path).and_then(|file| file.sync_all()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        self.sync()
    }

    /// Gives the whole file that was made as `unfinished` its name: first the bytes are on the
    /// disk, then the name.
    pub(super) fn finish(&self, target: &Path) -> io::Result<()> {
        let unfinished = Self::unfinished(target);
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, target)?;
        self.sync()
    }

    /// Waits until the names are on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Removes a file and what SQLite keeps beside it.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        discard(path)?;
        COMPANIONS.iter().try_for_each(|suffix| discard(&beside(path, suffix)))?;
        self.sync()
    }

    /// Puts a damaged file where it is not read any more, with what SQLite keeps beside it, and
    /// returns its new name: `…db.damaged-1795300716697`.
    pub(super) fn set_aside(&self, path: &Path, now: Timestamp) -> io::Result<PathBuf> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".damaged-{}", now.millis()));
        let aside = PathBuf::from(aside);
        for suffix in COMPANIONS {
            match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, &aside)?;
        self.sync()?;
        Ok(aside)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
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

/// The name of a file without its folder, for people.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
