//! Whoever decides: the table, up to where the journal is folded into it, and how one that takes over
//! goes on. The cache is this with a mailbox; the simulation, with a queue.

use std::sync::Arc;

use crate::table::PREFETCH_BATCH;
use crate::{
    Change, Decision, Event, Origin, Refusal, Revision, Rules, Table, TableSnapshot, Timestamp,
    Verdict,
};

/// The table and how far the journal is folded into it.
#[derive(Debug, Default)]
pub struct Decider {
    table: Table,
    applied: Revision,
}

/// A batch is decided: it is committed, and visible to everybody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The position of the last event.
    pub revision: Revision,
    /// How many events changed the table.
    pub applied: usize,
    /// How many it knew already.
    pub deduplicated: usize,
    /// How many it refused; `explain` tells why.
    pub refused: usize,
    /// The same by reason, each reason once.
    pub reasons: Vec<(Refusal, usize)>,
}

impl Receipt {
    /// Nothing of a batch is decided yet.
    fn open(first: Revision) -> Self {
        let (applied, deduplicated, refused, reasons) = (0, 0, 0, Vec::new());
        Self { revision: first, applied, deduplicated, refused, reasons }
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Applied(_) => self.applied += 1,
            Verdict::Deduplicated => self.deduplicated += 1,
            Verdict::Refused(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        // Of the sixteen reasons a batch has one or two: a list needs no hash.
        match self.reasons.iter_mut().find(|(reason, _)| *reason == refusal) {
            Some((_, count)) => *count += 1,
            None => self.reasons.push((refusal, 1)),
        }
    }
}

/// What one that takes over begins with.
#[derive(Debug)]
pub struct Takeover {
    /// It, as it goes on.
    pub decider: Decider,
    /// What became true and was shown to nobody yet, ascending by position; nothing, where the journal
    /// did not tell.
    pub unpublished: Vec<Change>,
}

impl Decider {
    /// One that goes on with `table`, in which everything up to `folded` is.
    pub fn from_table(table: Table, folded: Revision) -> Self {
        Self { table, applied: folded }
    }

    /// Takes over from one that is lost. `shown` is what was told of its decisions, `kept` the table
    /// that everything committed folds to, when the journal keeps it. Without that, what was on its way
    /// through the journal is lost.
    pub fn take_over(published: TableSnapshot, reloaded: Option<(Table, Revision)>) -> Takeover {
        match reloaded {
            Some((table, folded)) => {
                let missed = table.snapshot(folded).changes_since(published.newest);
                Takeover { decider: Self { table, applied: folded }, unpublished: missed }
            }
            None => {
                let folded = published.newest;
                let decider = Self { table: Table::restore(published), applied: folded };
                Takeover { decider, unpublished: Vec::new() }
            }
        }
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The last position that is folded.
    pub fn applied(&self) -> Revision {
        self.applied
    }

    /// Whether a batch that was committed from `first` on is still to be folded. One that was not yet
    /// folded by a predecessor, and was then recalled from the journal, is not.
    pub fn is_pending(&self, first: Revision, events: &[Event]) -> bool {
        first > self.applied || events.is_empty()
    }

    /// Folds a batch that was committed from `first` on by `rules`. `each` sees every event with the
    /// table after it, and what was decided.
    pub fn apply_batch<'a>(
        &mut self,
        (first, events): (Revision, &'a [Event]),
        rules: &Rules,
        mut each: impl FnMut(&'a Event, &Table, Decision),
    ) -> Receipt {
        let mut receipt = Receipt::open(first);
        let mut positions = first.0..;
        for chunk in events.chunks(PREFETCH_BATCH) {
            self.table.prefetch(chunk);
            for (event, position) in chunk.iter().zip(positions.by_ref()) {
                receipt.revision = Revision(position);
                self.applied = receipt.revision;
                let decision = self.table.apply(receipt.revision, event, rules);
                receipt.count(decision.verdict);
                each(event, &self.table, decision);
            }
        }
        receipt
    }

    /// Everything that is known: for whoever writes it down, or answers from it.
    pub fn snapshot(&self) -> TableSnapshot {
        self.table.snapshot(self.applied)
    }

    /// At most `most` ends of sessions whose time has passed at `now`, in the name of `origin`; see
    /// [`Table::due_expiries`].
    pub fn due_expiries(
        &mut self,
        now: Timestamp,
        origin: &Arc<Origin>,
        most: usize,
    ) -> Vec<Event> {
        self.table.due_expiries(now, origin, most)
    }

    /// Forgets the ends and refusals from before `before`; see [`Table::forget_before`].
    pub fn forget_before(&mut self, before: Timestamp) {
        self.table.forget_before(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::test_support::{event_at, rules};

    #[test]
    fn what_was_recalled_is_not_folded_again_and_what_nobody_was_shown_is_told() {
        let events = [
            event_at(Kind::VpnUp, "alice@corp", 10),
            event_at(Kind::Login, "bob@corp", 20),
            event_at(Kind::Login, "carol@corp", 30),
        ];
        let mut failed = Decider::default();
        let receipt = failed.apply_batch((Revision(1), &events), &rules(), |_, _, _| {});
        assert_eq!((receipt.revision, receipt.applied), (Revision(3), 3));
        let mut published = Decider::default();
        published.apply_batch((Revision(1), &events[..1]), &rules(), |_, _, _| {});
        let reloaded = (Table::restore(failed.snapshot()), failed.applied());
        let Takeover { decider, unpublished: missed } =
            Decider::take_over(published.snapshot(), Some(reloaded));
        assert!(
            !decider.is_pending(Revision(2), &events[1..])
                && decider.is_pending(Revision(4), &events)
        );
        assert!(decider.is_pending(Revision(1), &[]), "how far was read is told all the same");
        assert_eq!(missed.iter().map(|change| change.revision.0).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn without_a_journal_that_keeps_anything_it_goes_on_with_what_was_shown() {
        let mut published = Decider::default();
        let events = [event_at(Kind::VpnUp, "alice@corp", 10)];
        published.apply_batch((Revision(1), &events), &rules(), |_, _, _| {});
        let Takeover { decider, unpublished: missed } =
            Decider::take_over(published.snapshot(), None);
        assert_eq!((decider.table().len(), decider.applied()), (1, Revision(1)));
        assert!(missed.is_empty());
    }
}
