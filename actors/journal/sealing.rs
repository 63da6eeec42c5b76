//! Sealing: rewrites a full segment with every row verified, with indexes, and with the sessions at
//! its beginning. A sealed segment never changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rollcall_identity::{Revision, RevisionRange, TableSnapshot, Timestamp};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::event_reader::{ReadSummary, SegmentHeader};
use super::file::{self, HeaderField};
use super::file_header::FileHeader;
use super::layout::{JournalLayout, name_of};
use super::log::{LogEntry, LogReader, LogSegment};
use super::manifest::{Sealed, digest};
use super::segment_log::SegmentLog;
use super::string_table::StringTable;
use super::{checkpoint, event_rows, position_rows, rule_versions, snapshot};

/// The indexes for history queries: by address and by user.
pub(super) const INDEXES: &str = "
CREATE INDEX events_by_address ON events (address, seen);
CREATE INDEX events_by_user ON events (user, seen) WHERE user IS NOT NULL;
CREATE INDEX competed_by_address ON competed (address);
CREATE INDEX memories_by_address ON memories (address);
CREATE INDEX sessions_by_address ON sessions (address);
CREATE INDEX sessions_by_user ON sessions (user) WHERE user IS NOT NULL;
";

/// Readable by the owner and the group of the folder, writable by no one.
pub(super) const READ_ONLY: u32 = 0o440;

/// When the events of a segment were received.
struct Period {
    from: Timestamp,
    until: Timestamp,
}

/// Seals the segment that begins at `first`; events after `upto` were never acknowledged.
/// Unreadable events are left out and counted in the result.
pub(super) fn seal(
    folder: &JournalLayout,
    first: Revision,
    upto: Revision,
) -> Result<Sealed, Corruption> {
    seal_into((folder, folder), first, upto)
}

/// Seals into another folder.
pub(super) fn seal_into(
    (from, to): (&JournalLayout, &JournalLayout),
    first: Revision,
    upto: Revision,
) -> Result<Sealed, Corruption> {
    let (log, target) = (SegmentLog::of(from), to.sealed(first));
    let unfinished = JournalLayout::unfinished(&target);
    to.discard(&unfinished)?;
    let (segment, read) = (log.segment(first)?, log.read_positions(first)?);
    let versions = segment.rule_versions()?;
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    let mut strings = StringTable::default();
    let sessions = copy_checkpoint(from, segment.after, (&sql, &mut strings))?;
    copy_header(&sql, &segment)?;
    for (source, position) in read {
        position_rows::write(&sql, &rollcall_identity::ReadPosition { source, position })?;
    }
    // A rule change for events that were never acknowledged is dropped.
    for version in versions.iter().filter(|version| version.after < upto) {
        rule_versions::write(&sql, *version)?;
    }
    let (read, period) = copy_events(&log, (&segment, upto), (&sql, &mut strings))?;
    sql.execute_batch(&format!("COMMIT; {INDEXES}"))?;
    sql.close().map_err(|(_, error)| error)?;
    fs::set_permissions(&unfinished, Permissions::from_mode(READ_ONLY))?;
    let (sha256, bytes) = (digest(&unfinished)?, fs::metadata(&unfinished)?.len());
    to.finish(&target)?;
    // A segment that cannot be read to its end ends at its last readable event.
    let missing = read.error.as_ref().map_or(0, |_| upto.0.saturating_sub(read.last.0));
    Ok(Sealed {
        file: name_of(&target),
        epoch: segment.epoch,
        after: segment.after,
        first,
        last: read.last,
        from: period.from,
        until: period.until,
        events: read.events,
        lost: read.lost + missing,
        sessions,
        nameless: false,
        bytes,
        sha256,
    })
}

/// Copies the state after `after`: the sessions and the memories that decide late logins. Returns
/// the number of sessions; `None` if the state is unknown.
fn copy_checkpoint(
    folder: &JournalLayout,
    after: Revision,
    (sql, strings): (&Connection, &mut StringTable),
) -> Result<Option<u64>, Corruption> {
    if after == Revision(0) {
        return checkpoint::write(sql, strings, &TableSnapshot::default()).map(Some);
    }
    let path = folder.snapshot(after);
    if !path.exists() {
        return Ok(None);
    }
    let Ok(snapshot) = snapshot::read(&path) else { return Ok(None) };
    checkpoint::write(sql, strings, &snapshot.table).map(Some)
}

/// Copies the header fields that stay when a segment is rewritten.
pub(super) fn copy_header(sql: &Connection, segment: &LogSegment) -> Result<(), Corruption> {
    let LogSegment { after, first, epoch, rules, begun, .. } = *segment;
    FileHeader { epoch, rules }.write(sql)?;
    file::write_field(sql, HeaderField::After, after.0)?;
    file::write_field(sql, HeaderField::First, first.0)?;
    Ok(file::write_field(sql, HeaderField::Begun, begun.millis().cast_unsigned())?)
}

fn copy_events(
    log: &dyn LogReader,
    (segment, upto): (&LogSegment, Revision),
    (sql, strings): (&Connection, &mut StringTable),
) -> Result<(ReadSummary, Period), Corruption> {
    let mut into = event_rows::statement(sql)?;
    let mut period: Option<Period> = None;
    let span = RevisionRange { after: Revision(0), upto };
    let read = log.read(segment, span, &mut |LogEntry { position, event, .. }| {
        let seen = event.seen;
        period = Some(match period.take() {
            None => Period { from: seen, until: seen },
            Some(Period { from, until }) => Period { from: from.min(seen), until: until.max(seen) },
        });
        Ok(event_rows::write(sql, &mut into, strings, (position, &event))?)
    })?;
    let nothing = Period { from: Timestamp::EPOCH, until: Timestamp::EPOCH };
    Ok((read, period.unwrap_or(nothing)))
}

/// Describes a sealed segment that the manifest does not list.
pub(super) fn describe(folder: &JournalLayout, first: Revision) -> Result<Sealed, Corruption> {
    let path = folder.sealed(first);
    let sql = file::open(&path)?;
    let header = SegmentHeader::read(&sql)?;
    let select = "SELECT count(*), coalesce(max(revision), 0), coalesce(min(seen), 0),
        coalesce(max(seen), 0) FROM events";
    let [events, last, from, until] = sql.query_row(select, [], |row| {
        Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
    })?;
    let last = Revision(last.cast_unsigned()).max(Revision(header.first.0.saturating_sub(1)));
    Ok(Sealed {
        file: name_of(&path),
        epoch: header.file_header.epoch,
        after: header.after,
        first,
        last,
        from: Timestamp::from_millis(from),
        until: Timestamp::from_millis(until),
        events: events.cast_unsigned(),
        lost: (last.0 + 1).saturating_sub(first.0 + events.cast_unsigned()),
        sessions: file::field(&sql, HeaderField::Sessions)?,
        nameless: file::field(&sql, HeaderField::Nameless)?.is_some(),
        bytes: fs::metadata(&path)?.len(),
        sha256: digest(&path)?,
    })
}
