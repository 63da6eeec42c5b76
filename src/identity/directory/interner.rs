//! Equal sets of groups are one allocation, for as long as somebody uses it.

use std::sync::Arc;

use hashbrown::HashTable;

use super::index::{Fingerprint, Fingerprinter};
use super::{Group, GroupSet};

/// The sets in use.
#[derive(Debug)]
pub(super) struct Interner {
    sets: HashTable<GroupSet>,
    fingerprinter: Fingerprinter,
    /// How many were let go while others had them, since those that nobody uses were looked for: the
    /// last one may have been a session, which does not tell.
    stale: usize,
}

/// Fewer are never worth a look.
const FEW: usize = 256;

impl Default for Interner {
    fn default() -> Self {
        Self { sets: HashTable::new(), fingerprinter: Fingerprinter::default(), stale: 0 }
    }
}

impl Interner {
    /// The set of `groups`, which are taken out. Each group of the directory is one allocation, so they
    /// are told apart by where they are.
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
        let Self { sets, fingerprinter: printer, .. } = self;
        sets.insert_unique(fingerprint.spread(), set.clone(), |set| hash(printer, set));
        set
    }

    /// Makes room for `more` sets at once: what grows in between makes a fingerprint of each anew.
    pub(super) fn reserve(&mut self, more: usize) {
        let Self { sets, fingerprinter: printer, .. } = self;
        sets.reserve(more, |set| hash(printer, set));
    }

    /// Gives up one user's hold on a set; the last one's lets it go.
    pub(super) fn release(&mut self, set: &GroupSet) {
        // Its own hold and that in the table.
        if set.strong_count() > 2 {
            self.stale += 1;
            return;
        }
        let fingerprint = fingerprint(&self.fingerprinter, set.as_slice());
        if let Ok(entry) = self.sets.find_entry(fingerprint.spread(), |known| known.is_same(set)) {
            entry.remove();
        }
    }

    /// Drops what was let go by sessions, which do not tell.
    pub(super) fn sweep(&mut self) {
        self.sets.retain(|set| set.strong_count() > 1);
        self.stale = 0;
    }

    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.sets.len()
    }
}

fn hash(printer: &Fingerprinter, set: &GroupSet) -> u64 {
    fingerprint(printer, set.as_slice()).spread()
}

/// The fingerprint of a set. It is not kept: there may be as many sets as accounts.
fn fingerprint(printer: &Fingerprinter, set: &[Arc<Group>]) -> Fingerprint {
    let mut addresses = set.iter().map(|group| Arc::as_ptr(group).addr());
    printer.fingerprint(addresses.by_ref().collect::<Vec<_>>())
}

/// Whether both hold the very same groups.
fn is_same(one: &[Arc<Group>], other: &[Arc<Group>]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
}
