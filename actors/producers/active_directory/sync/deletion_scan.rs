//! Detects deletions for accounts that cannot read deleted objects.
//!
//! Active Directory keeps deleted objects in a container that only administrators can read. An
//! account that can read it receives deletions with the other changes. For other accounts all
//! object GUIDs are listed and compared. The scan runs only after changes, and its rate depends on
//! its duration.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rollcall_identity::directory::{Guid, Update};
use rollcall_wire::active_directory as wire;

use super::super::DirectoryError;
use super::super::connection::LdapConnection;
use super::paged_search::{Below, PagedSearch, Present};
use rollcall_runtime::clock::Clock;

/// Scans take at most one in `SHARE` parts of the time.
const SHARE: u32 = 20;

/// The objects that are known to exist.
pub(super) struct DeletionScan {
    present: HashSet<Guid>,
    /// The objects below each base at the last scan.
    below: Vec<Below>,
    /// The end and the duration of the last scan.
    last: (Instant, Duration),
    /// The highest update sequence number that the server last reported.
    committed: u64,
    /// Whether anything changed since the last scan.
    stale: bool,
    /// The base below which the last scan found nothing although many objects were there before.
    hidden: Option<String>,
}

impl DeletionScan {
    /// A scan over the objects that were read; `None` when the account can read deleted objects.
    pub(super) async fn begin(
        connection: &mut LdapConnection,
        Present { all: present, below, .. }: Present,
        took: Duration,
    ) -> Result<Option<Self>, DirectoryError> {
        let mut seen = false;
        let asked = wire::deleted_objects(&connection.root.domain);
        let control = [wire::show_deleted()];
        let looked = connection.search(&asked, &control, |entry| {
            seen |= entry.values("objectClass").next().is_some();
            Ok(())
        });
        match looked.await {
            // The container itself is hidden.
            Ok(_) | Err(DirectoryError::Search { .. }) => {}
            Err(other) => return Err(other),
        }
        let (last, committed) = ((Clock::instant(), took), connection.root.committed);
        let (stale, hidden) = (false, None);
        Ok((!seen).then_some(Self { present, below, last, committed, stale, hidden }))
    }

    /// Applies changes to the known objects.
    pub(super) fn note(&mut self, updates: &[Update]) {
        for update in updates {
            match update {
                Update::Upsert { guid, .. } => drop(self.present.insert(*guid)),
                Update::Deleted(guid) => drop(self.present.remove(guid)),
                Update::MembersChanged { .. } => {}
            }
        }
    }

    /// Notes the highest update sequence number of the server. A different number means that
    /// something changed. The scan stays stale until it succeeds, even if reads fail meanwhile.
    pub(super) fn note_committed_usn(&mut self, committed: u64) {
        self.stale |= self.committed != committed;
        self.committed = committed;
    }

    /// Scans if a scan is due. Returns updates for objects that are deleted or moved.
    ///
    /// # Errors
    /// `Nothing` when a base appears empty although many objects were there, until they are visible
    /// again. The other changes of the directory are not affected by this error.
    pub(super) async fn scan_if_due(
        &mut self,
        connection: &mut LdapConnection,
        pass: &mut PagedSearch<'_>,
        (bases, interval): (&[String], Duration),
    ) -> Result<Vec<Update>, DirectoryError> {
        let (ended, took) = self.last;
        if self.stale && ended.elapsed() >= interval.max(took * SHARE) {
            let began = Clock::instant();
            let scanned = self.scan(connection, pass, bases).await;
            self.last = (Clock::instant(), began.elapsed());
            match scanned {
                Err(DirectoryError::Nothing(base)) => self.hidden = Some(base),
                Err(other) => return Err(other),
                Ok(gone) => {
                    self.hidden = None;
                    return Ok(gone);
                }
            }
        }
        self.hidden.clone().map_or(Ok(Vec::new()), |base| Err(DirectoryError::Nothing(base)))
    }

    /// Lists all objects and reads those that seem to be missing.
    async fn scan(
        &mut self,
        connection: &mut LdapConnection,
        pass: &mut PagedSearch<'_>,
        bases: &[String],
    ) -> Result<Vec<Update>, DirectoryError> {
        let found = pass.list_objects(connection).await?;
        pass.verify_absences(connection, &found, (bases, &self.below)).await?;
        let Present { all: present, below, .. } = found;
        let missing: BTreeSet<Guid> = self.present.difference(&present).copied().collect();
        // Pages are not a consistent snapshot: each object that seems to be missing is read by its
        // GUID.
        let mut updates = pass.read_objects(connection, missing.clone()).await?;
        let found: BTreeSet<Guid> = updates.iter().map(guid_of).collect();
        updates.extend(missing.difference(&found).map(|guid| Update::Deleted(*guid)));
        // Objects that were added meanwhile are in the next read of changes.
        self.note(&updates);
        (self.below, self.stale) = (below, false);
        Ok(updates)
    }
}

/// The object of an update.
fn guid_of(update: &Update) -> Guid {
    match update {
        Update::Upsert { guid, .. } | Update::Deleted(guid) => *guid,
        Update::MembersChanged { group, .. } => *group,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_stays_pending_until_the_next_scan() {
        let last = (Clock::instant(), Duration::ZERO);
        let mut scan = DeletionScan {
            present: HashSet::new(),
            below: Vec::new(),
            last,
            committed: 41,
            stale: false,
            hidden: None,
        };
        scan.note_committed_usn(41);
        assert!(!scan.stale, "nothing has changed");
        scan.note_committed_usn(42);
        // The read failed, and the next one finds the same number.
        scan.note_committed_usn(42);
        assert!(scan.stale);
    }
}
