//! The acknowledged position of a push target, stored across restarts. The file is written under
//! another name, synced and renamed. Its mode is 0600.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rollcall_identity::Cursor;
use rollcall_identity::delivery::DeliveryScope;
use serde::{Deserialize, Serialize};

/// The position that a target has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCursor {
    /// The target has everything up to here.
    pub(crate) cursor: Cursor,
    /// The settings that determine its content. With others it holds too many or too few sessions.
    #[serde(alias = "scope")]
    pub(crate) content_settings: String,
    /// Which changes it received.
    #[serde(alias = "hears", default)]
    pub(crate) delivery_scope: DeliveryScope,
}

/// Stores the position of one target.
pub trait CursorStore: Send + Sync {
    /// The stored position; `None` if there is none, or if it cannot be parsed.
    ///
    /// # Errors
    /// The file cannot be read.
    fn load(&self) -> io::Result<Option<StoredCursor>>;

    /// Stores a position. It is on disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written. The previous position is unchanged.
    fn store(&self, position: &StoredCursor) -> io::Result<()>;
}

/// A file in the data directory.
#[derive(Debug, Clone)]
pub struct FileCursorStore(PathBuf);

impl FileCursorStore {
    /// The file of the target `name`.
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

    fn store(&self, position: &StoredCursor) -> io::Result<()> {
        let mut text = serde_json::to_vec(position)?;
        text.push(b'\n');
        replace(&self.0, &text)
    }
}

/// Replaces the file at `path` atomically, with mode 0600.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let new = path.with_extension("new");
    // A crash may have left an incomplete file, or one with another mode.
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The new name is durable only after the folder is synced (rename(2), fsync(2)).
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rollcall_identity::Revision;

    use super::*;

    fn at(revision: u64) -> StoredCursor {
        let (cursor, content_settings) = (Cursor::new(5, Revision(revision)), "all".to_owned());
        let delivery_scope = DeliveryScope::FilteredWithRemovals;
        StoredCursor { cursor, content_settings, delivery_scope }
    }

    #[test]
    fn a_stored_position_is_loaded_again_and_has_mode_0600() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileCursorStore::new(folder.path(), "edge");
        assert_eq!(store.load().unwrap(), None);
        for revision in [7, 8] {
            store.store(&at(revision)).unwrap();
            assert_eq!(store.load().unwrap(), Some(at(revision)));
        }
        let mode = fs::metadata(&store.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(folder.path().join("push")).unwrap().count();
        assert_eq!(files, 1, "no temporary file remains");
    }

    #[test]
    fn an_incomplete_file_of_a_crash_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileCursorStore::new(folder.path(), "edge");
        store.store(&at(7)).unwrap();
        let new = store.0.with_extension("new");
        fs::write(&new, "{\"cursor\":\"5.9").unwrap();
        assert_eq!(store.load().unwrap(), Some(at(7)));
        store.store(&at(8)).unwrap();
        assert!(!new.exists());
        fs::write(&store.0, "{\"cursor\":").unwrap();
        assert_eq!(store.load().unwrap(), None, "a full resync follows");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let store = FileCursorStore::new(&file, "edge");
        assert!(store.store(&at(7)).is_err());
    }
}
