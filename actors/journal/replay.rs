//! Replays the last hours by other rules and compares the result with the newest snapshot.

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
use super::event_reader::SegmentHeader;
use super::file::{self, HeaderField};
use super::layout::{JournalLayout, name_of};
use super::quarantine::{self, ApplyFn, Stopped, apply, with_quarantine};
use super::rule_versions::{self, RuleVersion};
use super::{checkpoint, snapshot};

/// The result of a replay.
#[derive(Debug)]
pub struct ReplayReport {
    /// The time from which events were applied by the other rules.
    pub from: Timestamp,
    /// The time of the comparison.
    pub until: Timestamp,
    /// The position of the snapshot that the result was compared with.
    pub revision: Revision,
    /// The number of applied events.
    pub events: u64,
    /// The differing addresses, ascending.
    pub differing: Vec<ReplayDifference>,
    /// What could not be applied, and other remarks, as sentences.
    pub notes: Vec<String>,
}

/// An address with a different session.
#[derive(Debug)]
pub struct ReplayDifference {
    /// The address.
    pub address: Address,
    /// The current session.
    pub has: Option<Arc<Session>>,
    /// Why the session would differ.
    pub would_have: Explanation,
}

/// A segment to replay.
struct SegmentInfo {
    path: PathBuf,
    header: SegmentHeader,
    begun: Timestamp,
    /// The rule changes within the segment.
    notes: Vec<RuleVersion>,
}

/// Replays the events received within `before` the newest snapshot of the journal in `folder` by
/// `rules`. The replay begins with the sessions at the beginning of a segment, at that time or
/// earlier. An event whose application panics is skipped, and all others are applied.
///
/// # Errors
/// If the journal cannot be read, or contains no snapshot.
pub fn replay(folder: &Path, rules: &Rules, before: Duration) -> Result<ReplayReport, Corruption> {
    replay_by(apply, (&JournalLayout::open_at(folder), rules), before)
}

/// The same with another apply function.
pub(super) fn replay_by(
    apply: ApplyFn,
    (folder, rules): (&JournalLayout, &Rules),
    before: Duration,
) -> Result<ReplayReport, Corruption> {
    with_quarantine(|quarantined| {
        let newest = folder
            .list()?
            .snapshots
            .iter()
            .rev()
            .find_map(|last| snapshot::read(&folder.snapshot(*last)).ok());
        let missing = || Corruption::Missing("a snapshot".to_owned());
        let current = newest.ok_or_else(missing)?.table;
        let segments = segments(folder, current.newest)?;
        let until = last_seen(&segments, current.newest)?;
        let (begin, mut table) = start_table(folder, &segments, until - before)?;
        let segments = &segments[begin..];
        let mut replayed = ReplayReport {
            from: segments[0].begun,
            until,
            revision: current.newest,
            events: 0,
            differing: Vec::new(),
            notes: changes_of_rules(segments, current.newest)?.into_iter().collect(),
        };
        replayed.apply(segments, quarantined, |revision, event| {
            apply(&mut table, revision, event, rules);
        })?;
        replayed.differing = differing(&Table::restore(current), &table, until);
        Ok(replayed)
    })
}

impl ReplayReport {
    /// Applies the events of these segments, except for `quarantined`, and notes what is missing.
    fn apply(
        &mut self,
        segments: &[SegmentInfo],
        quarantined: &BTreeSet<Revision>,
        mut apply: impl FnMut(Revision, &Event),
    ) -> Result<(), Stopped> {
        for (index, segment) in segments.iter().enumerate() {
            let span =
                RevisionRange { after: Revision(0), upto: end_of(segments, index, self.revision) };
            let (read, _) = quarantine::read((&segment.path, span), quarantined, &mut apply)?;
            self.events += read.events;
            if !read.is_complete() {
                let file = name_of(&segment.path);
                self.notes.push(format!("{} events of {file} are lost", read.lost.max(1)));
            }
        }
        self.notes.extend(quarantined.iter().map(|revision| {
            format!("the event at {revision} cannot be applied and is skipped: please report it")
        }));
        self.events = self.events.saturating_sub(quarantined.len() as u64);
        Ok(())
    }
}

/// The last position of a segment that counts, up to `newest`.
fn end_of(segments: &[SegmentInfo], index: usize, newest: Revision) -> Revision {
    segments.get(index + 1).map_or(newest, |next| next.header.after.min(newest))
}

/// A note about rule changes, if several rules decided the table.
fn changes_of_rules(
    segments: &[SegmentInfo],
    newest: Revision,
) -> Result<Option<String>, Corruption> {
    let (mut effective, mut changes) = (None, Vec::new());
    for (index, segment) in segments.iter().enumerate() {
        let header = segment.header;
        let end = end_of(segments, index, newest);
        let begun = RuleVersion { after: header.after, rules: header.file_header.rules };
        for note in [&begun].into_iter().chain(&segment.notes).filter(|note| note.after < end) {
            if effective.replace(note.rules).is_some_and(|before| before != note.rules) {
                changes.push(first_seen(segment, note.after)?.to_string());
            }
        }
    }
    let note = format!(
        "the rules changed in this period, at the event of {}: the table holds the decisions of the \
         rules that were effective at each time, and some differences may result from the change",
        changes.join(" and of ")
    );
    Ok((!changes.is_empty()).then_some(note))
}

/// When the first event of a segment after this position was received.
fn first_seen(segment: &SegmentInfo, after: Revision) -> Result<Timestamp, Corruption> {
    let sql = file::open(&segment.path)?;
    let select = "SELECT seen FROM events WHERE revision > ? ORDER BY revision LIMIT 1";
    let seen = sql.query_row(select, [after.0.cast_signed()], |row| row.get(0)).optional()?;
    Ok(seen.map_or(segment.begun, Timestamp::from_millis))
}

/// The segments that can be replayed, ascending, up to `newest`.
fn segments(folder: &JournalLayout, newest: Revision) -> Result<Vec<SegmentInfo>, Corruption> {
    let listing = folder.list()?;
    let mut segments: Vec<SegmentInfo> = Vec::new();
    for first in listing.open.union(&listing.sealed).filter(|first| **first <= newest) {
        let sealed = folder.sealed(*first);
        let path = if sealed.exists() { sealed } else { folder.open(*first) };
        let sql = file::open(&path)?;
        let header = SegmentHeader::read(&sql)?;
        let begun =
            Timestamp::from_millis(file::required_field(&sql, HeaderField::Begun)?.cast_signed());
        if header.is_nameless {
            segments.clear();
        } else {
            let notes = rule_versions::read(&sql)?;
            segments.push(SegmentInfo { path, header, begun, notes });
        }
    }
    match segments.is_empty() {
        true => Err(Corruption::Missing("events before the newest snapshot".to_owned())),
        false => Ok(segments),
    }
}

/// When the event at `newest`, or the last one before it, was received.
fn last_seen(segments: &[SegmentInfo], newest: Revision) -> Result<Timestamp, Corruption> {
    for segment in segments.iter().rev() {
        let sql = file::open(&segment.path)?;
        let select = "SELECT seen FROM events WHERE revision <= ? ORDER BY revision DESC LIMIT 1";
        let mut statement = sql.prepare(select)?;
        let mut rows = statement.query([newest.0.cast_signed()])?;
        if let Some(row) = rows.next()? {
            return Ok(Timestamp::from_millis(row.get(0)?));
        }
    }
    Ok(segments[segments.len() - 1].begun)
}

/// The last segment that began at `from` or before and whose beginning is known, with its table;
/// otherwise the first such segment.
fn start_table(
    folder: &JournalLayout,
    segments: &[SegmentInfo],
    from: Timestamp,
) -> Result<(usize, Table), Corruption> {
    let last = segments.iter().rposition(|segment| segment.begun <= from).unwrap_or(0);
    for index in (0..=last).rev().chain(last + 1..segments.len()) {
        if let Some(table) = known_at(folder, &segments[index])? {
            return Ok((index, Table::restore(table)));
        }
    }
    Err(Corruption::Missing("a segment with the sessions at its beginning".to_owned()))
}

/// The state at the beginning of a segment, from the segment or from a snapshot.
fn known_at(
    folder: &JournalLayout,
    segment: &SegmentInfo,
) -> Result<Option<TableSnapshot>, Corruption> {
    if segment.header.after == Revision(0) {
        return Ok(Some(TableSnapshot::default()));
    }
    let sql = file::open(&segment.path)?;
    if let Some(known) = checkpoint::read(&sql)? {
        return Ok(Some(known));
    }
    Ok(snapshot::read(&folder.snapshot(segment.header.after)).ok().map(|known| known.table))
}

/// The addresses whose active sessions at `at` differ between the two tables.
fn differing(current: &Table, other: &Table, revision: Timestamp) -> Vec<ReplayDifference> {
    let active_session = |table: &Table, address| {
        table.get(address).filter(|session| session.is_active_at(revision)).cloned()
    };
    let identity = |session: &Option<Arc<Session>>| {
        let of = |session: &Arc<Session>| {
            let principal = session.principal.as_ref();
            (
                principal.map(|identity| (identity.user.clone(), identity.domain.clone())),
                session.device.clone(),
            )
        };
        session.as_ref().map(of)
    };
    let sessions = current.sessions().chain(other.sessions());
    let mut addresses: Vec<Address> = sessions.map(|session| session.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let differs =
        |address: Address| {
            let has = active_session(current, address);
            (identity(&has) != identity(&active_session(other, address))).then(|| {
                ReplayDifference { address, has, would_have: other.explain(address, revision) }
            })
        };
    addresses.into_iter().filter_map(differs).collect()
}
