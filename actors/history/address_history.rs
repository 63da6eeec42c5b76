//! Tells the past of one address: finds the segments that know it, folds its events by the rules in
//! force, and says what is not known.

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

/// Folds one event into the chronicle of its address, and gives out the stay that ended by it.
pub(crate) type ApplyFn =
    fn(&mut AddressTimeline, Revision, &Event, &Rules) -> Option<SessionInterval>;

/// Where an answer comes from, and what has to be said with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The segments that were read, ascending.
    pub segments: Vec<SegmentInfo>,
    /// In how many others an index had nothing about it, or only told who was there when they began.
    pub looked_up: usize,
    /// Sentences about what is unknown or may have been decided by other rules.
    pub notes: Vec<String>,
}

/// One question at work.
pub(crate) struct AddressHistory<'a> {
    archive: &'a mut Archive,
    rules: &'a Arc<Rules>,
    fingerprint: u64,
    apply: ApplyFn,
    /// Which events are left out, because nobody survives folding them.
    quarantined: BTreeSet<Revision>,
    now: Timestamp,
    pub budget: QueryBudget,
    segments: Vec<SegmentInfo>,
    /// Where those begin that cannot be opened.
    unopened: Vec<Revision>,
    /// Which of the others turned out to be damaged.
    damaged: BTreeSet<usize>,
    read: BTreeMap<Revision, SegmentInfo>,
    /// Those of which only an index was asked, some of which were then read.
    looked_up: BTreeSet<Revision>,
    notes: Vec<String>,
}

/// All time that can be written.
pub(crate) static ALL_TIME: LazyLock<(Timestamp, Timestamp)> =
    LazyLock::new(|| (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)));

impl<'a> AddressHistory<'a> {
    /// Looks what there is.
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

    /// Where the answer came from.
    pub(crate) fn sources(self) -> Sources {
        let looked_up =
            self.looked_up.iter().filter(|first| !self.read.contains_key(first)).count();
        Sources { segments: self.read.into_values().collect(), looked_up, notes: self.notes }
    }

    /// Where `user` may have been, in these segments.
    pub(crate) fn addresses_of(
        &mut self,
        user: &Name,
        (span, to): (Range<usize>, Timestamp),
        mut found: Addresses,
    ) -> Result<Addresses, HistoryError> {
        // Who was there when one began that does not say, the one before it knows.
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

    /// Where anything was heard of after `from` and up to `to`, in these segments.
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

    /// Until when what is told of a segment is all that there is.
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

    /// Nothing can be said, for this reason and those that were noted.
    pub(crate) fn unknown(&self, why: String) -> HistoryError {
        HistoryError::Unknown { why, notes: self.notes.clone() }
    }
}

/// Why nothing is told of a time whose names were taken out.
const NAMES_ERASED: &str =
    "the names of that time were erased from the journal after names_retention";
