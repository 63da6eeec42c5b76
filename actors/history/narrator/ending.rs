//! How a stay ended that a segment leaves open: the sessions with which each later segment begins tell
//! which of them holds the end, so that only that one is folded.

use rollcall_identity::{Chronicle, Departure, Stay, Timestamp};

use super::{EVER, Narrator};
use crate::history::unanswered::Unanswered;

/// How a stay ended, as far as that was heard of.
pub(in crate::history) struct Ending {
    /// `None` while it goes on, or when it is not known.
    pub(in crate::history) end: Option<Departure>,
    /// How far was looked for it.
    pub(in crate::history) known_until: Timestamp,
}

impl Narrator<'_> {
    /// How `stay` ended, which is there in `chronicle` at the end of the segment at `index`.
    pub(in crate::history) fn ending(
        &mut self,
        index: usize,
        stay: &Stay,
        mut chronicle: Chronicle,
    ) -> Result<Ending, Unanswered> {
        let whole = (index + 1..self.chapters.len()).take_while(|later| self.follows(*later));
        let last = whole.last().unwrap_or(index);
        let begin = self.last_that_carries(stay, (index, last))?;
        if begin > index
            && let Some(handover) = self.beginning_of(begin, stay)
        {
            chronicle = Chronicle::after(stay.session.address, handover);
        }
        let (mut at, mut end) = (index, None);
        // Of segments that are not sealed yet, nobody knows with whom they begin: those are folded, too.
        for later in begin.max(index + 1)..=last {
            self.budget.in_time()?;
            at = later;
            self.tell(later, *EVER, &mut chronicle, &mut |stay| {
                end = stay.end;
                false
            })?;
            if end.is_some() || chronicle.there(self.chapters[later].begun).is_none() {
                break;
            }
        }
        let known_until = self.told_until(at);
        let lapsed = || chronicle.last(known_until).and_then(|stay| stay.end);
        Ok(Ending { end: end.or_else(lapsed), known_until })
    }

    /// The last of the segments from `from` to `to` that begins with `stay`; `from` when none after it
    /// is known to. Whoever was there when a segment began was there when each before it did.
    fn last_that_carries(
        &mut self,
        stay: &Stay,
        (mut from, mut to): (usize, usize),
    ) -> Result<usize, Unanswered> {
        while from < to {
            self.budget.in_time()?;
            let middle = (from + to).div_ceil(2);
            match self.beginning_of(middle, stay).is_some() {
                true => from = middle,
                false => to = middle - 1,
            }
        }
        Ok(from)
    }

    /// What was known of the address when the segment at `index` began, when `stay` was there then.
    fn beginning_of(&mut self, index: usize, stay: &Stay) -> Option<rollcall_identity::Handover> {
        let first = self.chapters[index].first;
        let address = stay.session.address;
        // One that cannot be read says so when it is told.
        let beginning = self.library.open(first).and_then(|volume| volume.beginning(address));
        let known = beginning.ok().flatten()?;
        let is_same = known.standing.iter().any(|standing| {
            let there = &standing.session;
            there.address == address
                && there.since == stay.session.since
                && there.principal == stay.session.principal
        });
        is_same.then_some(known)
    }
}
