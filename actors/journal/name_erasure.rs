//! Name erasure: rewrites a sealed segment without users and devices after `names_retention`.
//! Addresses, kinds and counts of events stay.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rollcall_identity::directory::KnownMembersPart;
use rollcall_identity::{Event, Membership, ReadPosition};

use super::corruption::Corruption;
use super::file::{self, HeaderField};
use super::layout::JournalLayout;
use super::log::{LogEntry, LogReader};
use super::manifest::{Sealed, digest};
use super::sealing::{INDEXES, READ_ONLY, copy_header};
use super::segment_log::SegmentLog;
use super::string_table::StringTable;
use super::{event_rows, position_rows, rule_versions};

/// Replaces the segment and returns its new manifest entry. The sessions at its beginning are left
/// out.
pub(super) fn erase(folder: &JournalLayout, sealed: &Sealed) -> Result<Sealed, Corruption> {
    let target = folder.sealed(sealed.first);
    let unfinished = JournalLayout::unfinished(&target);
    folder.discard(&unfinished)?;
    let log = SegmentLog::of(folder);
    let (segment, positions) = (log.segment(sealed.first)?, log.read_positions(sealed.first)?);
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    copy_header(&sql, &segment)?;
    file::write_field(&sql, HeaderField::Nameless, 1)?;
    // The known members of a directory contain only names. A later segment has the current list.
    for (source, position) in
        positions.into_iter().filter(|(it, _)| !KnownMembersPart::is_source(&it.name))
    {
        position_rows::write(&sql, &ReadPosition { source, position })?;
    }
    for version in segment.rule_versions()? {
        rule_versions::write(&sql, *version)?;
    }
    let (mut strings, mut into) = (StringTable::default(), event_rows::statement(&sql)?);
    let read =
        log.read(&segment, segment.span(), &mut |LogEntry { position, event, .. }| {
            let event = without_names(event);
            Ok(event_rows::write(&sql, &mut into, &mut strings, (position, &event))?)
        })?;
    drop(into);
    if let Some(error) = read.error {
        // The readable part of the old file is kept rather than replaced by less.
        return Err(error);
    }
    sql.execute_batch(&format!("COMMIT; {INDEXES}"))?;
    sql.close().map_err(|(_, error)| error)?;
    fs::set_permissions(&unfinished, Permissions::from_mode(READ_ONLY))?;
    let (sha256, bytes) = (digest(&unfinished)?, fs::metadata(&unfinished)?.len());
    folder.finish(&target)?;
    let lost = sealed.lost + sealed.events.saturating_sub(read.events);
    let events = read.events;
    Ok(Sealed { events, lost, sessions: None, nameless: true, bytes, sha256, ..sealed.clone() })
}

/// The event without everything that identifies a user: names, security identifiers, devices, and
/// groups with few members.
fn without_names(event: Event) -> Event {
    Event {
        principal: None,
        device: None,
        roles: None,
        membership: Membership::default(),
        renamed_from: None,
        sid: None,
        ..event
    }
}
