//! Recovery of a segmented journal: which positions of each segment to apply after a snapshot, and
//! whether every acknowledged event is among them.

use crate::Revision;

/// The events after `after`, up to and including `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionRange {
    /// The position before the first event.
    pub after: Revision,
    /// The last position; the maximum if the range is open.
    pub upto: Revision,
}

/// The progress of a recovery. Segments are entered in order. What a segment holds beyond the start
/// of the next one was never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryProgress {
    recovered: Revision,
    is_complete: bool,
}

impl RecoveryProgress {
    /// Starts from a snapshot of everything up to `known`, or from 0 without a snapshot.
    pub fn after(known: Revision) -> Self {
        Self { recovered: known, is_complete: true }
    }

    /// The last recovered position.
    pub fn recovered(self) -> Revision {
        self.recovered
    }

    /// Whether every acknowledged event was recovered. Only then do the positions continue.
    pub fn is_complete(self) -> bool {
        self.is_complete
    }

    /// Records that an acknowledged event is missing, or may be.
    pub fn mark_incomplete(&mut self) {
        self.is_complete = false;
    }

    /// Enters a segment that begins after `after`, in which everything up to `upto` was
    /// acknowledged (`None` for the last segment: every intact event counts). Returns the range to
    /// apply.
    pub fn enter_segment(
        &mut self,
        after: Revision,
        upto: Option<Revision>,
    ) -> Option<RevisionRange> {
        if upto.is_some_and(|upto| upto <= self.recovered) {
            return None;
        }
        if after > self.recovered {
            // An earlier segment, or the snapshot that replaces it, is missing.
            self.is_complete = false;
            self.recovered = after;
        }
        Some(RevisionRange { after: self.recovered, upto: upto.unwrap_or(Revision(u64::MAX)) })
    }

    /// Leaves the segment, where `last` is the last intact event within `span`. Returns whether the
    /// segment was too short.
    pub fn leave_segment(&mut self, span: RevisionRange, last: Option<Revision>) -> bool {
        let newest = last.unwrap_or(span.after);
        let is_last = span.upto == Revision(u64::MAX);
        let is_short = !is_last && newest < span.upto;
        self.is_complete &= !is_short;
        self.recovered = if is_last { newest } else { span.upto };
        is_short
    }

    /// The segment to append to ends at `last`.
    pub fn resume_after(&mut self, last: Revision) {
        self.is_complete &= last == self.recovered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_after(after: u64) -> RevisionRange {
        RevisionRange { after: Revision(after), upto: Revision(u64::MAX) }
    }

    #[test]
    fn an_unacknowledged_tail_is_skipped_and_positions_continue() {
        let mut start = RecoveryProgress::after(Revision(4));
        assert_eq!(
            start.enter_segment(Revision(0), Some(Revision(4))),
            None,
            "the snapshot has it all"
        );
        let span = start.enter_segment(Revision(4), Some(Revision(9))).unwrap();
        assert_eq!(span, RevisionRange { after: Revision(4), upto: Revision(9) });
        assert!(!start.leave_segment(span, Some(Revision(9))));
        let span = start.enter_segment(Revision(9), None).unwrap();
        assert_eq!(span, all_after(9));
        assert!(!start.leave_segment(span, Some(Revision(15))));
        start.resume_after(Revision(15));
        assert_eq!((start.recovered(), start.is_complete()), (Revision(15), true));
    }

    #[test]
    fn missing_segments_make_the_recovery_incomplete() {
        let mut gap = RecoveryProgress::after(Revision(4));
        assert_eq!(gap.enter_segment(Revision(6), None), Some(all_after(6)));
        assert!(!gap.is_complete());
        let mut short = RecoveryProgress::after(Revision(0));
        let span = short.enter_segment(Revision(0), Some(Revision(9))).unwrap();
        assert!(short.leave_segment(span, Some(Revision(7))));
        assert_eq!((short.recovered(), short.is_complete()), (Revision(9), false));
        let mut longer = RecoveryProgress::after(Revision(9));
        longer.resume_after(Revision(8));
        assert!(!longer.is_complete());
    }
}
