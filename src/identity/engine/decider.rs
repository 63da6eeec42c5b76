//! The decider: the table, the journal position applied to it, and takeover after a failure. The
//! cache actor adds a mailbox; the simulation adds a queue.

use std::sync::Arc;

use crate::table::PREFETCH_BATCH;
use crate::{
    Change, Decision, Event, Origin, Refusal, Revision, Rules, Table, TableSnapshot, Timestamp,
    Verdict,
};

/// The table, and the last journal position applied to it.
#[derive(Debug, Default)]
pub struct Decider {
    table: Table,
    applied: Revision,
}

/// The result of a decided batch: it is committed and visible to consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The position of the last event.
    pub revision: Revision,
    /// The number of events that changed the table.
    pub applied: usize,
    /// The number of events that the table knew already.
    pub deduplicated: usize,
    /// The number of refused events; `explain` gives the reasons.
    pub refused: usize,
    /// The refusals by reason, each reason once.
    pub reasons: Vec<(Refusal, usize)>,
}

impl Receipt {
    /// A receipt for a batch of which no event is decided yet.
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
        // A batch has one or two reasons, so a list is enough.
        match self.reasons.iter_mut().find(|(reason, _)| *reason == refusal) {
            Some((_, count)) => *count += 1,
            None => self.reasons.push((refusal, 1)),
        }
    }
}

/// The state with which a decider takes over.
#[derive(Debug)]
pub struct Takeover {
    /// The decider that continues.
    pub decider: Decider,
    /// Changes that were applied but not published, in ascending order of position; empty if the
    /// journal keeps nothing.
    pub unpublished: Vec<Change>,
}

impl Decider {
    /// A decider that continues with `table`, to which everything up to `applied` is applied.
    pub fn from_table(table: Table, applied: Revision) -> Self {
        Self { table, applied }
    }

    /// Takes over from a decider that failed. `published` is what consumers know of its decisions.
    /// `reloaded` is the table after all committed events, if the journal keeps one. Without it,
    /// events in flight through the journal are lost.
    pub fn take_over(published: TableSnapshot, reloaded: Option<(Table, Revision)>) -> Takeover {
        match reloaded {
            Some((table, applied)) => {
                let missed = table.snapshot(applied).changes_since(published.newest);
                Takeover { decider: Self { table, applied }, unpublished: missed }
            }
            None => {
                let applied = published.newest;
                let decider = Self { table: Table::restore(published), applied };
                Takeover { decider, unpublished: Vec::new() }
            }
        }
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The last position that is applied.
    pub fn applied(&self) -> Revision {
        self.applied
    }

    /// Whether a batch committed at `first` is still to be applied. A batch that was already
    /// included when the table was reloaded from the journal is not.
    pub fn is_pending(&self, first: Revision, events: &[Event]) -> bool {
        first > self.applied || events.is_empty()
    }

    /// Applies a batch that was committed at `first`, by `rules`. `each` receives every event with
    /// the table after it and the decision.
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

    /// The complete state, for a checkpoint or for the read model.
    pub fn snapshot(&self) -> TableSnapshot {
        self.table.snapshot(self.applied)
    }

    /// At most `most` expiry events from `origin` for sessions that have expired at `now`; see
    /// [`Table::due_expiries`].
    pub fn due_expiries(
        &mut self,
        now: Timestamp,
        origin: &Arc<Origin>,
        most: usize,
    ) -> Vec<Event> {
        self.table.due_expiries(now, origin, most)
    }

    /// Forgets the ends and refusals received before `before`; see [`Table::forget_before`].
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
    fn reloaded_events_are_not_applied_again_and_unpublished_changes_are_returned() {
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
        assert!(
            decider.is_pending(Revision(1), &[]),
            "an empty batch still carries its read position"
        );
        assert_eq!(missed.iter().map(|change| change.revision.0).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn without_a_durable_journal_the_published_state_is_taken_over() {
        let mut published = Decider::default();
        let events = [event_at(Kind::VpnUp, "alice@corp", 10)];
        published.apply_batch((Revision(1), &events), &rules(), |_, _, _| {});
        let Takeover { decider, unpublished: missed } =
            Decider::take_over(published.snapshot(), None);
        assert_eq!((decider.table().len(), decider.applied()), (1, Revision(1)));
        assert!(missed.is_empty());
    }
}
