//! The table gives away what it knows, and is made anew from that, or from what the log of changes
//! knows.

use std::hint::black_box;
use std::sync::Arc;

use super::memory::{AddressMemory, RetentionEntry, RetentionQueue};
use super::{AHEAD, Entry, Table};
use crate::{ActiveSession, Address, RetainedRecord, Revision, TableSnapshot};

impl Table {
    /// Everything that a table or a log needs to go on after the position `newest`, which is the
    /// last one folded.
    pub fn hand_over(&self, newest: Revision) -> TableSnapshot {
        let (forgotten, room) = (self.forgotten, self.entries.len());
        let standing = Vec::with_capacity(room);
        let mut handover =
            TableSnapshot { newest, forgotten, standing, ..TableSnapshot::default() };
        let (mut entries, mut next) = (self.entries.iter(), Vec::with_capacity(AHEAD));
        loop {
            next.extend(entries.by_ref().take(AHEAD));
            if next.is_empty() {
                break;
            }
            look_ahead(&next);
            for (address, entry) in next.drain(..) {
                tell(*address, entry, &mut handover);
            }
        }
        handover.ends.sort_unstable_by_key(|ended| ended.revision);
        handover.competed = self.records(&self.competed);
        handover.strangers = self.records(&self.strangers);
        handover
    }

    /// A table that goes on with what another table or a log knew. After a table it decides and
    /// explains as that one would have; a log has forgotten what competed.
    pub fn restore(handover: TableSnapshot) -> Self {
        let TableSnapshot { forgotten, standing, mut ends, memories, competed, strangers, .. } =
            handover;
        let mut table = Self { forgotten, ..Self::default() };
        table.entries.reserve(standing.len() + ends.len());
        for ActiveSession { session, told, was } in standing {
            ends.extend(was);
            table.put(session, told);
        }
        ends.sort_unstable_by_key(|ended| ended.revision);
        for ended in ends {
            table.remember_end(ended);
        }
        for RetainedRecord { address, first, noted, record } in competed {
            table.past_of(address).recall(first, record);
            table.competed.push(RetentionEntry { address, revision: first, seen: noted });
        }
        for RetainedRecord { address, first, noted, record } in strangers {
            table.past_of(address).recall(first, record);
            table.strangers.push(RetentionEntry { address, revision: first, seen: noted });
        }
        for memory in memories {
            table.past_of(memory.address).remind(memory);
        }
        table
    }

    /// What the tickets of `ring` stand for, as far as it is still there.
    fn records(&self, ring: &RetentionQueue) -> Vec<RetainedRecord> {
        let kept = |ticket: &RetentionEntry| {
            let &RetentionEntry { address, revision, seen } = ticket;
            let record = self.entries.get(&address)?.past.as_ref()?.record(revision)?.clone();
            Some(RetainedRecord { address, first: revision, noted: seen, record })
        };
        ring.tickets().filter_map(kept).collect()
    }

    fn past_of(&mut self, address: Address) -> &mut AddressMemory {
        self.entries.entry(address).or_default().past.get_or_insert_default()
    }
}

/// Has the memory of these sessions in the processor's cache: they lie in no order, and many loads are
/// under way at once, while each count that goes up waits for its own. It is half of the time for
/// which nothing else is decided.
fn look_ahead(next: &[(&Address, &Entry)]) {
    let sessions = next.iter().filter_map(|(_, entry)| entry.session.as_ref());
    black_box(sessions.map(Arc::strong_count).sum::<usize>());
}

/// Adds what is known of one address.
fn tell(address: Address, entry: &Entry, handover: &mut TableSnapshot) {
    let ended = entry.past.as_ref().and_then(|past| past.ended.clone());
    match (&entry.session, ended) {
        (Some(session), was) => {
            let (session, told) = (session.clone(), entry.told);
            handover.standing.push(ActiveSession { session, told, was });
        }
        (None, Some(ended)) => handover.ends.push(ended),
        (None, None) => {}
    }
    handover.memories.extend(entry.past.as_ref().and_then(|past| past.memory(address)));
}
