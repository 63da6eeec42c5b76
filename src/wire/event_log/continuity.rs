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
    hole: Option<Hole>,
}

/// The numbers between two consecutive records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    after: u64,
    before: u64,
}

/// Records that were overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The last record read before them.
    pub after: u64,
    /// Their number, including records that did not match the subscription.
    pub records: u64,
}

/// The numbers start again: the log is another one, for instance of a restored machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunAnew {
    /// The last record of the previous log.
    pub after: u64,
}

impl Continuity {
    /// Continues after the record `last`, if known.
    pub const fn behind(last: Option<u64>) -> Self {
        Self { last, hole: None }
    }

    /// The last record seen.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// Records that `id` was received.
    ///
    /// # Errors
    /// [`LogReset`] when the number is not greater than the last one.
    pub fn came(&mut self, id: u64) -> Result<(), BegunAnew> {
        let last = self.last.replace(id);
        let Some(after) = last else { return Ok(()) };
        if id <= after {
            self.hole = None;
            return Err(BegunAnew { after });
        }
        if id - after > 1 {
            self.hole.get_or_insert(Hole { after, before: id });
        }
        Ok(())
    }

    /// Whether there is an unresolved gap.
    pub const fn is_doubtful(&self) -> bool {
        self.hole.is_some()
    }

    /// Resolves the gap, given the number of the oldest record in the log.
    pub fn look(&mut self, oldest: u64) -> Option<Lost> {
        self.hole.take()?.lost(oldest)
    }
}

impl Hole {
    fn lost(self, oldest: u64) -> Option<Lost> {
        let Self { after, before } = self;
        let records = oldest.min(before).checked_sub(after)?.checked_sub(1)?;
        (records > 0).then_some(Lost { after, records })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_a_loss_only_where_the_log_begins_within_it_or_behind() {
        let doubtful = || {
            let mut continuity = Continuity::behind(Some(10));
            assert_eq!((continuity.came(11), continuity.is_doubtful()), (Ok(()), false));
            assert_eq!((continuity.came(20), continuity.is_doubtful()), (Ok(()), true));
            continuity
        };
        for (oldest, lost) in
            [(1, None), (11, None), (12, None), (13, Some(1)), (20, Some(8)), (90, Some(8))]
        {
            let mut continuity = doubtful();
            let lost = lost.map(|records| Lost { after: 11, records });
            assert_eq!(continuity.look(oldest), lost, "{oldest}");
            assert!(!continuity.is_doubtful());
            assert_eq!((continuity.look(90), continuity.last()), (None, Some(20)));
        }
        // The first of several gaps is the one with the oldest records.
        let mut continuity = doubtful();
        let lost = Some(Lost { after: 11, records: 8 });
        assert_eq!((continuity.came(40), continuity.look(30)), (Ok(()), lost));
    }

    #[test]
    fn a_log_that_counts_from_anew_is_another_log() {
        let mut continuity = Continuity::behind(Some(10));
        assert_eq!(continuity.came(20), Ok(()));
        assert_eq!(continuity.came(20), Err(BegunAnew { after: 20 }));
        assert_eq!(continuity.came(1), Err(BegunAnew { after: 20 }));
        assert_eq!((continuity.is_doubtful(), continuity.last()), (false, Some(1)));
        assert_eq!(Continuity::default().came(7), Ok(()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Only some records match and the log is read late: the reported losses are exactly the
        /// records that were overwritten between two reads.
        #[test]
        fn what_is_lost_is_what_was_overwritten_unread(
            readings in proptest::collection::vec((1_u64..6, 0_u64..12), 1..20),
        ) {
            let (mut newest, mut oldest) = (0_u64, 1_u64);
            let mut continuity = Continuity::behind(Some(0));
            for (written, overwritten) in readings {
                let read = newest;
                newest += written;
                oldest = (oldest + overwritten).min(newest);
                // Only the newest record matches, which still exists.
                prop_assert_eq!(continuity.came(newest), Ok(()));
                let gone = oldest.saturating_sub(read + 1).min(newest - read - 1);
                let lost = (gone > 0).then_some(Lost { after: read, records: gone });
                prop_assert_eq!(continuity.look(oldest), lost);
            }
        }
    }
}
