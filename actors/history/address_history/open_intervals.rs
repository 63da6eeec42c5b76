//! Finds the end of an interval that a segment leaves open: the sessions at the beginning of later
//! segments show which segment contains the end, so that only that one is applied.

use std::ops::Range;

use rollcall_identity::{
    AddressTimeline, IntervalEnd, Principal, SessionInterval, TableSnapshot, Timestamp,
};

use super::{ALL_TIME, AddressHistory};
use crate::error::HistoryError;
use rollcall_journal::archive_reader::SegmentInfo;

/// The end of an interval, as far as it is known.
pub(crate) struct FoundEnd {
    /// `None` while the session is active, or if the end is unknown.
    pub(crate) end: Option<IntervalEnd>,
    /// The time up to which the end was searched.
    pub(crate) known_until: Timestamp,
}

impl AddressHistory<'_> {
    /// Finds the end of `interval`, the current one of `timeline`, which contains the events of
    /// these segments up to `at`.
    pub(crate) fn ending(
        &mut self,
        (span, at): (Range<usize>, Timestamp),
        interval: &SessionInterval,
        mut timeline: AddressTimeline,
    ) -> Result<FoundEnd, HistoryError> {
        // Whether a segment that is not sealed contains events of that time is unknown: it may be
        // much later than the sealed ones.
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
        // The events of these segments up to `at` are already applied, unless the timeline is
        // replaced.
        let mut applied = span.end;
        if let Some(snapshot) =
            (begin > answered).then(|| self.beginning_of(begin, interval)).flatten()
        {
            timeline = AddressTimeline::from_snapshot(interval.session.address, snapshot);
            applied = begin;
        }
        // The beginnings of segments that are not sealed are unknown, so their events are applied,
        // too.
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

    /// The end of the current interval of `timeline` by the events of a segment after `after`, if
    /// it ended there.
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

    /// The last of the segments from `from` to `to` whose beginning contains `interval`; `from` if
    /// none is known to. A session at the beginning of a segment was there at the beginning of each
    /// segment between.
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

    /// The state of the address at the beginning of the segment at `index`, if `interval` was
    /// active then.
    fn beginning_of(&mut self, index: usize, interval: &SessionInterval) -> Option<TableSnapshot> {
        let first = self.segments[index].first;
        let address = interval.session.address;
        self.looked_up.insert(first);
        // A read error is reported where the segment is applied.
        let beginning = self.archive.open(first).and_then(|reader| reader.beginning(address));
        let known = beginning.ok().flatten()?;
        // A more precise name is the same session; a renamed user counts as another.
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
