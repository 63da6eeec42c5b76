//! Interns group sets, so that equal sets share one allocation while they are in use.

use std::sync::Arc;

use hashbrown::HashTable;

use super::index::{Fingerprint, Fingerprinter};
use super::{Group, GroupSet};

/// The sets in use.
#[derive(Debug)]
pub(super) struct Interner {
    sets: HashTable<GroupSet>,
    fingerprinter: Fingerprinter,
    /// The number of releases of sets that were in use elsewhere since the last sweep. Sessions
    /// drop sets without notice, so such a set may be unused now.
    stale: usize,
}

/// Below this number, a sweep does not pay off.
const FEW: usize = 256;

impl Default for Interner {
    fn default() -> Self {
        Self { sets: HashTable::new(), fingerprinter: Fingerprinter::default(), stale: 0 }
    }
}

impl Interner {
    /// The interned set of `groups`, which are drained. Each group of the directory has one
    /// allocation, so groups are compared by pointer.
    pub(super) fn intern(&mut self, groups: &mut Vec<Arc<Group>>) -> GroupSet {
        GroupSet::sort(groups);
        let fingerprint = fingerprint(&self.fingerprinter, groups);
        let same = |known: &GroupSet| is_same(known.as_slice(), groups);
        if let Some(known) = self.sets.find(fingerprint.spread(), same) {
            groups.clear();
            return known.clone();
        }
        let set = GroupSet::from_sorted(groups);
        if self.stale >= FEW.max(self.sets.len() / 2) {
            self.sweep();
        }
        let Self { sets, fingerprinter, .. } = self;
        sets.insert_unique(fingerprint.spread(), set.clone(), |set| hash(fingerprinter, set));
        set
    }

    /// Reserves capacity for `more` sets, because growing rehashes every set.
    pub(super) fn reserve(&mut self, more: usize) {
        let Self { sets, fingerprinter, .. } = self;
        sets.reserve(more, |set| hash(fingerprinter, set));
    }

    /// Releases one reference to a set; the last one frees it.
    pub(super) fn release(&mut self, set: &GroupSet) {
        // One reference of the caller and one of the table.
        if set.strong_count() > 2 {
            self.stale += 1;
            return;
        }
        let fingerprint = fingerprint(&self.fingerprinter, set.as_slice());
        if let Ok(entry) = self.sets.find_entry(fingerprint.spread(), |known| known.is_same(set)) {
            entry.remove();
        }
    }

    /// Removes the sets that are no longer used by any session.
    pub(super) fn sweep(&mut self) {
        self.sets.retain(|set| set.strong_count() > 1);
        self.stale = 0;
    }

    /// The number of sets.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}

fn hash(fingerprinter: &Fingerprinter, set: &GroupSet) -> u64 {
    fingerprint(fingerprinter, set.as_slice()).spread()
}

/// The fingerprint of a set. It is not cached, because there may be as many sets as accounts.
fn fingerprint(fingerprinter: &Fingerprinter, set: &[Arc<Group>]) -> Fingerprint {
    let mut addresses = set.iter().map(|group| Arc::as_ptr(group).addr());
    fingerprinter.fingerprint(addresses.by_ref().collect::<Vec<_>>())
}

/// Whether both contain the identical groups.
fn is_same(one: &[Arc<Group>], other: &[Arc<Group>]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
}
