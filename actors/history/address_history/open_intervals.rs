//! How a stay ended that a segment leaves open: the sessions with which each later segment begins tell
//! which of them holds the end, so that only that one is folded.

use std::ops::Range;

use rollcall_identity::{
    AddressTimeline, IntervalEnd, Principal, SessionInterval, TableSnapshot, Timestamp,
};

use super::{ALL_TIME, AddressHistory};
use crate::error::HistoryError;
use rollcall_journal::archive_reader::SegmentInfo;

/// How a stay ended, as far as that was heard of.
pub(crate) struct FoundEnd {
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
        interval: &SessionInterval,
        mut timeline: AddressTimeline,
    ) -> Result<FoundEnd, HistoryError> {
        // Of one that is not sealed it is not known whether it holds anything of that time: it may come
        // long after those that do.
        let does = |segment: &SegmentInfo| segment.last.is_some() && segment.from <= at;
        let answered = span.clone().rev().find(|index| does(&self.segments[*index]));
        let answered = answered.unwrap_or(span.start);
        for index in span.start..=answered {
            if let Some(end) = self.end_in(index, at, &mut timeline)? {
                return Ok(FoundEnd { end: Some(end), known_until: self.known_until(index) });
            }
        }
        let contiguous =
            (answered + 1..self.segments.len()).take_while(|later| self.follows(*later));
        let last = contiguous.last().unwrap_or(answered);
        let begin = self.last_containing(interval, (answered, last))?;
        // Events that these hold up to `at` is folded already, unless it begins anew.
        let mut applied = span.end;
        if let Some(snapshot) =
            (begin > answered).then(|| self.beginning_of(begin, interval)).flatten()
        {
            timeline = AddressTimeline::from_snapshot(interval.session.address, snapshot);
            applied = begin;
        }
        // Of segments that are not sealed yet, nobody knows with whom they begin: those are folded, too.
        let mut last_read = answered;
        for later in begin.max(answered + 1)..=last {
            self.budget.check_time()?;
            last_read = later;
            let after = if later < applied { at } else { ALL_TIME.0 };
            if let Some(end) = self.end_in(later, after, &mut timeline)? {
                return Ok(FoundEnd { end: Some(end), known_until: self.known_until(later) });
            }
            if timeline.current(self.known_until(later)).is_none() {
                break;
            }
        }
        let known_until = self.known_until(last_read);
        Ok(FoundEnd {
            end: timeline.finish(known_until).and_then(|interval| interval.end),
            known_until,
        })
    }

    /// How the stay that is there in `chronicle` ended by what a segment holds after `after`, if it did.
    fn end_in(
        &mut self,
        index: usize,
        after: Timestamp,
        timeline: &mut AddressTimeline,
    ) -> Result<Option<IntervalEnd>, HistoryError> {
        let mut end = None;
        self.apply_segment(index, (after, ALL_TIME.1), timeline, &mut |interval| {
            end = interval.end;
            false
        })?;
        Ok(end)
    }

    /// The last of the segments from `from` to `to` that begins with `stay`; `from` when none after it
    /// is known to. Whoever was there when a segment began was there when each before it did.
    fn last_containing(
        &mut self,
        interval: &SessionInterval,
        (mut from, mut to): (usize, usize),
    ) -> Result<usize, HistoryError> {
        while from < to {
            self.budget.check_time()?;
            let middle = (from + to).div_ceil(2);
            match self.beginning_of(middle, interval).is_some() {
                true => from = middle,
                false => to = middle - 1,
            }
        }
        Ok(from)
    }

    /// The state of the address when the segment at `index` began, when `stay` was there then.
    fn beginning_of(&mut self, index: usize, interval: &SessionInterval) -> Option<TableSnapshot> {
        let first = self.segments[index].first;
        let address = interval.session.address;
        self.looked_up.insert(first);
        // One that cannot be read says so when it is told.
        let beginning = self.archive.open(first).and_then(|reader| reader.beginning(address));
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
                && there.since == interval.session.since
                && is_same(&there.principal, &interval.session.principal)
        });
        is_there.then_some(known)
    }
}
