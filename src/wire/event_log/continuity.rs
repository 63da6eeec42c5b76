//! Detects lost records of a log by their numbers, which count all written records.
//!
//! A subscription returns only matching events, so gaps in the numbers are normal. Records in a gap
//! are lost only if the log had already overwritten them when the gap was passed: the gap is
//! compared with the oldest record of the log.

/// The record numbers seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Continuity {
    /// The last number.
    last: Option<u64>,
    /// The first gap that is not resolved yet.
    gap: Option<Gap>,
}

/// The numbers between two consecutive records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    after: u64,
    before: u64,
}

/// Records that were overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRecords {
    /// The last record read before them.
    pub after: u64,
    /// Their number, including records that did not match the subscription.
    pub records: u64,
}

/// The numbers start again: the log is another one, for instance of a restored machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogReset {
    /// The last record of the previous log.
    pub after: u64,
}

impl Continuity {
    /// Continues after the record `last`, if known.
    pub const fn after_record(last: Option<u64>) -> Self {
        Self { last, gap: None }
    }

    /// The last record seen.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Records that `id` was received.
    ///
    /// # Errors
    /// [`LogReset`] when the number is not greater than the last one.
    pub fn observe(&mut self, id: u64) -> Result<(), LogReset> {
        let last = self.last.replace(id);
        let Some(after) = last else { return Ok(()) };
        if id <= after {
            self.gap = None;
            return Err(LogReset { after });
        }
        if id - after > 1 {
            self.gap.get_or_insert(Gap { after, before: id });
        }
        Ok(())
    }

    /// Whether there is an unresolved gap.
    pub const fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// Resolves the gap, given the number of the oldest record in the log.
    pub fn resolve_gap(&mut self, oldest: u64) -> Option<LostRecords> {
        self.gap.take()?.lost(oldest)
    }
}

impl Gap {
    fn lost(self, oldest: u64) -> Option<LostRecords> {
        let Self { after, before } = self;
        let records = oldest.min(before).checked_sub(after)?.checked_sub(1)?;
        (records > 0).then_some(LostRecords { after, records })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gap_is_a_loss_only_if_the_log_begins_in_or_after_it() {
        let with_gap = || {
            let mut continuity = Continuity::after_record(Some(10));
            assert_eq!((continuity.observe(11), continuity.has_gap()), (Ok(()), false));
            assert_eq!((continuity.observe(20), continuity.has_gap()), (Ok(()), true));
            continuity
        };
        for (oldest, lost) in
            [(1, None), (11, None), (12, None), (13, Some(1)), (20, Some(8)), (90, Some(8))]
        {
            let mut continuity = with_gap();
            let lost = lost.map(|records| LostRecords { after: 11, records });
            assert_eq!(continuity.resolve_gap(oldest), lost, "{oldest}");
            assert!(!continuity.has_gap());
            assert_eq!((continuity.resolve_gap(90), continuity.last()), (None, Some(20)));
        }
        // The first of several gaps is the one with the oldest records.
        let mut continuity = with_gap();
        let lost = Some(LostRecords { after: 11, records: 8 });
        assert_eq!((continuity.observe(40), continuity.resolve_gap(30)), (Ok(()), lost));
    }

    #[test]
    fn restarted_numbering_is_a_log_reset() {
        let mut continuity = Continuity::after_record(Some(10));
        assert_eq!(continuity.observe(20), Ok(()));
        assert_eq!(continuity.observe(20), Err(LogReset { after: 20 }));
        assert_eq!(continuity.observe(1), Err(LogReset { after: 20 }));
        assert_eq!((continuity.has_gap(), continuity.last()), (false, Some(1)));
        assert_eq!(Continuity::default().observe(7), Ok(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Only some records match and the log is read late: the reported losses are exactly the
        /// records that were overwritten between two reads.
        #[test]
        fn losses_are_exactly_the_overwritten_records(
            readings in proptest::collection::vec((1_u64..6, 0_u64..12), 1..20),
        ) {
            let (mut newest, mut oldest) = (0_u64, 1_u64);
            let mut continuity = Continuity::after_record(Some(0));
            for (written, overwritten) in readings {
                let read = newest;
                newest += written;
                oldest = (oldest + overwritten).min(newest);
                // Only the newest record matches, which still exists.
                prop_assert_eq!(continuity.observe(newest), Ok(()));
                let gone = oldest.saturating_sub(read + 1).min(newest - read - 1);
                let lost = (gone > 0).then_some(LostRecords { after: read, records: gone });
                prop_assert_eq!(continuity.resolve_gap(oldest), lost);
            }
        }
    }
}
