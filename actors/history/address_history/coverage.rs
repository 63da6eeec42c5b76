//! Selects the segments of a period and checks that they are complete.

use std::ops::Range;
use std::time::Duration;

use rollcall_identity::{Revision, Timestamp};

use super::AddressHistory;
use crate::error::HistoryError;
use rollcall_journal::archive_reader::SegmentInfo;

/// The default period: the default maximum duration of a session.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl AddressHistory<'_> {
    /// Checks that the time is not in the future.
    pub(crate) fn check_past(&self, at: Timestamp) -> Result<(), HistoryError> {
        if at > self.now {
            let text = format!("{at} is in the future: now is {}", self.now);
            return Err(HistoryError::Invalid(text));
        }
        Ok(())
    }

    /// The period from `from` to `to`, or to now. Without `from`, the day before `to`, within the
    /// journal.
    pub(crate) fn period(
        &mut self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<(Timestamp, Timestamp), HistoryError> {
        let to = to.map_or(self.now, |to| to.min(self.now));
        let from = from.unwrap_or_else(|| (to - DAY).max(self.journal_start()));
        self.check_past(from)?;
        if to < from {
            return Err(HistoryError::Invalid(format!("to: {to} is before {from}")));
        }
        Ok((from, to))
    }

    /// The segments of the period from `from` to `to`. The first one contains the state at `from`.
    pub(crate) fn span(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Range<usize>, HistoryError> {
        let journal_start = self.journal_start();
        if from < journal_start {
            let text =
                format!("the journal reaches back to {journal_start}: earlier times are unknown");
            return Err(self.unknown(text));
        }
        let end = self.segments.iter().rposition(|segment| segment.from <= to).unwrap_or(0);
        // The state at the beginning of a segment is usable if no earlier segment has events
        // received after `from`.
        let is_settled = |index: &usize| {
            let (before, segment) = (&self.segments[index - 1], &self.segments[*index]);
            let is_of_then = self.follows(*index) || segment.begun <= from;
            is_of_then && before.until.unwrap_or(segment.begun) <= from
        };
        let begin = (1..=end).rev().find(is_settled).unwrap_or(0);
        self.check_complete(from)?;
        self.budget.segments(end + 1 - begin)?;
        Ok(begin..end + 1)
    }

    /// Checks that events up to `at` are complete: `at` is not in a gap.
    pub(crate) fn check_complete(&self, at: Timestamp) -> Result<(), HistoryError> {
        let began = |segment: &SegmentInfo| segment.begun <= at;
        let last = self.segments.iter().rposition(began).unwrap_or(0);
        let (before, next) = (&self.segments[last], self.segments.get(last + 1));
        let is_between =
            |first: &Revision| *first > before.first && next.is_none_or(|next| *first < next.first);
        let is_unopened = self.unopened.iter().any(is_between);
        let is_covered = before.until.map_or(!is_unopened, |until| at <= until);
        let is_next = next.is_none() || self.follows(last + 1);
        if is_covered || is_next && !is_unopened {
            return Ok(());
        }
        let after = next.map_or("now", |next| next.file.as_str());
        let file = &before.file;
        let text =
            format!("the part of the journal with {at} is missing, between {file} and {after}");
        Err(self.unknown(text))
    }

    /// Notes if the end of a period is in a gap: the part before it can be answered.
    pub(crate) fn note_if_incomplete(&mut self, to: Timestamp) {
        if let Err(HistoryError::Unknown { why, .. }) = self.check_complete(to) {
            self.add_note(why);
        }
    }

    /// The time at which the journal begins.
    fn journal_start(&mut self) -> Timestamp {
        let (first, begun) = (self.segments[0].first, self.segments[0].begun);
        // A damaged segment gives no time; the others do.
        self.archive.open(first).map_or(begun, |reader| reader.begun().min(begun))
    }

    /// The last of these segments with events received at `at` or before.
    pub(crate) fn last_before(&self, span: &Range<usize>, at: Timestamp) -> usize {
        let began = |index: &usize| self.segments[*index].from <= at;
        span.clone().rev().find(began).unwrap_or(span.start)
    }

    /// Whether a segment begins where the segment before it ends, as far as this can be read.
    pub(crate) fn follows(&self, index: usize) -> bool {
        let (before, after) = (&self.segments[index - 1], self.segments[index].after);
        // A segment that is not sealed ends where the next one begins, unless that is before its
        // own beginning.
        let ends_there = before.last.map_or(after >= before.after, |last| last == after);
        ends_there && !self.damaged.contains(&(index - 1))
    }

    /// The last acknowledged position of a segment, according to the next one.
    pub(crate) fn end_of(&self, index: usize) -> Revision {
        let next = self.segments.get(index + 1);
        next.map_or(Revision(u64::MAX), |next| next.after)
    }
}
