//! What a start takes of a journal in pieces: which positions of each segment are to be folded after
//! a snapshot, and whether everything that was ever acknowledged is among them.

use crate::Revision;

/// What of the events after `after` and up to `upto` is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionRange {
    /// The position before the first.
    pub after: Revision,
    /// The last; the greatest there is when everything is wanted.
    pub upto: Revision,
}

/// How far a start has come. Segments are entered in their order; whatever one of them holds beyond
/// the place where the next one begins was never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryProgress {
    recovered: Revision,
    is_complete: bool,
}

impl RecoveryProgress {
    /// Begins with a snapshot of everything up to `known`; with nothing, when there is none.
    pub fn after(known: Revision) -> Self {
        Self { recovered: known, is_complete: true }
    }

    /// The last position that is known.
    pub fn recovered(self) -> Revision {
        self.recovered
    }

    /// Whether everything that was ever acknowledged is known: only then positions can go on.
    pub fn is_complete(self) -> bool {
        self.is_complete
    }

    /// Something was acknowledged, or may have been, that is not there.
    pub fn mark_incomplete(&mut self) {
        self.is_complete = false;
    }

    /// Enters a segment that begins after `after`, of which everything up to `upto` was acknowledged
    /// (`None` for the last one: then everything counts that is whole). Returns what is to be folded.
    pub fn enter_segment(
        &mut self,
        after: Revision,
        upto: Option<Revision>,
    ) -> Option<RevisionRange> {
        if upto.is_some_and(|upto| upto <= self.recovered) {
            return None;
        }
        if after > self.recovered {
            // A segment before it is missing, or the snapshot that stood for it.
            self.is_complete = false;
            self.recovered = after;
        }
        Some(RevisionRange { after: self.recovered, upto: upto.unwrap_or(Revision(u64::MAX)) })
    }

    /// Leaves it, when its last good event within `span` was `last`. Says whether it was shorter than
    /// it must be.
    pub fn leave_segment(&mut self, span: RevisionRange, last: Option<Revision>) -> bool {
        let newest = last.unwrap_or(span.after);
        let is_last = span.upto == Revision(u64::MAX);
        let is_short = !is_last && newest < span.upto;
        self.is_complete &= !is_short;
        self.recovered = if is_last { newest } else { span.upto };
        is_short
    }

    /// The segment that is to be written on ends at `last`.
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
    fn a_tail_that_was_refused_is_left_out_and_the_positions_go_on() {
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
    fn whatever_is_missing_puts_the_positions_in_doubt() {
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
