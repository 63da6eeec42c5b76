//! Forgetting names: a sealed segment is written anew without the users and devices in it, once they
//! have had their time. What happened where and how often stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rollcall_identity::directory::KnownMembersPart;
use rollcall_identity::{Event, Membership, ReadPosition, Revision, RevisionRange};

use super::damage::Damage;
use super::file::{self, About};
use super::folder::Folder;
use super::lexicon::Lexicon;
use super::manifest::{Sealed, digest};
use super::reading::{self, Title};
use super::sealing::{INDEXES, READ_ONLY};
use super::{events, governing, positions};

/// Writes the segment anew in its own place, and says what is in it now. The sessions that it carried
/// over are left out.
pub(super) fn forget(folder: &Folder, sealed: &Sealed) -> Result<Sealed, Damage> {
    let target = folder.sealed(sealed.first);
    let unfinished = Folder::unfinished(&target);
    folder.discard(&unfinished)?;
    let (title, begun, places, notes) = {
        let sql = file::open(&target)?;
        let (title, begun) = (Title::of(&sql)?, file::need(&sql, About::Begun)?);
        (title, begun, positions::read(&sql)?.0, governing::read(&sql)?)
    };
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    title.stamp.tell(&sql)?;
    for (name, value) in [
        (About::After, title.after.0),
        (About::First, title.first.0),
        (About::Begun, begun),
        (About::Nameless, 1),
    ] {
        file::tell(&sql, name, value)?;
    }
    // Who was known of a directory is names only; whoever reads on has a later roster.
    for (source, place) in
        places.into_iter().filter(|(it, _)| !KnownMembersPart::is_source(&it.name))
    {
        positions::write(&sql, &ReadPosition { source, position: place })?;
    }
    for note in notes {
        governing::write(&sql, note)?;
    }
    let (mut lexicon, mut into) = (Lexicon::default(), events::statement(&sql)?);
    let span = RevisionRange { after: Revision(0), upto: Revision(u64::MAX) };
    let read = reading::read(&target, span, |revision, event| {
        let event = without_names(event);
        Ok(events::write(&sql, &mut into, &mut lexicon, (revision, &event))?)
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
