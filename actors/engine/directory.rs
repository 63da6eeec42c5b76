//! The directory that everybody shares: the producers that read Active Directory write it, the
//! cache and those who answer read it.

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

/// All that is known of users, devices and groups. Its lock is held for one question or one slice of
/// what is entered, and never over a wait.
#[derive(Debug, Clone, Default)]
pub struct SharedDirectory(Arc<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    directory: RwLock<Directory>,
    /// Held by whoever enters something, from the first slice to the last.
    turn: Mutex<()>,
    /// Who is affected by what was entered in a domain, until the sessions say so.
    untold: Mutex<BTreeMap<Name, VecDeque<Arc<AffectedAccounts>>>>,
    /// Who is missed in a domain and may be in one that is not read yet, and since when.
    postponed: Mutex<BTreeMap<Name, (Instant, DeferredDeletions)>>,
}

/// How many objects, members and groups are looked at before whoever waits for the book has it: a
/// millisecond or two.
const SLICE: usize = 2048;

impl SharedDirectory {
    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.0.directory.read()
    }

    /// To enter something small at once.
    pub fn write(&self) -> RwLockWriteGuard<'_, Directory> {
        self.0.directory.write()
    }

    /// [`SharedDirectory::take_in_after`] nothing that was known before.
    ///
    /// # Errors
    /// The same.
    pub fn take_in(
        &self,
        domain: &Name,
        begin: impl FnOnce(&mut Directory) -> Result<Ingest, UnknownDomain>,
    ) -> Result<(), UnknownDomain> {
        self.take_in_after(&KnownMembers::default(), domain, begin)
    }

    /// Enters what `begin` begins to enter of the domain with this DNS name, slice by slice, and
    /// notes who is affected: [`SharedDirectory::untold`]. When all of it is entered for the first time, those
    /// are affected, too, who are in the `roster` of what was known before and are called otherwise
    /// or gone; those who may have moved to a domain that is not read yet only [later](Self::resume).
    /// It takes as long as there is much of it, so it is for a thread that may wait.
    ///
    /// # Errors
    /// When the domain is not known. Nothing is entered then.
    pub fn take_in_after(
        &self,
        roster: &KnownMembers,
        domain: &Name,
        begin: impl FnOnce(&mut Directory) -> Result<Ingest, UnknownDomain>,
    ) -> Result<(), UnknownDomain> {
        let _turn = self.0.turn.lock();
        let mut directory = self.write();
        let mut entering = begin(&mut directory)?;
        let mut affected = loop {
            match entering.step(&mut directory, SLICE) {
                ControlFlow::Continue(rest) => entering = rest,
                ControlFlow::Break(affected) => break affected,
            }
            RwLockWriteGuard::bump(&mut directory);
        };
        let directory = RwLockWriteGuard::downgrade(directory);
        affected.sort();
        if affected.first_read.is_some() {
            affected.prepend_missed(roster.changes_since(&directory, domain)?);
        }
        let postponed = DeferredDeletions::defer(&mut affected, &directory);
        drop(directory);
        if let Some(postponed) = postponed {
            self.0.postponed.lock().insert(domain.clone(), (Clock::instant(), postponed));
        }
        self.put_untold(domain, affected);
        Ok(())
    }

    fn put_untold(&self, domain: &Name, affected: AffectedAccounts) {
        if !affected.is_empty() {
            let mut untold = self.0.untold.lock();
            untold.entry(domain.clone()).or_default().push_back(Arc::new(affected));
        }
    }

    /// Those who are missed in a domain are to be told of when all other domains were read, or when
    /// they were waited for as long as `patience`.
    pub fn resume(&self, domain: &Name, patience: Duration) {
        let mut all = self.0.postponed.lock();
        let Some((since, _)) = all.get(domain) else { return };
        let directory = self.read();
        if (directory.is_complete() || since.elapsed() >= patience)
            && let Some((_, postponed)) = all.remove(domain)
        {
            self.put_untold(domain, postponed.into_affected(&directory));
        }
    }

    /// Whether somebody of a domain is still to be told of, now or later.
    pub fn owes(&self, domain: &Name) -> bool {
        self.0.postponed.lock().contains_key(domain) || self.0.untold.lock().contains_key(domain)
    }

    /// Forgets a domain, and whom it affected: what sessions say stays as it is.
    pub fn forget(&self, domain: &Name) {
        // One that never could be read has entered nothing.
        let _ = self.take_in(domain, |directory| directory.begin_forget(domain));
        self.0.untold.lock().remove(domain);
        self.0.postponed.lock().remove(domain);
    }

    /// Who was affected in a domain and is to be told next. It stays until it was
    /// [told](Self::told), whoever was to tell it.
    pub fn untold(&self, domain: &Name) -> Option<Arc<AffectedAccounts>> {
        self.0.untold.lock().get(domain)?.front().cloned()
    }

    /// The sessions say what was to be told next.
    pub fn told(&self, domain: &Name) {
        let mut untold = self.0.untold.lock();
        if let Some(queue) = untold.get_mut(domain) {
            queue.pop_front();
            if queue.is_empty() {
                untold.remove(domain);
            }
        }
    }

    /// Enters into `events` who is meant and which groups they are in, as far as it is known.
    pub fn enter(&self, events: &mut [Event]) {
        let directory = self.read();
        if directory.domains().is_empty() {
            return;
        }
        for event in events {
            directory.enrich(event);
        }
    }
}
