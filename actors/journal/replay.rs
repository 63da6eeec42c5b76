//! Replays the last hours by other rules and compares the result with the newest snapshot.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rollcall_identity::{
    Address, Event, Explanation, Revision, RevisionRange, Rules, Session, Table, Timestamp,
};

use super::corruption::Corruption;
use super::layout::JournalLayout;
use super::log::{LogReader, LogSegment};
use super::quarantine::{self, ApplyFn, Stopped, apply, with_quarantine};
use super::rule_versions::RuleVersion;
use super::segment_log::SegmentLog;

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

/// Replays the events received within `before` the newest snapshot of the journal in `folder` by
/// `rules`. The replay begins with the sessions at the beginning of a segment, at that time or
/// earlier. An event whose application panics is skipped, and all others are applied.
///
/// # Errors
/// If the journal cannot be read, or contains no snapshot.
pub fn replay(folder: &Path, rules: &Rules, before: Duration) -> Result<ReplayReport, Corruption> {
    let log = SegmentLog::of(&JournalLayout::open_at(folder));
    replay_by(apply, (&log, rules), before)
}

/// The same of any log, with another apply function.
pub(super) fn replay_by(
    apply: ApplyFn,
    (log, rules): (&dyn LogReader, &Rules),
    before: Duration,
) -> Result<ReplayReport, Corruption> {
    with_quarantine(|quarantined| {
        let missing = || Corruption::Missing("a snapshot".to_owned());
        let current = log.newest_state()?.ok_or_else(missing)?;
        let segments = segments(log, current.newest)?;
        let until = last_received(log, &segments, current.newest)?;
        let (begin, mut table) = start_table(log, &segments, until - before)?;
        let segments = &segments[begin..];
        let mut replayed = ReplayReport {
            from: segments[0].begun,
            until,
            revision: current.newest,
            events: 0,
            differing: Vec::new(),
            notes: changes_of_rules(log, segments, current.newest)?.into_iter().collect(),
        };
        replayed.apply((log, segments), quarantined, |revision, event| {
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
        (log, segments): (&dyn LogReader, &[LogSegment]),
        quarantined: &BTreeSet<Revision>,
        mut apply: impl FnMut(Revision, &Event),
    ) -> Result<(), Stopped> {
        for (index, segment) in segments.iter().enumerate() {
            let upto = end_of(segments, index, self.revision);
            let span = RevisionRange { after: Revision(0), upto };
            let (read, _) = quarantine::read((log, segment, span), quarantined, &mut apply)?;
            self.events += read.events;
            if !read.is_complete() {
                let file = &segment.file;
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
fn end_of(segments: &[LogSegment], index: usize, newest: Revision) -> Revision {
    segments.get(index + 1).map_or(newest, |next| next.after.min(newest))
}

/// A note about rule changes, if several rules decided the table.
fn changes_of_rules(
    log: &dyn LogReader,
    segments: &[LogSegment],
    newest: Revision,
) -> Result<Option<String>, Corruption> {
    let (mut effective, mut changes) = (None, Vec::new());
    for (index, segment) in segments.iter().enumerate() {
        let end = end_of(segments, index, newest);
        let initial = RuleVersion { after: segment.after, rules: segment.rules };
        let versions = [&initial].into_iter().chain(segment.rule_versions()?);
        for version in versions.filter(|version| version.after < end) {
            if effective.replace(version.rules).is_some_and(|before| before != version.rules) {
                changes.push(first_received(log, segment, version.after)?.to_string());
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
fn first_received(
    log: &dyn LogReader,
    segment: &LogSegment,
    after: Revision,
) -> Result<Timestamp, Corruption> {
    let end = segment.span().upto;
    let (mut first, mut after, mut length) = (None, after, 1_u64);
    // Usually the next position has an event; after damage, later ones are read.
    while first.is_none() && after < end {
        let upto = Revision(after.0.saturating_add(length)).min(end);
        log.read(segment, RevisionRange { after, upto }, &mut |entry| {
            first.get_or_insert(entry.event.seen);
            Ok(())
        })?;
        (after, length) = (upto, length.saturating_mul(2));
    }
    Ok(first.unwrap_or(segment.begun))
}

/// The segments that can be replayed, ascending, up to `newest`.
fn segments(log: &dyn LogReader, newest: Revision) -> Result<Vec<LogSegment>, Corruption> {
    let mut segments: Vec<LogSegment> = Vec::new();
    for listed in log.segments()?.into_iter().filter(|listed| listed.first <= newest) {
        let segment = listed.readable()?;
        match segment.is_nameless {
            true => segments.clear(),
            false => segments.push(segment),
        }
    }
    match segments.is_empty() {
        true => Err(Corruption::Missing("events before the newest snapshot".to_owned())),
        false => Ok(segments),
    }
}

/// When the event at `newest`, or the last one before it, was received.
fn last_received(
    log: &dyn LogReader,
    segments: &[LogSegment],
    newest: Revision,
) -> Result<Timestamp, Corruption> {
    for segment in segments.iter().rev() {
        let (mut last, mut upto, mut length) = (None, segment.span().upto.min(newest), 1_u64);
        // Usually this position has an event; after damage, earlier ones are read.
        while last.is_none() && upto >= segment.first {
            let after = Revision(upto.0.saturating_sub(length));
            log.read(segment, RevisionRange { after, upto }, &mut |entry| {
                last = Some(entry.event.seen);
                Ok(())
            })?;
            (upto, length) = (after, length.saturating_mul(2));
        }
        if let Some(last) = last {
            return Ok(last);
        }
    }
    Ok(segments[segments.len() - 1].begun)
}

/// The last segment that began at `from` or before and whose beginning is known, with its table;
/// otherwise the first such segment.
fn start_table(
    log: &dyn LogReader,
    segments: &[LogSegment],
    from: Timestamp,
) -> Result<(usize, Table), Corruption> {
    let last = segments.iter().rposition(|segment| segment.begun <= from).unwrap_or(0);
    for index in (0..=last).rev().chain(last + 1..segments.len()) {
        if let Some(state) = log.beginning(&segments[index])? {
            return Ok((index, Table::restore(state)));
        }
    }
    Err(Corruption::Missing("a segment with the sessions at its beginning".to_owned()))
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
