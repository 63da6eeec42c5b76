//! Hashing of lists of texts.

use sha2::{Digest, Sha256};

/// Adds a list to `hash`. Each length precedes its text, so that different lists never give the same
/// bytes.
pub(super) fn hash_list(hash: &mut Sha256, list: Vec<String>) {
    hash.update((list.len() as u64).to_be_bytes());
    for item in list {
        hash.update((item.len() as u64).to_be_bytes());
        hash.update(item);
    }
}
