//! The positions that a journal has assigned and committed, and the read positions of producers.
//! Independent of the storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ReadPosition, ReadSource};
use crate::Revision;

/// The latest position of each source.
pub type ReadPositions = BTreeMap<ReadSource, Arc<[u8]>>;

/// The positions of one journal. Each is assigned once, even if the write is uncertain: the event
/// may be on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionLedger {
    committed: Revision,
    next: Revision,
    read_positions: ReadPositions,
    /// The number of events appended since the last commit, and their read positions.
    appended: (usize, Vec<ReadPosition>),
}

impl Default for PositionLedger {
    fn default() -> Self {
        Self::resume(Revision(0), Revision(1), ReadPositions::new())
    }
}

impl PositionLedger {
    /// Continues after `committed`, with positions from `first` or later.
    pub fn resume(committed: Revision, first: Revision, positions: ReadPositions) -> Self {
        let next = first.max(Revision(committed.0 + 1));
        Self { committed, next, read_positions: positions, appended: (0, Vec::new()) }
    }

    /// The last position that was acknowledged, or could have been.
    pub fn committed(&self) -> Revision {
        self.committed
    }

    /// The next position.
    pub fn next(&self) -> Revision {
        self.next
    }

    /// The committed read positions of all sources.
    pub fn read_positions(&self) -> &ReadPositions {
        &self.read_positions
    }

    /// Assigns positions to `count` events and returns the first. Neither they nor `read` are
    /// visible before [`PositionLedger::commit`].
    pub fn append(&mut self, count: usize, read: Option<&ReadPosition>) -> Revision {
        let first = self.next;
        self.next.0 += count as u64;
        self.appended.0 += count;
        self.appended.1.extend(read.cloned());
        first
    }

    /// Marks all appended events as durable and returns the last durable position.
    pub fn commit(&mut self) -> Revision {
        let (count, read) = std::mem::take(&mut self.appended);
        if count > 0 {
            self.committed = Revision(self.next.0 - 1);
        }
        self.read_positions.extend(read.into_iter().map(|read| (read.source, read.position)));
        self.committed
    }

    /// Discards the appended events: they are not known to be durable and are never published.
    pub fn abandon(&mut self) {
        self.appended = (0, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn abandoned_positions_are_not_reused() {
        let name = |text| Name::new(text).unwrap();
        let source = ReadSource { producer: name("event-log"), name: name("dc1") };
        let read =
            |position: &[u8]| ReadPosition { source: source.clone(), position: position.into() };
        let mut ledger = PositionLedger::resume(Revision(7), Revision(3), ReadPositions::new());
        assert_eq!(ledger.append(2, Some(&read(b"a"))), Revision(8));
        assert_eq!((ledger.committed(), ledger.read_positions().len()), (Revision(7), 0));
        assert_eq!(ledger.commit(), Revision(9));
        assert_eq!(ledger.append(5, Some(&read(b"b"))), Revision(10));
        ledger.abandon();
        assert_eq!((ledger.committed(), ledger.next()), (Revision(9), Revision(15)));
        ledger.append(0, None);
        assert_eq!(ledger.commit(), Revision(9), "nothing is committed by committing nothing");
        assert_eq!(ledger.append(1, None), Revision(15));
        assert_eq!(ledger.commit(), Revision(15));
        assert_eq!(ledger.read_positions()[&source][..], *b"a");
    }
}
