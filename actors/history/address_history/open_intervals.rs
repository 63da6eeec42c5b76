//! How a stay ended that a segment leaves open: the sessions with which each later segment begins tell
//! which of them holds the end, so that only that one is folded.

use std::ops::Range;

use rollcall_identity::{
    AddressTimeline, IntervalEnd, Principal, SessionInterval, TableSnapshot, Timestamp,
};

use super::{AddressHistory, EVER};
use crate::error::HistoryError;
use rollcall_journal::archive_reader::SegmentInfo;

/// How a stay ended, as far as that was heard of.
pub(crate) struct Ending {
    /// `None` while it goes on, or when it is not known.
    pub(crate) end: Option<IntervalEnd>,
    /// How far was looked for it.
    pub(crate) known_until: Timestamp,
}

impl AddressHistory<'_> {
    /// How `stay` ended, which is there in `chronicle`: in that, what these segments hold up to `at` is
    /// folded.
    pub(crate) fn ending(
        &mut self,
        (span, at): (Range<usize>, Timestamp),
        stay: &SessionInterval,
        mut chronicle: AddressTimeline,
    ) -> Result<Ending, HistoryError> {
        // Of one that is not sealed it is not known whether it holds anything of that time: it may come
        // long after those that do.
        let does = |chapter: &SegmentInfo| chapter.last.is_some() && chapter.from <= at;
        let told = span.clone().rev().find(|index| does(&self.chapters[*index]));
        let told = told.unwrap_or(span.start);
        for index in span.start..=told {
            if let Some(end) = self.end_in(index, at, &mut chronicle)? {
                return Ok(Ending { end: Some(end), known_until: self.told_until(index) });
            }
        }
        let whole = (told + 1..self.chapters.len()).take_while(|later| self.follows(*later));
        let last = whole.last().unwrap_or(told);
        let begin = self.last_that_carries(stay, (told, last))?;
        // Events that these hold up to `at` is folded already, unless it begins anew.
        let mut folded = span.end;
        if let Some(handover) = (begin > told).then(|| self.beginning_of(begin, stay)).flatten() {
            chronicle = AddressTimeline::from_snapshot(stay.session.address, handover);
            folded = begin;
        }
        // Of segments that are not sealed yet, nobody knows with whom they begin: those are folded, too.
        let mut looked = told;
        for later in begin.max(told + 1)..=last {
            self.budget.in_time()?;
            looked = later;
            let after = if later < folded { at } else { EVER.0 };
            if let Some(end) = self.end_in(later, after, &mut chronicle)? {
                return Ok(Ending { end: Some(end), known_until: self.told_until(later) });
            }
            if chronicle.current(self.told_until(later)).is_none() {
                break;
            }
        }
        let known_until = self.told_until(looked);
        Ok(Ending { end: chronicle.finish(known_until).and_then(|stay| stay.end), known_until })
    }

    /// How the stay that is there in `chronicle` ended by what a segment holds after `after`, if it did.
    fn end_in(
        &mut self,
        index: usize,
        after: Timestamp,
        chronicle: &mut AddressTimeline,
    ) -> Result<Option<IntervalEnd>, HistoryError> {
        let mut end = None;
        self.tell(index, (after, EVER.1), chronicle, &mut |stay| {
            end = stay.end;
            false
        })?;
        Ok(end)
    }

    /// The last of the segments from `from` to `to` that begins with `stay`; `from` when none after it
    /// is known to. Whoever was there when a segment began was there when each before it did.
    fn last_that_carries(
        &mut self,
        stay: &SessionInterval,
        (mut from, mut to): (usize, usize),
    ) -> Result<usize, HistoryError> {
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

    /// The state of the address when the segment at `index` began, when `stay` was there then.
    fn beginning_of(&mut self, index: usize, stay: &SessionInterval) -> Option<TableSnapshot> {
        let first = self.chapters[index].first;
        let address = stay.session.address;
        self.looked_up.insert(first);
        // One that cannot be read says so when it is told.
        let beginning = self.library.open(first).and_then(|volume| volume.beginning(address));
        let known = beginning.ok().flatten()?;
        // Known better, it is the same stay; whom a directory calls otherwise is told as another.
        let is_same = |there: &Option<Principal>, then: &Option<Principal>| {
            there
                .as_ref()
                .zip(then.as_ref())
                .is_none_or(|(there, then)| there.is_compatible_with(then))
        };
        let is_there = known.sessions.iter().any(|standing| {
            let there = &standing.session;
            there.address == address
                && there.since == stay.session.since
                && is_same(&there.principal, &stay.session.principal)
        });
        is_there.then_some(known)
    }
}
