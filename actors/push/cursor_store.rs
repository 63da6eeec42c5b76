//! What a push target is known to have, kept over restarts: written whole under another name, synced,
//! and renamed, readable by nobody else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rollcall_identity::Cursor;
use rollcall_identity::delivery::DeliveryScope;
use serde::{Deserialize, Serialize};

/// What the far side has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCursor {
    /// Up to where it knows.
    pub(crate) cursor: Cursor,
    /// What it was told of: with another filter it holds too much or too little.
    pub(crate) scope: String,
    /// What it was being told.
    #[serde(default)]
    pub(crate) hears: DeliveryScope,
}

/// Where that is kept.
pub trait CursorStore: Send + Sync {
    /// What was kept last; `None` when nothing ever was.
    ///
    /// # Errors
    /// When it cannot be read. What is not understood counts as nothing.
    fn load(&self) -> io::Result<Option<StoredCursor>>;

    /// Keeps it. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the disk does not take it; what was kept before is still there.
    fn keep(&self, acknowledged: &StoredCursor) -> io::Result<()>;
}

/// A file in the data folder.
#[derive(Debug, Clone)]
pub struct FileCursorStore(PathBuf);

impl FileCursorStore {
    /// The file of the target called `name`.
    pub fn new(data: &Path, name: &str) -> Self {
        Self(data.join("push").join(format!("{name}.position")))
    }
}

impl CursorStore for FileCursorStore {
    fn load(&self) -> io::Result<Option<StoredCursor>> {
        match fs::read(&self.0) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    fn keep(&self, acknowledged: &StoredCursor) -> io::Result<()> {
        let mut text = serde_json::to_vec(acknowledged)?;
        text.push(b'\n');
        replace(&self.0, &text)
    }
}

/// Puts `bytes` into the place of the file at `path`, whole or not at all, with mode 0600.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = path.with_extension("new");
    // One that a crash left half written is not ours to trust, nor its mode.
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name is on the disk only when the folder is (rename(2), fsync(2)).
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rollcall_identity::Revision;

    use super::*;

    fn at(revision: u64) -> StoredCursor {
        let (cursor, scope) = (Cursor::new(5, Revision(revision)), "all".to_owned());
        StoredCursor { cursor, scope, hears: DeliveryScope::FilteredWithRemovals }
    }

    #[test]
    fn what_is_kept_is_read_again_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileCursorStore::new(folder.path(), "edge");
        assert_eq!(store.load().unwrap(), None);
        for revision in [7, 8] {
            store.keep(&at(revision)).unwrap();
            assert_eq!(store.load().unwrap(), Some(at(revision)));
        }
        let mode = fs::metadata(&store.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(folder.path().join("push")).unwrap().count();
        assert_eq!(files, 1, "nothing is left over");
    }

    #[test]
    fn what_a_crash_left_half_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileCursorStore::new(folder.path(), "edge");
        store.keep(&at(7)).unwrap();
        let new = store.0.with_extension("new");
        fs::write(&new, "{\"cursor\":\"5.9").unwrap();
        assert_eq!(store.load().unwrap(), Some(at(7)));
        store.keep(&at(8)).unwrap();
        assert!(!new.exists());
        fs::write(&store.0, "{\"cursor\":").unwrap();
        assert_eq!(store.load().unwrap(), None, "then it is synchronised anew");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let store = FileCursorStore::new(&file, "edge");
        assert!(store.keep(&at(7)).is_err());
    }
}
