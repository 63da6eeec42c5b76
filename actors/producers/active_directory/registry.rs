//! All directories that are read, with their status.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rollcall_identity::Name;

use super::{ActiveDirectory, DirectoryStatus};

/// The directories that are read.
#[derive(Clone, Default)]
pub struct Directories(Arc<RwLock<BTreeMap<Name, Arc<ActiveDirectory>>>>);

impl Directories {
    /// Adds a directory, or replaces the one of the same name.
    pub fn put(&self, name: Name, directory: Arc<ActiveDirectory>) {
        self.0.write().insert(name, directory);
    }

    /// Removes a directory.
    pub fn remove(&self, name: &Name) {
        self.0.write().remove(name);
    }

    /// The status of each directory, in the order of their names.
    pub fn status(&self) -> Vec<(Name, DirectoryStatus)> {
        let all = self.0.read();
        all.iter().map(|(name, directory)| (name.clone(), directory.status())).collect()
    }
}
