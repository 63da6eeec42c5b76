//! The directory that everybody shares: the producers that read Active Directory write it, the
//! cache and those who answer read it.

#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rollcall_identity::directory::Directory;
use rollcall_identity::{Event, Name};

use crate::producers::active_directory::{ActiveDirectory, Status};

/// All that is known of users, devices and groups. Its locks are held for one question or one
/// page of changes, and never over a wait.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<RwLock<Directory>>);

impl Book {
    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Directory> {
        // A writer that panicked left what it had entered so far, and reads everything anew when
        // it is replaced.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To enter what was learnt.
    pub fn write(&self) -> RwLockWriteGuard<'_, Directory> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters into `events` who is meant and which groups they are in, as far as it is known.
    pub(crate) fn enter(&self, events: &mut [Event]) {
        let directory = self.read();
        if directory.domains().is_empty() {
            return;
        }
        for event in events {
            directory.enter(event);
        }
    }
}

/// The directories that are read, for those who ask how they are.
#[derive(Clone, Default)]
pub struct Directories(Arc<RwLock<BTreeMap<Name, Arc<ActiveDirectory>>>>);

impl Directories {
    /// Enters one that is read from now on, in the place of another of the name.
    pub fn put(&self, name: Name, directory: Arc<ActiveDirectory>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, directory);
    }

    /// Forgets one that is no longer read.
    pub fn remove(&self, name: &Name) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// How each of them is, in the order of their names.
    pub fn status(&self) -> Vec<(Name, Status)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, directory)| (name.clone(), directory.status())).collect()
    }
}
