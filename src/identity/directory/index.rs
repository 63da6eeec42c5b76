//! Indexes of objects by name and identifier that do not store the keys.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::node_id::NodeId;

/// A fingerprint of a key. Equal keys have equal fingerprints; the caller compares the keys
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint(u32);

/// Computes fingerprints with a random seed.
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
    /// The fingerprint, spread over the 64 bits that a hash table uses (Fibonacci hashing).
    pub(super) fn spread(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A multimap from fingerprints to nodes, eight bytes per entry.
#[derive(Debug, Default)]
pub(super) struct Index(HashTable<(Fingerprint, NodeId)>);

impl Index {
    /// Inserts a node.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, id: NodeId) {
        self.0.insert_unique(fingerprint.spread(), (fingerprint, id), |(fingerprint, _)| {
            fingerprint.spread()
        });
    }

    /// Reserves capacity for `more` entries, because growing several tables together delays
    /// lookups.
    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more, |(fingerprint, _)| fingerprint.spread());
    }

    /// Removes a node, if present.
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
