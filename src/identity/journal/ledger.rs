//! Which positions a journal has handed out, which of them are committed, and how far producers had
//! read with those: what a journal decides, whatever it writes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ReadPosition, ReadSource};
use crate::Revision;

/// The latest place of each source.
pub type ReadPositions = BTreeMap<ReadSource, Arc<[u8]>>;

/// The positions of one journal. Each is handed out once, also when what it was for is not known to
/// be on the disk: it may be there all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionLedger {
    committed: Revision,
    next: Revision,
    read_positions: ReadPositions,
    /// How many events are appended and not committed yet, and what was read with them.
    appended: (usize, Vec<ReadPosition>),
}

impl Default for PositionLedger {
    fn default() -> Self {
        Self::resume(Revision(0), Revision(1), ReadPositions::new())
    }
}

impl PositionLedger {
    /// Goes on after `committed`, with positions from `first` on or later.
    pub fn resume(committed: Revision, first: Revision, places: ReadPositions) -> Self {
        let next = first.max(Revision(committed.0 + 1));
        Self { committed, next, read_positions: places, appended: (0, Vec::new()) }
    }

    /// The last position that was acknowledged, or could have been.
    pub fn committed(&self) -> Revision {
        self.committed
    }

    /// The position that is handed out next.
    pub fn next(&self) -> Revision {
        self.next
    }

    /// How far every source was read, as last committed.
    pub fn read_positions(&self) -> &ReadPositions {
        &self.read_positions
    }

    /// Hands out the positions of `count` events and returns the first. Nobody hears of them, nor of
    /// `read`, before [`PositionLedger::commit`].
    pub fn append(&mut self, count: usize, read: Option<&ReadPosition>) -> Revision {
        let first = self.next;
        self.next.0 += count as u64;
        self.appended.0 += count;
        self.appended.1.extend(read.cloned());
        first
    }

    /// Everything appended is durable, and returns the last position that is.
    pub fn commit(&mut self) -> Revision {
        let (count, read) = std::mem::take(&mut self.appended);
        if count > 0 {
            self.committed = Revision(self.next.0 - 1);
        }
        self.read_positions.extend(read.into_iter().map(|read| (read.source, read.position)));
        self.committed
    }

    /// What was appended since the last commit is not known to be durable, and never will be.
    pub fn abandon(&mut self) {
        self.appended = (0, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;

    #[test]
    fn what_was_abandoned_is_neither_read_nor_handed_out_again() {
        let name = |text| Name::new(text).unwrap();
        let source = ReadSource { producer: name("event-log"), name: name("dc1") };
        let read = |place: &[u8]| ReadPosition { source: source.clone(), position: place.into() };
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
