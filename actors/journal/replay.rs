//! What other rules would have made of the last hours: the journal is folded once more by them, and
//! compared with the table as it was written down.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rollcall_identity::{
    Address, Event, Explanation, Revision, RevisionRange, Rules, Session, Table, TableSnapshot,
    Timestamp,
};
use rusqlite::OptionalExtension;

use super::corruption::Corruption;
use super::event_reader::SegmentTitle;
use super::file::{self, HeaderField};
use super::layout::{JournalLayout, name_of};
use super::quarantine::{self, Fold, Stopped, fold, without_poison};
use super::rule_versions::{self, RuleVersion};
use super::{checkpoint, snapshot};

/// What came of it.
#[derive(Debug)]
pub struct ReplayReport {
    /// From when on events were folded by the other rules.
    pub from: Timestamp,
    /// Up to when: the moment at which the two are compared.
    pub until: Timestamp,
    /// The position of the table that they were compared with.
    pub revision: Revision,
    /// How many events were folded.
    pub events: u64,
    /// The addresses that differ, in their order.
    pub differing: Vec<ReplayDifference>,
    /// What could not be folded, and what has to be said beside, in sentences.
    pub notes: Vec<String>,
}

/// An address that would have somebody else.
#[derive(Debug)]
pub struct ReplayDifference {
    /// Where.
    pub address: Address,
    /// Whom it has.
    pub has: Option<Arc<Session>>,
    /// Why it would have somebody else, or nobody.
    pub would_have: Explanation,
}

/// A segment to fold.
struct SegmentInfo {
    path: PathBuf,
    title: SegmentTitle,
    begun: Timestamp,
    /// Where other rules came into force in it.
    notes: Vec<RuleVersion>,
}

/// Folds what was received since `before` the newest snapshot of the journal in `folder` by `rules`.
/// Folding begins where a segment began, at that time or earlier: with the sessions as they were. An
/// event whose folding panics is set aside, and all others are folded.
///
/// # Errors
/// When the journal cannot be read, or holds no snapshot yet.
pub fn replay(folder: &Path, rules: &Rules, before: Duration) -> Result<ReplayReport, Corruption> {
    replay_by(fold, (&JournalLayout::at(folder), rules), before)
}

/// The same by another way of folding.
pub(super) fn replay_by(
    fold: Fold,
    (folder, rules): (&JournalLayout, &Rules),
    before: Duration,
) -> Result<ReplayReport, Corruption> {
    without_poison(|poison| {
        let newest = folder
            .list()?
            .snapshots
            .iter()
            .rev()
            .find_map(|last| snapshot::read(&folder.snapshot(*last)).ok());
        let missing = || Corruption::Missing("a table that was written down".to_owned());
        let today = newest.ok_or_else(missing)?.handover;
        let chapters = chapters(folder, today.newest)?;
        let until = last_seen(&chapters, today.newest)?;
        let (begin, mut table) = beginning(folder, &chapters, until - before)?;
        let chapters = &chapters[begin..];
        let mut replayed = ReplayReport {
            from: chapters[0].begun,
            until,
            revision: today.newest,
            events: 0,
            differing: Vec::new(),
            notes: changes_of_rules(chapters, today.newest)?.into_iter().collect(),
        };
        replayed
            .fold(chapters, poison, |revision, event| fold(&mut table, revision, event, rules))?;
        replayed.differing = differing(&Table::restore(today), &table, until);
        Ok(replayed)
    })
}

impl ReplayReport {
    /// Folds the events of these segments, but for `poison`, and notes what cannot be.
    fn fold(
        &mut self,
        chapters: &[SegmentInfo],
        poison: &BTreeSet<Revision>,
        mut fold: impl FnMut(Revision, &Event),
    ) -> Result<(), Stopped> {
        for (index, chapter) in chapters.iter().enumerate() {
            let span =
                RevisionRange { after: Revision(0), upto: end_of(chapters, index, self.revision) };
            let (read, _) = quarantine::read((&chapter.path, span), poison, &mut fold)?;
            self.events += read.events;
            if !read.is_whole() {
                let file = name_of(&chapter.path);
                self.notes.push(format!("{} events of {file} are lost", read.lost.max(1)));
            }
        }
        self.notes.extend(poison.iter().map(|at| {
            format!("the event at {at} cannot be folded and is left out: please report it")
        }));
        self.events = self.events.saturating_sub(poison.len() as u64);
        Ok(())
    }
}

/// The last position of a segment that counts, of those up to `newest`.
fn end_of(chapters: &[SegmentInfo], index: usize, newest: Revision) -> Revision {
    chapters.get(index + 1).map_or(newest, |next| next.title.after.min(newest))
}

/// What has to be said when the table was not decided by one set of rules.
fn changes_of_rules(
    chapters: &[SegmentInfo],
    newest: Revision,
) -> Result<Option<String>, Corruption> {
    let (mut in_force, mut changes) = (None, Vec::new());
    for (index, chapter) in chapters.iter().enumerate() {
        let title = chapter.title;
        let end = end_of(chapters, index, newest);
        let begun = RuleVersion { after: title.after, rules: title.stamp.rules };
        for note in [&begun].into_iter().chain(&chapter.notes).filter(|note| note.after < end) {
            if in_force.replace(note.rules).is_some_and(|before| before != note.rules) {
                changes.push(first_seen(chapter, note.after)?.to_string());
            }
        }
    }
    let told = format!(
        "the rules were changed in that time, with the event of {}: the table holds what was decided \
         by those in force at each moment, and some of what differs may come of that",
        changes.join(" and of ")
    );
    Ok((!changes.is_empty()).then_some(told))
}

/// When the first event of a segment after this position was received.
fn first_seen(chapter: &SegmentInfo, after: Revision) -> Result<Timestamp, Corruption> {
    let sql = file::open(&chapter.path)?;
    let asked = "SELECT seen FROM events WHERE revision > ? ORDER BY revision LIMIT 1";
    let seen = sql.query_row(asked, [after.0.cast_signed()], |row| row.get(0)).optional()?;
    Ok(seen.map_or(chapter.begun, Timestamp::from_millis))
}

/// The segments that can be folded, ascending, as far as they begin before `newest` ends.
fn chapters(folder: &JournalLayout, newest: Revision) -> Result<Vec<SegmentInfo>, Corruption> {
    let listing = folder.list()?;
    let mut chapters: Vec<SegmentInfo> = Vec::new();
    for first in listing.open.union(&listing.sealed).filter(|first| **first <= newest) {
        let sealed = folder.sealed(*first);
        let path = if sealed.exists() { sealed } else { folder.open(*first) };
        let sql = file::open(&path)?;
        let title = SegmentTitle::of(&sql)?;
        let begun = Timestamp::from_millis(file::need(&sql, HeaderField::Begun)?.cast_signed());
        if title.is_nameless {
            chapters.clear();
        } else {
            let notes = rule_versions::read(&sql)?;
            chapters.push(SegmentInfo { path, title, begun, notes });
        }
    }
    match chapters.is_empty() {
        true => Err(Corruption::Missing("events that came before the newest snapshot".to_owned())),
        false => Ok(chapters),
    }
}

/// When the event at `newest`, or the last one before it, was received.
fn last_seen(chapters: &[SegmentInfo], newest: Revision) -> Result<Timestamp, Corruption> {
    for chapter in chapters.iter().rev() {
        let sql = file::open(&chapter.path)?;
        let asked = "SELECT seen FROM events WHERE revision <= ? ORDER BY revision DESC LIMIT 1";
        let mut statement = sql.prepare(asked)?;
        let mut rows = statement.query([newest.0.cast_signed()])?;
        if let Some(row) = rows.next()? {
            return Ok(Timestamp::from_millis(row.get(0)?));
        }
    }
    Ok(chapters[chapters.len() - 1].begun)
}

/// The last segment that began at `from` or before and knows who was there then, and that table; else
/// the first that knows it.
fn beginning(
    folder: &JournalLayout,
    chapters: &[SegmentInfo],
    from: Timestamp,
) -> Result<(usize, Table), Corruption> {
    let last = chapters.iter().rposition(|chapter| chapter.begun <= from).unwrap_or(0);
    for index in (0..=last).rev().chain(last + 1..chapters.len()) {
        if let Some(handover) = known_at(folder, &chapters[index])? {
            return Ok((index, Table::restore(handover)));
        }
    }
    Err(Corruption::Missing("a segment that knows who was there when it began".to_owned()))
}

/// Everything that was known when a segment began, when it or a snapshot says so.
fn known_at(
    folder: &JournalLayout,
    chapter: &SegmentInfo,
) -> Result<Option<TableSnapshot>, Corruption> {
    if chapter.title.after == Revision(0) {
        return Ok(Some(TableSnapshot::default()));
    }
    let sql = file::open(&chapter.path)?;
    if let Some(known) = checkpoint::read(&sql)? {
        return Ok(Some(known));
    }
    Ok(snapshot::read(&folder.snapshot(chapter.title.after)).ok().map(|known| known.handover))
}

/// Where the two tables say at `at` that somebody else is there.
fn differing(today: &Table, other: &Table, at: Timestamp) -> Vec<ReplayDifference> {
    let held = |table: &Table, address| {
        table.get(address).filter(|session| session.is_active_at(at)).cloned()
    };
    let who = |session: &Option<Arc<Session>>| {
        let of = |session: &Arc<Session>| {
            let principal = session.principal.as_ref();
            (principal.map(|who| (who.user.clone(), who.domain.clone())), session.device.clone())
        };
        session.as_ref().map(of)
    };
    let sessions = today.sessions().chain(other.sessions());
    let mut addresses: Vec<Address> = sessions.map(|session| session.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let differs = |address: Address| {
        let has = held(today, address);
        (who(&has) != who(&held(other, address))).then(|| ReplayDifference {
            address,
            has,
            would_have: other.explain(address, at),
        })
    };
    addresses.into_iter().filter_map(differs).collect()
}
