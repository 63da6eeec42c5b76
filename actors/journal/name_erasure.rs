//! Forgetting names: a sealed segment is written anew without the users and devices in it, once they
//! have had their time. What happened where and how often stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rollcall_identity::directory::KnownMembersPart;
use rollcall_identity::{Event, Membership, ReadPosition, Revision, RevisionRange};

use super::corruption::Corruption;
use super::event_reader::{self, SegmentTitle};
use super::file::{self, HeaderField};
use super::layout::JournalLayout;
use super::manifest::{Sealed, digest};
use super::sealing::{INDEXES, READ_ONLY};
use super::string_table::StringTable;
use super::{event_rows, position_rows, rule_versions};

/// Writes the segment anew in its own place, and says what is in it now. The sessions that it carried
/// over are left out.
pub(super) fn forget(folder: &JournalLayout, sealed: &Sealed) -> Result<Sealed, Corruption> {
    let target = folder.sealed(sealed.first);
    let unfinished = JournalLayout::unfinished(&target);
    folder.discard(&unfinished)?;
    let (title, begun, places, notes) = {
        let sql = file::open(&target)?;
        let (title, begun) = (SegmentTitle::of(&sql)?, file::need(&sql, HeaderField::Begun)?);
        (title, begun, position_rows::read(&sql)?.0, rule_versions::read(&sql)?)
    };
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    title.stamp.tell(&sql)?;
    for (name, value) in [
        (HeaderField::After, title.after.0),
        (HeaderField::First, title.first.0),
        (HeaderField::Begun, begun),
        (HeaderField::Nameless, 1),
    ] {
        file::tell(&sql, name, value)?;
    }
    // Who was known of a directory is names only; whoever reads on has a later roster.
    for (source, place) in
        places.into_iter().filter(|(it, _)| !KnownMembersPart::is_source(&it.name))
    {
        position_rows::write(&sql, &ReadPosition { source, position: place })?;
    }
    for note in notes {
        rule_versions::write(&sql, note)?;
    }
    let (mut lexicon, mut into) = (StringTable::default(), event_rows::statement(&sql)?);
    let span = RevisionRange { after: Revision(0), upto: Revision(u64::MAX) };
    let read = event_reader::read(&target, span, |revision, event| {
        let event = without_names(event);
        Ok(event_rows::write(&sql, &mut into, &mut lexicon, (revision, &event))?)
    })?;
    drop(into);
    if let Some(broke) = read.broke {
        // What can still be read of it is worth more than what the disk made of it.
        return Err(broke);
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

/// The event with everything left out that tells who: names, security identifiers, devices, and the
/// groups by which few can be meant.
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
