//! Applies the events of one address across segments: from the state at the beginning of the first
//! one, and across gaps.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rollcall_identity::{Address, AddressTimeline, IntervalEnd, SessionInterval, Timestamp};

use super::{ALL_TIME, AddressHistory};
use crate::error::HistoryError;
use rollcall_journal::archive_reader::{EventQuery, ReadStats};

/// How many segments back the state of a beginning is searched, while segments wait to be sealed.
const MAX_STEPS_BACK: usize = 4;

/// The note for an interval whose end is unknown.
const UNKNOWN_END: &str =
    "the end of a session is in the missing part: the start of that part is given as its end";

impl AddressHistory<'_> {
    /// Applies the events of `address` up to `to` in these segments. Each ended interval goes to
    /// `each`; the timeline contains the last one.
    pub(crate) fn apply(
        &mut self,
        span: Range<usize>,
        (address, to): (Address, Timestamp),
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        let timeline = self.beginning(span.start, address, MAX_STEPS_BACK)?;
        self.continue_with((span.clone(), span.start), (ALL_TIME.0, to), timeline, each)
    }

    /// Continues in these segments with the events received after `after` and up to `to`. Gaps up
    /// to the segment `entered` were handled before.
    pub(crate) fn continue_with(
        &mut self,
        (span, entered): (Range<usize>, usize),
        (after, to): (Timestamp, Timestamp),
        mut timeline: AddressTimeline,
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        for index in span {
            let segment = &self.segments[index];
            if segment.from > to || segment.until.is_some_and(|until| until <= after) {
                continue;
            }
            let is_meant = index > entered && segment.begun <= to;
            if is_meant && !self.follows(index) {
                timeline = self.cross_gap(index, timeline, each)?;
            }
            self.apply_segment(index, (after, to), &mut timeline, &mut |interval| {
                each(interval);
                true
            })?;
        }
        Ok(timeline)
    }

    /// Continues with the events of one segment received after `after`, up to `to`, until `each`
    /// returns false.
    pub(crate) fn apply_segment(
        &mut self,
        index: usize,
        (after, upto): (Timestamp, Timestamp),
        timeline: &mut AddressTimeline,
        each: &mut dyn FnMut(SessionInterval) -> bool,
    ) -> Result<(), HistoryError> {
        let address = timeline.address();
        let wanted = EventQuery { address, after, upto, end: self.end_of(index) };
        let (rules, apply) = (self.rules, self.apply);
        let (budget, quarantined) = (&mut self.budget, &self.quarantined);
        let (mut stopped, mut skipped) = (None, Vec::new());
        let read = self.archive.open(self.segments[index].first).and_then(|reader| {
            reader.events(&wanted, |revision, event| {
                if let Err(why) = budget.row() {
                    stopped = Some(why);
                    return false;
                }
                if quarantined.contains(&revision) {
                    skipped.push(revision);
                    return true;
                }
                // A panic leaves the timeline partly changed, so the query begins again.
                let applied = || apply(timeline, revision, &event, rules);
                match catch_unwind(AssertUnwindSafe(applied)) {
                    Ok(interval) => interval.is_none_or(&mut *each),
                    Err(_) => {
                        stopped = Some(HistoryError::EventPanicked(revision));
                        false
                    }
                }
            })
        });
        for at in skipped {
            let file = &self.segments[index].file;
            self.add_note(format!("the event at {at} in {file} cannot be applied and is skipped"));
        }
        match (stopped, read) {
            (Some(why), _) => Err(why),
            (None, Ok(stats)) => {
                self.note(index, &stats);
                Ok(())
            }
            (None, Err(damage)) => {
                self.note_damage(index, &damage);
                self.mark_unknown(self.segments[index].begun.max(after), timeline, each);
                Ok(())
            }
        }
    }

    /// From `at` on the session is unknown.
    fn mark_unknown(
        &mut self,
        at: Timestamp,
        timeline: &mut AddressTimeline,
        each: &mut dyn FnMut(SessionInterval) -> bool,
    ) {
        let unknown_timeline = AddressTimeline::from_unknown(timeline.address());
        let Some(interval) = std::mem::replace(timeline, unknown_timeline).finish(at) else {
            return;
        };
        if interval.end.is_none() {
            self.add_note(UNKNOWN_END.to_owned());
        }
        let end = interval.end.or(Some(IntervalEnd { at, cause: None }));
        each(SessionInterval { end, ..interval });
    }

    /// The state of `address` at the beginning of a segment.
    fn beginning(
        &mut self,
        index: usize,
        address: Address,
        back: usize,
    ) -> Result<AddressTimeline, HistoryError> {
        let (first, after) = (self.segments[index].first, self.segments[index].after);
        match self.archive.open(first).and_then(|reader| reader.beginning(address)) {
            Ok(Some(snapshot)) => {
                self.read.insert(first, self.segments[index].clone());
                return Ok(AddressTimeline::from_snapshot(address, snapshot));
            }
            Ok(None) => {}
            Err(damage) => self.note_damage(index, &damage),
        }
        // For a segment that is not sealed, the state follows from the segment before.
        if index > 0 && back > 0 && self.follows(index) {
            let mut before = self.beginning(index - 1, address, back - 1)?;
            self.apply_segment(index - 1, *ALL_TIME, &mut before, &mut |_| true)?;
            return Ok(before);
        }
        match self.archive.snapshot(after, address) {
            Ok(Some(snapshot)) => {
                self.read.insert(first, self.segments[index].clone());
                Ok(AddressTimeline::from_snapshot(address, snapshot))
            }
            Ok(None) | Err(_) => {
                let file = &self.segments[index].file;
                let text = format!("the sessions at the beginning of {file} are unknown");
                self.add_note(text);
                Ok(AddressTimeline::from_unknown(address))
            }
        }
    }

    /// A part between two segments is missing: the session may have ended meanwhile.
    fn cross_gap(
        &mut self,
        index: usize,
        before: AddressTimeline,
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        let (last, next) = (&self.segments[index - 1], &self.segments[index]);
        let (file, from, address) = (next.file.clone(), next.from, before.address());
        let text = format!("the part between {} and {file} is missing", last.file);
        self.add_note(text);
        let after = self.beginning(index, address, 0)?;
        let same = |interval: &SessionInterval| {
            let now = after.current(from);
            now.is_some_and(|now| now.session.since == interval.session.since)
        };
        match before.finish(from) {
            Some(interval) if interval.end.is_some() => each(interval),
            Some(interval) if !same(&interval) => {
                self.add_note(UNKNOWN_END.to_owned());
                each(SessionInterval {
                    end: Some(IntervalEnd { at: from, cause: None }),
                    ..interval
                });
            }
            _ => {}
        }
        Ok(after)
    }

    fn note(&mut self, index: usize, stats: &ReadStats) {
        let segment = self.segments[index].clone();
        if stats.rules.iter().any(|rules| *rules != self.fingerprint) {
            let text = format!(
                "other rules were effective while {} was written: this is the result of the \
                 current rules for the same events",
                segment.file
            );
            self.add_note(text);
        }
        if segment.lost > 0 {
            let text = format!("{} events of {} are lost", segment.lost, segment.file);
            self.add_note(text);
        }
        if stats.damaged > 0 {
            let text = format!("{} events of {} cannot be read", stats.damaged, segment.file);
            self.add_note(text);
        }
        match stats.rows {
            0 => drop(self.looked_up.insert(segment.first)),
            _ => drop(self.read.insert(segment.first, segment)),
        }
    }
}
