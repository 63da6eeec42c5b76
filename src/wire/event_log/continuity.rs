//! Whether the records of a log follow one another: by their numbers, which count all that is written.
//!
//! A subscription brings only the events that are asked for, so that numbers are left out all the
//! time. What was left out is lost only if the log had it no longer when it was passed over: the hole
//! is held against the oldest record of the log.

/// The numbers of a log, as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Continuity {
    /// The newest that came.
    last: Option<u64>,
    /// The first hole that nobody has looked into yet.
    hole: Option<Hole>,
}

/// Numbers that were left out: those between two records that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hole {
    after: u64,
    before: u64,
}

/// Records that were gone before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The last record that was read before them.
    pub after: u64,
    /// How many they are, those included that were never asked for.
    pub records: u64,
}

/// The log counts from anew: another one is in its place, such as that of a restored machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunAnew {
    /// The newest record that came of the log before.
    pub after: u64,
}

impl Continuity {
    /// Behind the record `last`; behind nothing known when there is none.
    pub const fn behind(last: Option<u64>) -> Self {
        Self { last, hole: None }
    }

    /// The newest record that came.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The record `id` came.
    ///
    /// # Errors
    /// [`BegunAnew`] when it has a number that came before.
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

    /// Whether numbers were left out that nobody has looked into.
    pub const fn is_doubtful(&self) -> bool {
        self.hole.is_some()
    }

    /// Looks into what was left out, now that the log begins with the record `oldest`.
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
        // The first hole of several has the most to lose.
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

        /// A log of which only some records are asked for, read late: what is said to be lost is
        /// what was overwritten between two readings, and nothing is said while nothing was.
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
                // Only the newest is asked for, which is still there.
                prop_assert_eq!(continuity.came(newest), Ok(()));
                let gone = oldest.saturating_sub(read + 1).min(newest - read - 1);
                let lost = (gone > 0).then_some(Lost { after: read, records: gone });
                prop_assert_eq!(continuity.look(oldest), lost);
            }
        }
    }
}
