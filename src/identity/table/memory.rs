//! The state of an address besides its session: the last end, early logouts and competing events.

use std::collections::VecDeque;

use super::early_logouts::EarlyLogouts;
use super::shared_address::RecentUsers;
use crate::{Address, DecisionRecord, EndedSession, MemorySnapshot, Revision, Timestamp};

/// The remembered state of one address. Most addresses have none: it exists only after an event
/// competed, was refused, changed the session or ended it.
#[derive(Debug, Default)]
pub(super) struct AddressMemory {
    /// The last session that ended.
    pub(super) ended: Option<EndedSession>,
    /// Users whose logout arrived while they had no session here: their login may still arrive.
    pub(super) early_logouts: EarlyLogouts,
    /// Recent users. Kept as long as the competing events.
    pub(super) recent_users: RecentUsers,
    /// The latest competing events, newest last.
    records: VecDeque<RetainedDecision>,
}

/// A record and the ID under which it is evicted.
#[derive(Debug)]
struct RetainedDecision {
    id: Revision,
    record: DecisionRecord,
}

impl AddressMemory {
    /// Adds a record; beyond `limit`, the oldest is dropped. A repetition of the latest record only
    /// increments its count, so that a noisy source cannot evict the records of others. Returns the
    /// ID of a new record, for [`AddressMemory::forget`].
    pub(super) fn remember(&mut self, record: DecisionRecord, limit: usize) -> Option<Revision> {
        if let Some(last) = self.records.back_mut()
            && last.record.is_repeated_by(&record)
        {
            let repeated = last.record.repeated.saturating_add(1);
            last.record = DecisionRecord { repeated, ..record };
            return None;
        }
        if self.records.len() == limit {
            self.records.pop_front();
        }
        // One record is the common case; the default growth starts with four.
        if self.records.is_empty() {
            self.records.reserve_exact(1);
        }
        let id = record.revision;
        self.records.push_back(RetainedDecision { id, record });
        Some(id)
    }

    /// Forgets the record with this ID, if it still exists.
    pub(super) fn forget(&mut self, id: Revision) {
        self.records.retain(|kept| kept.id != id);
        if self.records.is_empty() {
            self.early_logouts = EarlyLogouts::default();
            self.recent_users = RecentUsers::default();
            // An emptied list keeps its capacity; a million of them would keep half a gigabyte.
            self.records = VecDeque::new();
        }
    }

    /// Forgets the session that ended at this position, unless a later one replaced it. Returns
    /// whether it did.
    pub(super) fn forget_ended(&mut self, revision: Revision) -> bool {
        self.ended.take_if(|ended| ended.revision == revision).is_some()
    }

    /// Whether nothing is left to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.ended.is_none() && self.early_logouts.is_empty() && self.records.is_empty()
    }

    /// The record with this ID, if it still exists.
    pub(super) fn record(&self, id: Revision) -> Option<&DecisionRecord> {
        self.records.iter().find(|kept| kept.id == id).map(|kept| &kept.record)
    }

    /// Restores a record of another table at its position.
    pub(super) fn restore_record(&mut self, id: Revision, record: DecisionRecord) {
        let earlier = |kept: &RetainedDecision| kept.record.revision < record.revision;
        let place = self.records.partition_point(earlier);
        self.records.reserve_exact(1);
        self.records.insert(place, RetainedDecision { id, record });
    }

    /// The other remembered state of `address`, if any.
    pub(super) fn snapshot(&self, address: Address) -> Option<MemorySnapshot> {
        let departed = self.early_logouts.iter().collect();
        let (logins, shared_until) = self.recent_users.snapshot();
        let memory = MemorySnapshot { address, early_logouts: departed, logins, shared_until };
        let is_trivial = memory.early_logouts.is_empty() && memory.logins.is_empty();
        (!is_trivial || shared_until.is_some()).then_some(memory)
    }

    /// Restores the state of another table.
    pub(super) fn restore(&mut self, memory: MemorySnapshot) {
        let MemorySnapshot { address: _, early_logouts: departed, logins, shared_until } = memory;
        (self.early_logouts, self.recent_users) =
            (EarlyLogouts::restore(departed), RecentUsers::restore(logins, shared_until));
    }

    /// The records, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &DecisionRecord> {
        self.records.iter().rev().map(|kept| &kept.record)
    }
}

/// A bounded FIFO of evictable entries: when it is full, adding one evicts the oldest. It bounds
/// the memory of the whole table, whatever the sources send.
#[derive(Debug)]
pub(super) struct RetentionQueue {
    entries: VecDeque<RetentionEntry>,
    capacity: usize,
}

/// An entry that can be evicted, and when it was added.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetentionEntry {
    /// The address.
    pub(super) address: Address,
    /// The position that identifies the entry.
    pub(super) revision: Revision,
    /// When it was added, by Rollcall's clock.
    pub(super) seen: Timestamp,
}

impl RetentionQueue {
    /// A queue for at most `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity }
    }

    /// Adds an entry and returns the one that it evicts, if any.
    pub(super) fn push(&mut self, entry: RetentionEntry) -> Option<RetentionEntry> {
        let full = self.entries.len() >= self.capacity;
        let due = if full { self.entries.pop_front() } else { None };
        self.entries.push_back(entry);
        due
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &RetentionEntry> {
        self.entries.iter()
    }

    /// Removes the oldest entry, if it is older than `before`.
    pub(super) fn pop_before(&mut self, before: Timestamp) -> Option<RetentionEntry> {
        self.entries.front().filter(|entry| entry.seen < before)?;
        self.entries.pop_front()
    }
}
