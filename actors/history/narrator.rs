//! Tells the past of one address: finds the segments that know it, folds its events by the rules in
//! force, and says what is not known.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use rollcall_identity::{Address, Chronicle, Departure, Name, Revision, Rules, Stay, Timestamp};

use super::budget::Budget;
use super::unanswered::Unanswered;
use crate::journal::Damage;
use crate::journal::library::{Addresses, Chapter, Library, Met, Wanted, seal_of};

/// Where an answer comes from, and what has to be said with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The segments that were read, ascending.
    pub(crate) segments: Vec<Chapter>,
    /// What is not known, or may have been decided otherwise, in sentences.
    pub(crate) notes: Vec<String>,
}

/// One question at work.
pub(super) struct Narrator<'a> {
    library: &'a mut Library,
    rules: &'a Rules,
    now: Timestamp,
    pub(super) budget: Budget,
    chapters: Vec<Chapter>,
    read: BTreeMap<Revision, Chapter>,
    notes: Vec<String>,
}

/// How many segments back who was there when one began may have to be looked for, while those before
/// it are on their way to be sealed.
const BACK: usize = 4;

/// All time that can be written.
pub(super) static EVER: LazyLock<(Timestamp, Timestamp)> =
    LazyLock::new(|| (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)));

impl<'a> Narrator<'a> {
    /// Looks what there is.
    pub(super) fn new(
        library: &'a mut Library,
        (rules, now): (&'a Rules, Timestamp),
        budget: Budget,
    ) -> Result<Self, Unanswered> {
        let (all, damaged) = library.chapters()?;
        let mut notes: Vec<String> = Vec::new();
        notes.extend(damaged.into_iter().map(|file| format!("{file} cannot be opened")));
        let names_end = all.iter().rposition(|chapter| chapter.is_nameless).map_or(0, |at| at + 1);
        let chapters = all[names_end..].to_vec();
        let read = BTreeMap::new();
        let narrator = Self { library, rules, now, budget, chapters, read, notes };
        match (narrator.chapters.is_empty(), names_end) {
            (false, _) => Ok(narrator),
            (true, 0) => Err(narrator.not_known("the journal holds nothing yet".to_owned())),
            (true, _) => Err(narrator.not_known(NAMELESS.to_owned())),
        }
    }

    /// Where the answer came from.
    pub(super) fn sources(self) -> Sources {
        Sources { segments: self.read.into_values().collect(), notes: self.notes }
    }

    /// The time that is asked about must have come.
    pub(super) fn not_in_the_future(&self, at: Timestamp) -> Result<(), Unanswered> {
        if at > self.now {
            let text = format!("{at} has not come yet: it is {}", self.now);
            return Err(Unanswered::Unreasonable(text));
        }
        Ok(())
    }

    /// The time from `from` to `to`, or to now.
    pub(super) fn period(
        &self,
        from: Timestamp,
        to: Option<Timestamp>,
    ) -> Result<(Timestamp, Timestamp), Unanswered> {
        self.not_in_the_future(from)?;
        let to = to.map_or(self.now, |to| to.min(self.now));
        if to < from {
            return Err(Unanswered::Unreasonable(format!("to: {to} is before {from}")));
        }
        Ok((from, to))
    }

    /// The segments that tell of the time from `from` to `to`: the first of them tells who was there
    /// at `from`.
    pub(super) fn span(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Range<usize>, Unanswered> {
        let reach = self.reach()?;
        if from < reach {
            let text = format!("the journal reaches back to {reach}: what was before is not known");
            return Err(self.not_known(text));
        }
        let end = self.chapters.iter().rposition(|chapter| chapter.from <= to).unwrap_or(0);
        // Who was there when it began is of use when nothing before it was received later than that.
        let is_settled = |index: &usize| {
            let (before, chapter) = (&self.chapters[index - 1], &self.chapters[*index]);
            let is_of_then = self.follows(*index) || chapter.begun <= from;
            is_of_then && before.until.unwrap_or(chapter.begun) <= from
        };
        let begin = (1..=end).rev().find(is_settled).unwrap_or(0);
        self.not_missing(from)?;
        self.budget.segments(end + 1 - begin)?;
        Ok(begin..end + 1)
    }

    /// What happened up to `at` is there: it is not within a gap.
    pub(super) fn not_missing(&self, at: Timestamp) -> Result<(), Unanswered> {
        let began = |chapter: &Chapter| chapter.begun <= at;
        let last = self.chapters.iter().rposition(began).unwrap_or(0);
        let is_covered = self.chapters[last].until.is_none_or(|until| at <= until);
        if is_covered || last + 1 == self.chapters.len() || self.follows(last + 1) {
            return Ok(());
        }
        let (before, after) = (&self.chapters[last], &self.chapters[last + 1]);
        let text = format!(
            "what the journal held of {at} is missing, between {} and {}",
            before.file, after.file
        );
        Err(self.not_known(text))
    }

    /// The same of the end of a time that is asked about: what came before it can be told.
    pub(super) fn say_if_missing(&mut self, to: Timestamp) {
        if let Err(Unanswered::NotKnown { why, .. }) = self.not_missing(to) {
            self.say(why);
        }
    }

    /// From when on the journal knows anything.
    pub(super) fn reach(&mut self) -> Result<Timestamp, Unanswered> {
        let (first, begun) = (self.chapters[0].first, self.chapters[0].begun);
        Ok(self.library.open(first)?.begun().min(begun))
    }

    /// Folds what was heard of `address` up to `to` in these segments. Each stay that ended meanwhile
    /// goes to `each`; the chronicle knows the last.
    pub(super) fn fold(
        &mut self,
        span: Range<usize>,
        (address, to): (Address, Timestamp),
        each: &mut dyn FnMut(Stay),
    ) -> Result<Chronicle, Unanswered> {
        let chronicle = self.beginning(span.start, address, BACK)?;
        self.go_on((span.clone(), span.start), (EVER.0, to), chronicle, each)
    }

    /// Goes on in these segments with what was received after `after` and up to `to`. What is missing
    /// between those up to the second of `span` was told already.
    pub(super) fn go_on(
        &mut self,
        (span, told): (Range<usize>, usize),
        (after, to): (Timestamp, Timestamp),
        mut chronicle: Chronicle,
        each: &mut dyn FnMut(Stay),
    ) -> Result<Chronicle, Unanswered> {
        for index in span {
            let is_meant = index > told && self.chapters[index].begun <= to;
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

    /// The last of these segments that holds anything received at `at` or before.
    pub(super) fn last_before(&self, span: &Range<usize>, at: Timestamp) -> usize {
        let began = |index: &usize| self.chapters[*index].from <= at;
        span.clone().rev().find(began).unwrap_or(span.start)
    }

    /// Goes on with the events of one segment that were received after `after`, up to `to`, until
    /// `each` says that it is enough.
    pub(super) fn tell(
        &mut self,
        index: usize,
        (after, upto): (Timestamp, Timestamp),
        chronicle: &mut Chronicle,
        each: &mut dyn FnMut(Stay) -> bool,
    ) -> Result<(), Unanswered> {
        let address = chronicle.address();
        let wanted = Wanted { address, after, upto, end: self.end_of(index) };
        let (rules, budget) = (self.rules, &mut self.budget);
        let mut exhausted = None;
        let read = self.library.open(self.chapters[index].first).and_then(|volume| {
            volume.events(&wanted, |revision, event| {
                if let Err(why) = budget.row() {
                    exhausted = Some(why);
                    return false;
                }
                chronicle.apply(revision, &event, rules).is_none_or(&mut *each)
            })
        });
        match (exhausted, read) {
            (Some(why), _) => Err(why),
            (None, Ok(met)) => self.note(index, met),
            (None, Err(damage)) => {
                self.note_damage(index, &damage);
                Ok(())
            }
        }
    }

    /// Who was at `address` when a segment began.
    fn beginning(
        &mut self,
        index: usize,
        address: Address,
        back: usize,
    ) -> Result<Chronicle, Unanswered> {
        let (first, after) = (self.chapters[index].first, self.chapters[index].after);
        match self.library.open(first).and_then(|volume| volume.beginning(address)) {
            Ok(Some(handover)) => {
                self.read.insert(first, self.chapters[index].clone());
                return Ok(Chronicle::after(address, handover));
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
                Ok(Chronicle::after(address, handover))
            }
            Ok(None) | Err(_) => {
                let file = &self.chapters[index].file;
                let text = format!("who was where when {file} began is not known");
                self.say(text);
                Ok(Chronicle::out_of_the_dark(address))
            }
        }
    }

    /// Something between two segments is missing: whoever was there may have gone meanwhile.
    fn over_the_gap(
        &mut self,
        index: usize,
        before: Chronicle,
        each: &mut dyn FnMut(Stay),
    ) -> Result<Chronicle, Unanswered> {
        let (last, next) = (&self.chapters[index - 1], &self.chapters[index]);
        let (file, from, address) = (next.file.clone(), next.from, before.address());
        let text = format!("what came between {} and {file} is missing", last.file);
        self.say(text);
        let after = self.beginning(index, address, 0)?;
        let same = |stay: &Stay| {
            let now = after.there(from);
            now.is_some_and(|now| now.session.since == stay.session.since)
        };
        match before.last(from) {
            Some(stay) if stay.end.is_some() => each(stay),
            Some(stay) if !same(&stay) => {
                let text = "somebody's end is among what is missing: it is told as the moment from \
                    which on the journal knows more";
                self.say(text.to_owned());
                each(Stay { end: Some(Departure { at: from, cause: None }), ..stay });
            }
            _ => {}
        }
        Ok(after)
    }

    /// Where `user` may have been, in these segments.
    pub(super) fn places_of(
        &mut self,
        user: &Name,
        (span, to): (Range<usize>, Timestamp),
        mut found: Addresses,
    ) -> Result<Addresses, Unanswered> {
        // Who was there when one that is not sealed began, the one before it knows.
        let mut begin = span.start;
        while begin > 0 && self.chapters[begin].last.is_none() && self.follows(begin) {
            begin -= 1;
        }
        let after = self.chapters[begin].after;
        self.library.snapshot_of(after, user, &mut found)?;
        for index in begin..span.end {
            self.budget.in_time()?;
            let first = self.chapters[index].first;
            let read = self.library.open(first);
            if let Err(damage) = read.and_then(|volume| volume.addresses_of(user, to, &mut found)) {
                self.note_damage(index, &damage);
            }
        }
        Ok(found)
    }

    /// Where anything was heard of after `from` and up to `to`, in these segments.
    pub(super) fn places_between(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        span: Range<usize>,
        mut found: Addresses,
    ) -> Result<Addresses, Unanswered> {
        for index in span {
            self.budget.in_time()?;
            let first = self.chapters[index].first;
            let read = self.library.open(first);
            let read = read.and_then(|volume| volume.addresses_between((from, to), &mut found));
            if let Err(damage) = read {
                self.note_damage(index, &damage);
            }
        }
        Ok(found)
    }

    /// Until when what is told of a segment is all that there is.
    pub(super) fn told_until(&self, index: usize) -> Timestamp {
        self.chapters[index].until.unwrap_or(self.now)
    }

    /// Whether a segment begins where the one before it ends.
    fn follows(&self, index: usize) -> bool {
        let (before, after) = (&self.chapters[index - 1], self.chapters[index].after);
        // One that is not sealed yet ends where the next one says, unless that is before its own
        // beginning.
        before.last.map_or(after >= before.after, |last| last == after)
    }

    /// The last position of a segment that was acknowledged: the next one says it.
    fn end_of(&self, index: usize) -> Revision {
        let next = self.chapters.get(index + 1);
        next.map_or(Revision(u64::MAX), |next| next.after)
    }

    fn note(&mut self, index: usize, met: Met) -> Result<(), Unanswered> {
        let chapter = self.chapters[index].clone();
        let mine = seal_of(self.rules);
        let mut seals = vec![self.library.open(chapter.first)?.rules()];
        if let Some(next) = self.chapters.get(index + 1).map(|next| next.first) {
            // Rules that were exchanged in the midst of it show in the next one.
            seals.extend(self.library.open(next).map(|volume| volume.rules()));
        }
        if seals.iter().any(|rules| *rules != mine) {
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
        if met.rows > 0 {
            self.read.insert(chapter.first, chapter);
        }
        Ok(())
    }

    fn note_damage(&mut self, index: usize, damage: &Damage) {
        let text = format!("{} is damaged ({damage})", self.chapters[index].file);
        self.say(text);
    }

    fn say(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Nothing can be said, for this reason and those that were noted.
    pub(super) fn not_known(&self, why: String) -> Unanswered {
        Unanswered::NotKnown { why, notes: self.notes.clone() }
    }
}

/// Why nothing is told of a time whose names were taken out.
const NAMELESS: &str =
    "the names of that time were taken out of the journal, as its configuration says";
