//! Which segments tell of a time, and whether what they tell of it is whole.

use std::ops::Range;
use std::time::Duration;

use rollcall_identity::{Revision, Timestamp};

use super::AddressHistory;
use crate::error::HistoryError;
use rollcall_journal::archive_reader::SegmentInfo;

/// Of how long is told when nobody says how long: as long as a session lasts by default.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl AddressHistory<'_> {
    /// The time that is asked about must have come.
    pub(crate) fn check_past(&self, at: Timestamp) -> Result<(), HistoryError> {
        if at > self.now {
            let text = format!("{at} is in the future: now is {}", self.now);
            return Err(HistoryError::Invalid(text));
        }
        Ok(())
    }

    /// The time from `from` to `to`, or to now. Without `from`, the day before that, as far as the
    /// journal reaches back.
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

    /// The segments that tell of the time from `from` to `to`: the first of them tells who was there
    /// at `from`.
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
        // Who was there when it began is of use when nothing before it was received later than that.
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

    /// Whether events up to `at` are complete: it is not within a gap.
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

    /// The same of the end of a time that is asked about: what came before it can be told.
    pub(crate) fn note_if_incomplete(&mut self, to: Timestamp) {
        if let Err(HistoryError::Unknown { why, .. }) = self.check_complete(to) {
            self.add_note(why);
        }
    }

    /// From when on the journal knows anything.
    fn journal_start(&mut self) -> Timestamp {
        let (first, begun) = (self.segments[0].first, self.segments[0].begun);
        // One that is damaged tells nothing; the others do.
        self.archive.open(first).map_or(begun, |reader| reader.begun().min(begun))
    }

    /// The last of these segments that holds anything received at `at` or before.
    pub(crate) fn last_before(&self, span: &Range<usize>, at: Timestamp) -> usize {
        let began = |index: &usize| self.segments[*index].from <= at;
        span.clone().rev().find(began).unwrap_or(span.start)
    }

    /// Whether a segment begins where the one before it ends, as far as that can be read.
    pub(crate) fn follows(&self, index: usize) -> bool {
        let (before, after) = (&self.segments[index - 1], self.segments[index].after);
        // One that is not sealed yet ends where the next one says, unless that is before its own
        // beginning.
        let ends_there = before.last.map_or(after >= before.after, |last| last == after);
        ends_there && !self.damaged.contains(&(index - 1))
    }

    /// The last position of a segment that was acknowledged: the next one says it.
    pub(crate) fn end_of(&self, index: usize) -> Revision {
        let next = self.segments.get(index + 1);
        next.map_or(Revision(u64::MAX), |next| next.after)
    }
}
