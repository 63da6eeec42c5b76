//! Finding objects by their names and identifiers without keeping those a second time.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::node_id::NodeId;

/// The fingerprint of a key. Equal keys have equal ones; whether a key is really equal is for the
/// caller to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint(u32);

/// Makes fingerprints, with a seed of its own.
#[derive(Debug, Default)]
pub(super) struct Fingerprinter(DefaultHashBuilder);

impl Fingerprinter {
    /// The fingerprint of `key`.
    pub(super) fn fingerprint(&self, key: impl Hash) -> Fingerprint {
        let hash = self.0.hash_one(key);
        Fingerprint((hash >> 32) as u32 ^ hash as u32)
    }
}

impl Fingerprint {
    /// The fingerprint, spread over the 64 bits that a hash table looks at (Fibonacci hashing).
    pub(super) fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// From fingerprints to nodes: eight bytes an entry. A key may be there several times.
#[derive(Debug, Default)]
pub(super) struct Index(HashTable<(Fingerprint, NodeId)>);

impl Index {
    /// Enters a node.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, id: NodeId) {
        self.0.insert_unique(fingerprint.spread(), (fingerprint, id), |(fingerprint, _)| {
            fingerprint.spread()
        });
    }

    /// Makes room for `more` entries at once: tables that grow together would make everybody wait.
    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more, |(fingerprint, _)| fingerprint.spread());
    }

    /// Takes a node out, when it is there.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint, id: NodeId) {
        if let Ok(entry) =
            self.0.find_entry(fingerprint.spread(), |entry| *entry == (fingerprint, id))
        {
            entry.remove();
        }
    }

    /// The nodes that may have the key.
    pub(super) fn candidates(&self, fingerprint: Fingerprint) -> impl Iterator<Item = NodeId> {
        let same =
            self.0.iter_hash(fingerprint.spread()).filter(move |(other, _)| *other == fingerprint);
        same.map(|(_, id)| *id)
    }
}
