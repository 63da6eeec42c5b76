//! An index of the open segment by address and user, in memory, because only sealed segments have
//! indexes on disk.

use rollcall_identity::Revision;
use rusqlite::Connection;

use crate::corruption::Corruption;

/// Finds rows by address and by user. About 16 bytes an event.
#[derive(Debug, Default)]
pub(super) struct LiveIndex {
    first: u64,
    upto: u64,
    addresses: Runs,
    users: Runs,
}

impl LiveIndex {
    /// An empty index of a segment that begins at `first`.
    pub(super) fn new(first: Revision) -> Self {
        let upto = first.0.saturating_sub(1);
        Self { first: first.0, upto, ..Self::default() }
    }

    /// Adds the rows written since the last call.
    pub(super) fn catch_up(&mut self, sql: &Connection) -> Result<(), Corruption> {
        let select = "SELECT revision, address, user FROM events WHERE revision > ?
            ORDER BY revision";
        let mut statement = sql.prepare_cached(select)?;
        let mut rows = statement.query([self.upto.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let revision = row.get::<_, i64>(0)?.cast_unsigned();
            // The configuration does not allow a segment of 4 billion events.
            let Ok(offset) = u32::try_from(revision.saturating_sub(self.first)) else { break };
            if let Ok(address) = row.get_ref(1)?.as_bytes() {
                self.addresses.insert(key(address), offset);
            }
            if let Ok(user) = row.get_ref(2)?.as_bytes() {
                self.users.insert(key(user), offset);
            }
            self.upto = revision;
        }
        Ok(())
    }

    /// The rows that may concern `address`, ascending. Hash collisions are possible; the row itself
    /// decides.
    pub(super) fn by_address(&self, address: &str) -> Vec<Revision> {
        self.positions(&self.addresses, address)
    }

    /// The rows that may concern `user`, likewise.
    pub(super) fn by_user(&self, user: &str) -> Vec<Revision> {
        self.positions(&self.users, user)
    }

    fn positions(&self, runs: &Runs, text: &str) -> Vec<Revision> {
        let offsets = runs.find(key(text.as_bytes()));
        offsets.into_iter().map(|offset| Revision(self.first + u64::from(offset))).collect()
    }
}

/// Pairs of key and offset in sorted runs, of which each is more than twice as long as the next: an
/// insertion costs a logarithm, a lookup one binary search per run, and only the pairs are stored.
#[derive(Debug, Default)]
struct Runs {
    sorted: Vec<Vec<(u32, u32)>>,
    unsorted: Vec<(u32, u32)>,
}

/// The number of unsorted pairs, which are searched linearly.
const MAX_UNSORTED: usize = 1024;

impl Runs {
    fn insert(&mut self, key: u32, offset: u32) {
        self.unsorted.push((key, offset));
        if self.unsorted.len() < MAX_UNSORTED {
            return;
        }
        let mut run = std::mem::take(&mut self.unsorted);
        while let Some(last) = self.sorted.pop_if(|last| last.len() <= 2 * run.len()) {
            run.extend(last);
        }
        run.sort_unstable();
        run.shrink_to_fit();
        self.sorted.push(run);
    }

    /// The offsets of a key, ascending.
    fn find(&self, key: u32) -> Vec<u32> {
        let by_user = |run: &Vec<(u32, u32)>| {
            let begin = run.partition_point(|(other, _)| *other < key);
            let same = run[begin..].iter().take_while(|(other, _)| *other == key);
            same.map(|(_, offset)| *offset).collect::<Vec<u32>>()
        };
        let mut offsets: Vec<u32> = self.sorted.iter().flat_map(by_user).collect();
        let unsorted = self.unsorted.iter().filter(|(other, _)| *other == key);
        offsets.extend(unsorted.map(|(_, offset)| *offset));
        offsets.sort_unstable();
        offsets
    }
}

/// FNV-1a in 32 bits.
fn key(text: &[u8]) -> u32 {
    let add = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    text.iter().fold(0x811c_9dc5, add)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_offset_is_found_under_its_key_only(
            keys in prop::collection::vec(0..200_u32, 0..9000),
        ) {
            let (mut runs, mut model) = (Runs::default(), BTreeMap::<u32, Vec<u32>>::new());
            for (key, offset) in keys.into_iter().zip(0..) {
                runs.insert(key, offset);
                model.entry(key).or_default().push(offset);
            }
            for key in 0..200 {
                prop_assert_eq!(runs.find(key), model.remove(&key).unwrap_or_default());
            }
            for pair in runs.sorted.windows(2) {
                prop_assert!(pair[0].len() > 2 * pair[1].len());
            }
        }
    }
}
