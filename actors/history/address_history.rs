//! The history of one address: selects the segments, applies their events by the effective rules,
//! and notes what is unknown.

mod apply;
mod coverage;
mod open_intervals;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use rollcall_identity::{
    AddressTimeline, Event, Name, Revision, Rules, SessionInterval, Timestamp,
};

use super::error::HistoryError;
use super::query_budget::QueryBudget;
use rollcall_journal::Corruption;
use rollcall_journal::archive_reader::{Addresses, Archive, SegmentInfo};

/// Applies an event to the timeline of its address and returns the interval that it ended.
pub(crate) type ApplyFn =
    fn(&mut AddressTimeline, Revision, &Event, &Rules) -> Option<SessionInterval>;

/// The sources of an answer, with notes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The segments that were read, ascending.
    pub segments: Vec<SegmentInfo>,
    /// The number of other segments in which an index had no match, or of which only the beginning
    /// was read.
    pub looked_up: usize,
    /// Notes about missing parts and about other rules.
    pub notes: Vec<String>,
}

/// A query in progress.
pub(crate) struct AddressHistory<'a> {
    archive: &'a mut Archive,
    rules: &'a Arc<Rules>,
    fingerprint: u64,
    apply: ApplyFn,
    /// The events that are skipped because applying them panics.
    quarantined: BTreeSet<Revision>,
    now: Timestamp,
    pub budget: QueryBudget,
    segments: Vec<SegmentInfo>,
    /// The beginnings of the segments that cannot be opened.
    unopened: Vec<Revision>,
    /// The segments that turned out to be damaged.
    damaged: BTreeSet<usize>,
    read: BTreeMap<Revision, SegmentInfo>,
    /// The segments whose index was searched. Some of them were read afterwards.
    looked_up: BTreeSet<Revision>,
    notes: Vec<String>,
}

/// The largest period.
pub(crate) static ALL_TIME: LazyLock<(Timestamp, Timestamp)> =
    LazyLock::new(|| (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)));

impl<'a> AddressHistory<'a> {
    /// Lists the segments.
    pub(crate) fn new(
        archive: &'a mut Archive,
        (rules, apply): (&'a Arc<Rules>, ApplyFn),
        now: Timestamp,
        budget: QueryBudget,
    ) -> Result<Self, HistoryError> {
        let (all, unopened) = archive.segments()?;
        let notes = unopened.values().map(|file| format!("{file} cannot be opened")).collect();
        let names_end = all.iter().rposition(|segment| segment.is_nameless).map_or(0, |at| at + 1);
        let segments = all[names_end..].to_vec();
        let fingerprint = archive.fingerprint(rules);
        let quarantined = archive.quarantined().clone();
        let history = Self {
            archive,
            rules,
            fingerprint,
            apply,
            quarantined,
            now,
            budget,
            segments,
            unopened: unopened.into_keys().collect(),
            damaged: BTreeSet::new(),
            read: BTreeMap::new(),
            looked_up: BTreeSet::new(),
            notes,
        };
        match (history.segments.is_empty(), names_end) {
            (false, _) => Ok(history),
            (true, 0) => Err(history.unknown("the journal is empty".to_owned())),
            (true, _) => Err(history.unknown(NAMES_ERASED.to_owned())),
        }
    }

    /// The sources of the answer.
    pub(crate) fn sources(self) -> Sources {
        let looked_up =
            self.looked_up.iter().filter(|first| !self.read.contains_key(first)).count();
        Sources { segments: self.read.into_values().collect(), looked_up, notes: self.notes }
    }

    /// The addresses where `user` may have been, in these segments.
    pub(crate) fn addresses_of(
        &mut self,
        user: &Name,
        (span, to): (Range<usize>, Timestamp),
        mut found: Addresses,
    ) -> Result<Addresses, HistoryError> {
        // The beginning of a segment without sessions follows from the segment before.
        let mut begin = span.start;
        while begin > 0 && !self.segments[begin].has_beginning && self.follows(begin) {
            begin -= 1;
        }
        let after = self.segments[begin].after;
        self.archive.snapshot_of(after, user, &mut found)?;
        for index in begin..span.end {
            self.budget.check_time()?;
            let first = self.segments[index].first;
            let read = self.archive.open(first);
            if let Err(damage) = read.and_then(|reader| reader.addresses_of(user, to, &mut found)) {
                self.note_damage(index, &damage);
            }
        }
        Ok(found)
    }

    /// The addresses with events after `from` and up to `to`, in these segments.
    pub(crate) fn addresses_between(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        span: Range<usize>,
        mut found: Addresses,
    ) -> Result<Addresses, HistoryError> {
        for index in span {
            self.budget.check_time()?;
            let first = self.segments[index].first;
            let read = self.archive.open(first);
            let read = read.and_then(|reader| reader.addresses_between((from, to), &mut found));
            if let Err(damage) = read {
                self.note_damage(index, &damage);
            }
        }
        Ok(found)
    }

    /// The time until which the content of a segment is complete.
    pub(crate) fn known_until(&self, index: usize) -> Timestamp {
        self.segments[index].until.unwrap_or(self.now)
    }

    fn note_damage(&mut self, index: usize, damage: &Corruption) {
        let text = format!("{} is damaged ({damage})", self.segments[index].file);
        self.damaged.insert(index);
        self.add_note(text);
    }

    fn add_note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// An error for an unknown answer, with the notes so far.
    pub(crate) fn unknown(&self, why: String) -> HistoryError {
        HistoryError::Unknown { why, notes: self.notes.clone() }
    }
}

/// The reason for a period whose names were erased.
const NAMES_ERASED: &str =
    "the names of that time were erased from the journal after names_retention";
