//! An index from users and devices to their addresses.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::index::{Fingerprint, Fingerprinter};
use crate::{Address, Change, Name, Session};

/// A fingerprint of a name, and an address where the name may be.
pub(super) type IndexEntry = (Fingerprint, Address);

/// An index from the unqualified user name, and from the first label of the device's host name, to
/// addresses. It stores only fingerprints of the names, 24 bytes per entry, so every result must be
/// compared with the session.
#[derive(Debug, Default)]
pub struct AddressIndex {
    /// A tree rather than a table of lists: one account may have a hundred thousand sessions, and
    /// most have one.
    entries: BTreeSet<IndexEntry>,
    fingerprinter: Fingerprinter,
}

impl AddressIndex {
    /// Builds the index of all `sessions`, such as [`Table::sessions`](crate::Table::sessions).
    pub fn from_sessions<'a>(sessions: impl IntoIterator<Item = &'a Arc<Session>>) -> Self {
        let mut index = Self::default();
        let at = |session: &'a Arc<Session>| {
            let keys = index.keys(session).into_iter().flatten();
            keys.map(|fingerprint| (fingerprint, session.address))
        };
        // Bulk-building a tree is cheaper than inserting entries.
        index.entries = sessions.into_iter().flat_map(at).collect();
        index
    }

    /// Applies a change of the table. All changes must be applied, in order.
    pub fn apply(&mut self, change: &Change) {
        let keys = |session: &Option<Arc<Session>>| session.as_deref().map(|s| self.keys(s));
        let (before, after) = (keys(&change.before), keys(&change.after));
        if before == after {
            return;
        }
        for fingerprint in before.into_iter().flatten().flatten() {
            self.entries.remove(&(fingerprint, change.address));
        }
        if let Some(session) = &change.after {
            self.insert(session);
        }
    }

    /// The addresses where a user of this name may be, in any domain, in ascending order.
    pub fn user_addresses(&self, user: &Name) -> impl Iterator<Item = Address> {
        self.at(self.user_fingerprint(user))
    }

    /// The addresses where a device of this host name may be, qualified or not, in ascending order.
    pub fn device_addresses(&self, host: &Name) -> impl Iterator<Item = Address> {
        self.at(self.device_fingerprint(host))
    }

    /// The entries after `from`, in a stable order. An address with a user and a device has two.
    pub(super) fn after(&self, from: Option<IndexEntry>) -> impl Iterator<Item = IndexEntry> {
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((from, Bound::Unbounded)).copied()
    }

    /// The number of entries: one per user and one per device at an address.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the index is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn at(&self, fingerprint: Fingerprint) -> impl Iterator<Item = Address> {
        let first = Address::from(std::net::Ipv4Addr::UNSPECIFIED);
        let from = self.entries.range((fingerprint, first)..);
        from.take_while(move |(other, _)| *other == fingerprint).map(|(_, address)| *address)
    }

    fn insert(&mut self, session: &Session) {
        for fingerprint in self.keys(session).into_iter().flatten() {
            self.entries.insert((fingerprint, session.address));
        }
    }

    /// The index keys of a session.
    fn keys(&self, session: &Session) -> [Option<Fingerprint>; 2] {
        let user =
            session.principal.as_ref().map(|principal| self.user_fingerprint(&principal.user));
        [user, session.device.as_ref().map(|device| self.device_fingerprint(device))]
    }

    fn user_fingerprint(&self, user: &Name) -> Fingerprint {
        self.fingerprinter.fingerprint((0_u8, user.clone().folded().as_str()))
    }

    fn device_fingerprint(&self, host: &Name) -> Fingerprint {
        let host = host.clone().folded();
        let label = host.as_str().split('.').next().unwrap_or_default();
        self.fingerprinter.fingerprint((1_u8, label))
    }
}
