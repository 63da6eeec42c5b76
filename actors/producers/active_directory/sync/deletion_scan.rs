//! Deletions as an ordinary account can see them: by who is no longer there.
//!
//! Active Directory keeps deleted objects where only administrators look. Who may look there hears
//! of a deletion with the other changes; for everybody else the objects are counted through, as
//! seldom as their number demands, and only when something has changed.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use rollcall_identity::directory::{Guid, Update};
use rollcall_wire::active_directory as wire;

use super::super::DirectoryError;
use super::super::connection::LdapConnection;
use super::paged_search::{Below, PagedSearch, Present};
use rollcall_runtime::clock::Clock;

/// Counting through takes at most this part of the time.
const SHARE: u32 = 20;

/// Who is there, as far as is known.
pub(super) struct DeletionScan {
    present: HashSet<Guid>,
    /// What was below each base, when it was counted through.
    below: Vec<Below>,
    /// When it was counted through, and how long that took.
    last: (Instant, Duration),
    /// How far the server was when it was asked the last time.
    committed: u64,
    /// Whether anything changed since it was counted through.
    stale: bool,
    /// Below which base nothing was seen when it was counted last, though much was there.
    hidden: Option<String>,
}

impl DeletionScan {
    /// Everybody who was read, when deletions cannot be seen otherwise.
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
            // Hidden altogether.
            Ok(_) | Err(DirectoryError::Search { .. }) => {}
            Err(other) => return Err(other),
        }
        let (last, committed) = ((Clock::instant(), took), connection.root.committed);
        let (stale, hidden) = (false, None);
        Ok((!seen).then_some(Self { present, below, last, committed, stale, hidden }))
    }

    /// Notes what changed.
    pub(super) fn note(&mut self, updates: &[Update]) {
        for update in updates {
            match update {
                Update::Upsert { guid, .. } => drop(self.present.insert(*guid)),
                Update::Deleted(guid) => drop(self.present.remove(guid)),
                Update::MembersChanged { .. } => {}
            }
        }
    }

    /// Notes how far the server is: where that differs something changed, whatever it was. It stays
    /// so until it was counted through, whatever fails meanwhile.
    pub(super) fn reached(&mut self, committed: u64) {
        self.stale |= self.committed != committed;
        self.committed = committed;
    }

    /// Who is gone, or has moved, if it is time to count.
    ///
    /// # Errors
    /// When nothing is seen where there was much, until it is seen again: that says nothing of what
    /// changed elsewhere.
    pub(super) async fn gone(
        &mut self,
        connection: &mut LdapConnection,
        pass: &mut PagedSearch<'_>,
        (bases, interval): (&[String], Duration),
    ) -> Result<Vec<Update>, DirectoryError> {
        let (counted, took) = self.last;
        if self.stale && counted.elapsed() >= interval.max(took * SHARE) {
            let began = Clock::instant();
            let counted = self.count(connection, pass, bases).await;
            self.last = (Clock::instant(), began.elapsed());
            match counted {
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

    /// Counts everybody through, and asks for those who seem to be missing.
    async fn count(
        &mut self,
        connection: &mut LdapConnection,
        pass: &mut PagedSearch<'_>,
        bases: &[String],
    ) -> Result<Vec<Update>, DirectoryError> {
        let found = pass.census(connection).await?;
        pass.believe(connection, &found, (bases, &self.below)).await?;
        let Present { all: present, below, .. } = found;
        let missing: BTreeSet<Guid> = self.present.difference(&present).copied().collect();
        // Pages are no picture of one moment: who seems to be missing is asked for by name.
        let mut updates = pass.again(connection, missing.clone()).await?;
        let found: BTreeSet<Guid> = updates.iter().map(guid_of).collect();
        updates.extend(missing.difference(&found).map(|guid| Update::Deleted(*guid)));
        // Who came meanwhile is told by the next reading of the changes.
        self.note(&updates);
        (self.below, self.stale) = (below, false);
        Ok(updates)
    }
}

/// Which object an update speaks of.
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
    fn a_change_is_remembered_until_it_was_counted() {
        let last = (Clock::instant(), Duration::ZERO);
        let mut census = DeletionScan {
            present: HashSet::new(),
            below: Vec::new(),
            last,
            committed: 41,
            stale: false,
            hidden: None,
        };
        census.reached(41);
        assert!(!census.stale, "nothing has changed");
        census.reached(42);
        // What was read then broke off, and the next reading finds the server where it was.
        census.reached(42);
        assert!(census.stale);
    }
}
