//! Which rows of the segment that is written are about an address or a user: a small map in memory,
//! in place of the indexes that only a sealed segment has.

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
    /// A finder that knows nothing yet of a segment that begins at `first`.
    pub(super) fn new(first: Revision) -> Self {
        let upto = first.0.saturating_sub(1);
        Self { first: first.0, upto, ..Self::default() }
    }

    /// Learns what was written since it was last asked.
    pub(super) fn catch_up(&mut self, sql: &Connection) -> Result<(), Corruption> {
        let asked = "SELECT revision, address, user FROM events WHERE revision > ?
            ORDER BY revision";
        let mut statement = sql.prepare_cached(asked)?;
        let mut rows = statement.query([self.upto.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let revision = row.get::<_, i64>(0)?.cast_unsigned();
            // A segment of 4 billion events is beyond what the configuration allows.
            let Ok(place) = u32::try_from(revision.saturating_sub(self.first)) else { break };
            if let Ok(address) = row.get_ref(1)?.as_bytes() {
                self.addresses.put(key(address), place);
            }
            if let Ok(user) = row.get_ref(2)?.as_bytes() {
                self.users.put(key(user), place);
            }
            self.upto = revision;
        }
        Ok(())
    }

    /// The rows that may be about `address`, ascending: a few may be about another, which the row
    /// itself tells.
    pub(super) fn at(&self, address: &str) -> Vec<Revision> {
        self.positions(&self.addresses, address)
    }

    /// The same about `user`.
    pub(super) fn of(&self, user: &str) -> Vec<Revision> {
        self.positions(&self.users, user)
    }

    fn positions(&self, runs: &Runs, text: &str) -> Vec<Revision> {
        let places = runs.find(key(text.as_bytes()));
        places.into_iter().map(|place| Revision(self.first + u64::from(place))).collect()
    }
}

/// Pairs of key and place in sorted runs, of which each is at least twice as long as the next:
/// adding costs a logarithm, asking a binary search in each, and nothing but the pairs is kept.
#[derive(Debug, Default)]
struct Runs {
    sorted: Vec<Vec<(u32, u32)>>,
    fresh: Vec<(u32, u32)>,
}

/// How many pairs wait until they are sorted in: so many are looked through one by one.
const FRESH: usize = 1024;

impl Runs {
    fn put(&mut self, key: u32, place: u32) {
        self.fresh.push((key, place));
        if self.fresh.len() < FRESH {
            return;
        }
        let mut run = std::mem::take(&mut self.fresh);
        while let Some(last) = self.sorted.pop_if(|last| last.len() <= 2 * run.len()) {
            run.extend(last);
        }
        run.sort_unstable();
        run.shrink_to_fit();
        self.sorted.push(run);
    }

    /// The places of a key, ascending.
    fn find(&self, key: u32) -> Vec<u32> {
        let of = |run: &Vec<(u32, u32)>| {
            let begin = run.partition_point(|(other, _)| *other < key);
            let same = run[begin..].iter().take_while(|(other, _)| *other == key);
            same.map(|(_, place)| *place).collect::<Vec<u32>>()
        };
        let mut places: Vec<u32> = self.sorted.iter().flat_map(of).collect();
        let fresh = self.fresh.iter().filter(|(other, _)| *other == key);
        places.extend(fresh.map(|(_, place)| *place));
        places.sort_unstable();
        places
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
        fn every_place_is_found_under_its_key_and_no_other(
            keys in prop::collection::vec(0..200_u32, 0..9000),
        ) {
            let (mut runs, mut model) = (Runs::default(), BTreeMap::<u32, Vec<u32>>::new());
            for (key, place) in keys.into_iter().zip(0..) {
                runs.put(key, place);
                model.entry(key).or_default().push(place);
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
