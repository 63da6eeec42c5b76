//! The directories that are being read, with the status of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rollcall_identity::Name;

use super::{ActiveDirectory, DirectoryStatus};

/// The directories that are read, for those who ask how they are.
#[derive(Clone, Default)]
pub struct Directories(Arc<RwLock<BTreeMap<Name, Arc<ActiveDirectory>>>>);

impl Directories {
    /// Enters one that is read from now on, in the place of another of the name.
    pub fn put(&self, name: Name, directory: Arc<ActiveDirectory>) {
        self.0.write().insert(name, directory);
    }

    /// Forgets one that is no longer read.
    pub fn remove(&self, name: &Name) {
        self.0.write().remove(name);
    }

    /// How each of them is, in the order of their names.
    pub fn status(&self) -> Vec<(Name, DirectoryStatus)> {
        let all = self.0.read();
        all.iter().map(|(name, directory)| (name.clone(), directory.status())).collect()
    }
}
