//! Exporting the table to a snapshot, and restoring it from a snapshot of a table or a change log.

use std::hint::black_box;
use std::sync::Arc;

use super::memory::{AddressMemory, RetentionEntry, RetentionQueue};
use super::{Entry, PREFETCH_BATCH, Table};
use crate::{ActiveSession, Address, RetainedRecord, Revision, TableSnapshot};

impl Table {
    /// The state that a table or a change log needs to continue after the position `newest`, the
    /// last one applied.
    pub fn snapshot(&self, newest: Revision) -> TableSnapshot {
        let (forgotten, room) = (self.forgotten, self.entries.len());
        let sessions = Vec::with_capacity(room);
        let mut snapshot =
            TableSnapshot { newest, forgotten, sessions, ..TableSnapshot::default() };
        let (mut entries, mut next) = (self.entries.iter(), Vec::with_capacity(PREFETCH_BATCH));
        loop {
            next.extend(entries.by_ref().take(PREFETCH_BATCH));
            if next.is_empty() {
                break;
            }
            prefetch(&next);
            for (address, entry) in next.drain(..) {
                add_entry(*address, entry, &mut snapshot);
            }
        }
        snapshot.ends.sort_unstable_by_key(|ended| ended.revision);
        snapshot.competed = self.records(&self.competed);
        snapshot.competed_without_session = self.records(&self.competed_without_session);
        snapshot
    }

    /// Restores a table. From a table's snapshot it decides and explains as that table would; a
    /// change log's snapshot has no competing events.
    pub fn restore(snapshot: TableSnapshot) -> Self {
        let TableSnapshot {
            forgotten,
            sessions,
            mut ends,
            memories,
            competed,
            competed_without_session,
            ..
        } = snapshot;
        let mut table = Self { forgotten, ..Self::default() };
        table.entries.reserve(sessions.len() + ends.len());
        for ActiveSession { session, published, previous } in sessions {
            ends.extend(previous);
            table.store(session, published);
        }
        ends.sort_unstable_by_key(|ended| ended.revision);
        for ended in ends {
            table.remember_end(ended);
        }
        for RetainedRecord { address, first, received: noted, record } in competed {
            table.memory_of(address).restore_record(first, record);
            table.competed.push(RetentionEntry { address, revision: first, seen: noted });
        }
        for RetainedRecord { address, first, received: noted, record } in competed_without_session {
            table.memory_of(address).restore_record(first, record);
            table.competed_without_session.push(RetentionEntry {
                address,
                revision: first,
                seen: noted,
            });
        }
        for memory in memories {
            table.memory_of(memory.address).restore(memory);
        }
        table
    }

    /// The records that the entries of `queue` refer to, as far as they still exist.
    fn records(&self, queue: &RetentionQueue) -> Vec<RetainedRecord> {
        let retained = |entry: &RetentionEntry| {
            let &RetentionEntry { address, revision, seen } = entry;
            let record = self.entries.get(&address)?.memory.as_ref()?.record(revision)?.clone();
            Some(RetainedRecord { address, first: revision, received: seen, record })
        };
        queue.entries().filter_map(retained).collect()
    }

    fn memory_of(&mut self, address: Address) -> &mut AddressMemory {
        self.entries.entry(address).or_default().memory.get_or_insert_default()
    }
}

/// Loads these sessions into the CPU cache. They are scattered: here many loads run in parallel,
/// while each reference count increment waits for its own. This takes half of the time during which
/// no event is decided.
fn prefetch(next: &[(&Address, &Entry)]) {
    let sessions = next.iter().filter_map(|(_, entry)| entry.session.as_ref());
    black_box(sessions.map(Arc::strong_count).sum::<usize>());
}

/// Adds the state of one address.
fn add_entry(address: Address, entry: &Entry, snapshot: &mut TableSnapshot) {
    let ended = entry.memory.as_ref().and_then(|past| past.ended.clone());
    match (&entry.session, ended) {
        (Some(session), previous) => {
            let (session, published) = (session.clone(), entry.published);
            snapshot.sessions.push(ActiveSession { session, published, previous });
        }
        (None, Some(ended)) => snapshot.ends.push(ended),
        (None, None) => {}
    }
    snapshot.memories.extend(entry.memory.as_ref().and_then(|past| past.snapshot(address)));
}
