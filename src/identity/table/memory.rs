//! What is remembered of an address besides its session: who had it, who left, and what competed.

use std::collections::VecDeque;

use super::early_logouts::EarlyLogouts;
use super::shared_address::RecentUsers;
use crate::{Address, DecisionRecord, EndedSession, MemorySnapshot, Revision, Timestamp};

/// What is remembered of one address. Most addresses have none: it exists only once something
/// competed, was refused, altered the session, or ended.
#[derive(Debug, Default)]
pub(super) struct AddressMemory {
    /// The last session that is no more.
    pub(super) ended: Option<EndedSession>,
    /// Who was said to leave while not being there: their login may still be on its way.
    pub(super) early_logouts: EarlyLogouts,
    /// Who came one after the other. Kept as long as what competed is.
    pub(super) recent_users: RecentUsers,
    /// The latest events that competed, newest last.
    records: VecDeque<RetainedDecision>,
}

/// A record and the ticket under which it may be forgotten.
#[derive(Debug)]
struct RetainedDecision {
    id: Revision,
    record: DecisionRecord,
}

impl AddressMemory {
    /// Adds a record; the oldest goes beyond `limit`. One that only repeats the latest is counted
    /// there, so that a noisy source does not push out what another said. Returns the ticket of a
    /// new record, for [`AddressMemory::forget`].
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
        // One record is the common case, and the standard growth begins with four.
        if self.records.is_empty() {
            self.records.reserve_exact(1);
        }
        let id = record.revision;
        self.records.push_back(RetainedDecision { id, record });
        Some(id)
    }

    /// Forgets the record with this ticket, when it is still there.
    pub(super) fn forget(&mut self, id: Revision) {
        self.records.retain(|kept| kept.id != id);
        if self.records.is_empty() {
            self.early_logouts = EarlyLogouts::default();
            self.recent_users = RecentUsers::default();
            // An emptied list keeps its room; a million of them would keep half a gigabyte.
            self.records = VecDeque::new();
        }
    }

    /// Forgets the session that ended at this position, when no later one took its place, and says
    /// whether it did.
    pub(super) fn forget_ended(&mut self, revision: Revision) -> bool {
        self.ended.take_if(|ended| ended.revision == revision).is_some()
    }

    /// Whether there is nothing left to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.ended.is_none() && self.early_logouts.is_empty() && self.records.is_empty()
    }

    /// The record with this ticket, when it is still there.
    pub(super) fn record(&self, id: Revision) -> Option<&DecisionRecord> {
        self.records.iter().find(|kept| kept.id == id).map(|kept| &kept.record)
    }

    /// Puts back a record that another table had, in its place.
    pub(super) fn restore_record(&mut self, id: Revision, record: DecisionRecord) {
        let earlier = |kept: &RetainedDecision| kept.record.revision < record.revision;
        let place = self.records.partition_point(earlier);
        self.records.reserve_exact(1);
        self.records.insert(place, RetainedDecision { id, record });
    }

    /// What else is remembered of `address`, when there is anything.
    pub(super) fn snapshot(&self, address: Address) -> Option<MemorySnapshot> {
        let departed = self.early_logouts.iter().collect();
        let (logins, shared_until) = self.recent_users.snapshot();
        let memory = MemorySnapshot { address, early_logouts: departed, logins, shared_until };
        let is_trivial = memory.early_logouts.is_empty() && memory.logins.is_empty();
        (!is_trivial || shared_until.is_some()).then_some(memory)
    }

    /// Remembers what another table did.
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

/// A first-in, first-out list of what may be forgotten, with room for a fixed number: when one
/// more comes, the oldest is due. It bounds the memory of a whole table, whoever fills it.
#[derive(Debug)]
pub(super) struct RetentionQueue {
    entries: VecDeque<RetentionEntry>,
    capacity: usize,
}

/// What may be forgotten, and when it was put there.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetentionEntry {
    /// Where.
    pub(super) address: Address,
    /// Which.
    pub(super) revision: Revision,
    /// Since when, by Rollcall's clock.
    pub(super) seen: Timestamp,
}

impl RetentionQueue {
    /// A ring with room for `room` tickets.
    pub(super) fn new(room: usize) -> Self {
        Self { entries: VecDeque::new(), capacity: room }
    }

    /// Puts in one ticket; gives out the one that has to go for it.
    pub(super) fn push(&mut self, id: RetentionEntry) -> Option<RetentionEntry> {
        let full = self.entries.len() >= self.capacity;
        let due = if full { self.entries.pop_front() } else { None };
        self.entries.push_back(id);
        due
    }

    /// The tickets, in the order in which they go.
    pub(super) fn entries(&self) -> impl Iterator<Item = &RetentionEntry> {
        self.entries.iter()
    }

    /// The oldest ticket, when it is older than `before`.
    pub(super) fn pop_before(&mut self, before: Timestamp) -> Option<RetentionEntry> {
        self.entries.front().filter(|id| id.seen < before)?;
        self.entries.pop_front()
    }
}
