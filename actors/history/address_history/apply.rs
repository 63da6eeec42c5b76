//! The fold of one address over the segments: from who was there when the first of them began, over
//! what is missing between them.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rollcall_identity::{Address, AddressTimeline, IntervalEnd, SessionInterval, Timestamp};

use super::{AddressHistory, EVER};
use crate::error::HistoryError;
use rollcall_journal::archive_reader::{EventQuery, ReadStats};

/// How many segments back who was there when one began may have to be looked for, while those before
/// it are on their way to be sealed.
const BACK: usize = 4;

/// The note for an interval whose end is unknown.
const UNSEEN: &str =
    "somebody's end is among what is missing: it is told as the moment from which on that is so";

impl AddressHistory<'_> {
    /// Folds what was heard of `address` up to `to` in these segments. Each stay that ended meanwhile
    /// goes to `each`; the chronicle knows the last.
    pub(crate) fn fold(
        &mut self,
        span: Range<usize>,
        (address, to): (Address, Timestamp),
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        let chronicle = self.beginning(span.start, address, BACK)?;
        self.go_on((span.clone(), span.start), (EVER.0, to), chronicle, each)
    }

    /// Goes on in these segments with what was received after `after` and up to `to`. A gap
    /// between those up to the second of `span` was told already.
    pub(crate) fn go_on(
        &mut self,
        (span, told): (Range<usize>, usize),
        (after, to): (Timestamp, Timestamp),
        mut chronicle: AddressTimeline,
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        for index in span {
            let chapter = &self.chapters[index];
            if chapter.from > to || chapter.until.is_some_and(|until| until <= after) {
                continue;
            }
            let is_meant = index > told && chapter.begun <= to;
            if is_meant && !self.follows(index) {
                chronicle = self.over_the_gap(index, chronicle, each)?;
            }
            self.tell(index, (after, to), &mut chronicle, &mut |stay| {
                each(stay);
                true
            })?;
        }
        Ok(chronicle)
    }

    /// Goes on with the events of one segment that were received after `after`, up to `to`, until
    /// `each` says that it is enough.
    pub(crate) fn tell(
        &mut self,
        index: usize,
        (after, upto): (Timestamp, Timestamp),
        chronicle: &mut AddressTimeline,
        each: &mut dyn FnMut(SessionInterval) -> bool,
    ) -> Result<(), HistoryError> {
        let address = chronicle.address();
        let wanted = EventQuery { address, after, upto, end: self.end_of(index) };
        let (rules, fold) = (self.rules, self.fold);
        let (budget, poison) = (&mut self.budget, &self.poison);
        let (mut stopped, mut left_out) = (None, Vec::new());
        let read = self.library.open(self.chapters[index].first).and_then(|volume| {
            volume.events(&wanted, |revision, event| {
                if let Err(why) = budget.row() {
                    stopped = Some(why);
                    return false;
                }
                if poison.contains(&revision) {
                    left_out.push(revision);
                    return true;
                }
                // A chronicle in which one panicked is half changed: the question begins anew.
                let folded = || fold(chronicle, revision, &event, rules);
                match catch_unwind(AssertUnwindSafe(folded)) {
                    Ok(stay) => stay.is_none_or(&mut *each),
                    Err(_) => {
                        stopped = Some(HistoryError::Poisoned(revision));
                        false
                    }
                }
            })
        });
        for at in left_out {
            let file = &self.chapters[index].file;
            self.say(format!("the event at {at} in {file} cannot be folded and is left out"));
        }
        match (stopped, read) {
            (Some(why), _) => Err(why),
            (None, Ok(met)) => {
                self.note(index, &met);
                Ok(())
            }
            (None, Err(damage)) => {
                self.note_damage(index, &damage);
                self.lose_sight(self.chapters[index].begun.max(after), chronicle, each);
                Ok(())
            }
        }
    }

    /// From `at` on nobody knows who is there.
    fn lose_sight(
        &mut self,
        at: Timestamp,
        chronicle: &mut AddressTimeline,
        each: &mut dyn FnMut(SessionInterval) -> bool,
    ) {
        let dark = AddressTimeline::from_unknown(chronicle.address());
        let Some(stay) = std::mem::replace(chronicle, dark).finish(at) else { return };
        if stay.end.is_none() {
            self.say(UNSEEN.to_owned());
        }
        let end = stay.end.or(Some(IntervalEnd { at, cause: None }));
        each(SessionInterval { end, ..stay });
    }

    /// Who was at `address` when a segment began.
    fn beginning(
        &mut self,
        index: usize,
        address: Address,
        back: usize,
    ) -> Result<AddressTimeline, HistoryError> {
        let (first, after) = (self.chapters[index].first, self.chapters[index].after);
        match self.library.open(first).and_then(|volume| volume.beginning(address)) {
            Ok(Some(handover)) => {
                self.read.insert(first, self.chapters[index].clone());
                return Ok(AddressTimeline::from_snapshot(address, handover));
            }
            Ok(None) => {}
            Err(damage) => self.note_damage(index, &damage),
        }
        // One that is not sealed yet: the one before it knows.
        if index > 0 && back > 0 && self.follows(index) {
            let mut before = self.beginning(index - 1, address, back - 1)?;
            self.tell(index - 1, *EVER, &mut before, &mut |_| true)?;
            return Ok(before);
        }
        match self.library.snapshot(after, address) {
            Ok(Some(handover)) => {
                self.read.insert(first, self.chapters[index].clone());
                Ok(AddressTimeline::from_snapshot(address, handover))
            }
            Ok(None) | Err(_) => {
                let file = &self.chapters[index].file;
                let text = format!("who was where when {file} began is not known");
                self.say(text);
                Ok(AddressTimeline::from_unknown(address))
            }
        }
    }

    /// Something between two segments is missing: whoever was there may have gone meanwhile.
    fn over_the_gap(
        &mut self,
        index: usize,
        before: AddressTimeline,
        each: &mut dyn FnMut(SessionInterval),
    ) -> Result<AddressTimeline, HistoryError> {
        let (last, next) = (&self.chapters[index - 1], &self.chapters[index]);
        let (file, from, address) = (next.file.clone(), next.from, before.address());
        let text = format!("what came between {} and {file} is missing", last.file);
        self.say(text);
        let after = self.beginning(index, address, 0)?;
        let same = |stay: &SessionInterval| {
            let now = after.current(from);
            now.is_some_and(|now| now.session.since == stay.session.since)
        };
        match before.finish(from) {
            Some(stay) if stay.end.is_some() => each(stay),
            Some(stay) if !same(&stay) => {
                self.say(UNSEEN.to_owned());
                each(SessionInterval { end: Some(IntervalEnd { at: from, cause: None }), ..stay });
            }
            _ => {}
        }
        Ok(after)
    }

    fn note(&mut self, index: usize, met: &ReadStats) {
        let chapter = self.chapters[index].clone();
        if met.rules.iter().any(|rules| *rules != self.fingerprint) {
            let text = format!(
                "other rules were in force while {} was written: this is what today's rules make \
                 of the same events",
                chapter.file
            );
            self.say(text);
        }
        if chapter.lost > 0 {
            let text = format!("{} events of {} are lost", chapter.lost, chapter.file);
            self.say(text);
        }
        if met.damaged > 0 {
            let text = format!("{} events of {} cannot be read", met.damaged, chapter.file);
            self.say(text);
        }
        match met.rows {
            0 => drop(self.looked_up.insert(chapter.first)),
            _ => drop(self.read.insert(chapter.first, chapter)),
        }
    }
}
