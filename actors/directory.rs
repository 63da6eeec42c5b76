//! The directory that everybody shares: the producers that read Active Directory write it, the
//! cache and those who answer read it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rollcall_identity::Event;
use rollcall_identity::directory::Directory;

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
