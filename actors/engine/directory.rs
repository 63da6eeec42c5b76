//! The shared directory of users, devices and groups. Producers that read Active Directory write it; the
//! cache, REST and the validator read it.

#[cfg(any(test, feature = "test-support"))]
pub mod sample;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rollcall_identity::directory::{
    AffectedAccounts, DeferredDeletions, Directory, Ingest, KnownMembers, UnknownDomain,
};
use rollcall_identity::{Event, Name};

use rollcall_runtime::clock::Clock;

/// The shared directory. Its lock is held for one query or one slice of an update, and never across an
/// await.
#[derive(Debug, Clone, Default)]
pub struct SharedDirectory(Arc<State>);

#[derive(Debug, Default)]
struct State {
    directory: RwLock<Directory>,
    /// Held by a writer from the first slice of an update to the last.
    writer: Mutex<()>,
    /// The accounts affected by updates of a domain, until the sessions are updated.
    pending: Mutex<BTreeMap<Name, VecDeque<Arc<AffectedAccounts>>>>,
    /// Accounts that are missing in a domain and may be in one that is not read yet, and since when.
    deferred: Mutex<BTreeMap<Name, (Instant, DeferredDeletions)>>,
}

/// The number of objects, members and groups that one slice processes before waiting readers get the
/// lock: one to two milliseconds.
const SLICE: usize = 2048;

impl SharedDirectory {
    /// Locks it for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.0.directory.read()
    }

    /// Locks it for a small update.
    pub fn write(&self) -> RwLockWriteGuard<'_, Directory> {
        self.0.directory.write()
    }

    /// [`SharedDirectory::ingest_after`] without known members.
    ///
    /// # Errors
    /// When the domain is not known.
    pub fn ingest(
        &self,
        domain: &Name,
        begin: impl FnOnce(&mut Directory) -> Result<Ingest, UnknownDomain>,
    ) -> Result<(), UnknownDomain> {
        self.ingest_after(&KnownMembers::default(), domain, begin)
    }

    /// Runs the update that `begin` starts for the domain with this DNS name, slice by slice, and queues
    /// the affected accounts ([`SharedDirectory::pending`]). After the first complete read, accounts of
    /// `known` that were renamed or deleted meanwhile are affected too; those that may have moved to a
    /// domain that is not read yet follow [later](Self::release_deferred). The duration grows with the
    /// size of the update: call it on a thread that may block.
    ///
    /// # Errors
    /// When the domain is not known. Nothing is changed then.
    pub fn ingest_after(
        &self,
        known: &KnownMembers,
        domain: &Name,
        begin: impl FnOnce(&mut Directory) -> Result<Ingest, UnknownDomain>,
    ) -> Result<(), UnknownDomain> {
        let _writer = self.0.writer.lock();
        let mut directory = self.write();
        let mut ingest = begin(&mut directory)?;
        let mut affected = loop {
            match ingest.step(&mut directory, SLICE) {
                ControlFlow::Continue(rest) => ingest = rest,
                ControlFlow::Break(affected) => break affected,
            }
            RwLockWriteGuard::bump(&mut directory);
        };
        let directory = RwLockWriteGuard::downgrade(directory);
        affected.sort();
        if affected.first_read.is_some() {
            affected.prepend_missed(known.changes_since(&directory, domain)?);
        }
        let deferred = DeferredDeletions::defer(&mut affected, &directory);
        drop(directory);
        if let Some(deferred) = deferred {
            self.0.deferred.lock().insert(domain.clone(), (Clock::instant(), deferred));
        }
        self.queue(domain, affected);
        Ok(())
    }

    fn queue(&self, domain: &Name, affected: AffectedAccounts) {
        if !affected.is_empty() {
            let mut pending = self.0.pending.lock();
            pending.entry(domain.clone()).or_default().push_back(Arc::new(affected));
        }
    }

    /// Queues the deferred accounts of a domain, once all other domains are read or `timeout` has passed.
    pub fn release_deferred(&self, domain: &Name, timeout: Duration) {
        let mut all = self.0.deferred.lock();
        let Some((since, _)) = all.get(domain) else { return };
        let directory = self.read();
        if (directory.is_complete() || since.elapsed() >= timeout)
            && let Some((_, deferred)) = all.remove(domain)
        {
            self.queue(domain, deferred.into_affected(&directory));
        }
    }

    /// Whether accounts of a domain are pending or deferred.
    pub fn has_pending(&self, domain: &Name) -> bool {
        self.0.deferred.lock().contains_key(domain) || self.0.pending.lock().contains_key(domain)
    }

    /// Removes a domain and its pending accounts. Sessions stay as they are.
    pub fn remove(&self, domain: &Name) {
        // A domain that could never be read has no objects.
        let _ = self.ingest(domain, |directory| directory.begin_forget(domain));
        self.0.pending.lock().remove(domain);
        self.0.deferred.lock().remove(domain);
    }

    /// The next affected accounts of a domain. They stay queued until [`SharedDirectory::acknowledge`].
    pub fn pending(&self, domain: &Name) -> Option<Arc<AffectedAccounts>> {
        self.0.pending.lock().get(domain)?.front().cloned()
    }

    /// The sessions of the next affected accounts are updated.
    pub fn acknowledge(&self, domain: &Name) {
        let mut pending = self.0.pending.lock();
        if let Some(queue) = pending.get_mut(domain) {
            queue.pop_front();
            if queue.is_empty() {
                pending.remove(domain);
            }
        }
    }

    /// Adds principals and groups to `events`, as far as the directory knows them.
    pub fn enrich(&self, events: &mut [Event]) {
        let directory = self.read();
        if directory.domains().is_empty() {
            return;
        }
        for event in events {
            directory.enrich(event);
        }
    }
}
