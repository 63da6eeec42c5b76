//! The table as of one position, in a file of its own: where a start begins to fold.

use std::path::Path;

use rollcall_identity::{Handover, Revision};

use super::damage::Damage;
use super::file::{self, About};
use super::folder::Folder;
use super::lexicon::Lexicon;
use super::memories::{self, Rows};
use super::sessions;
use super::stamp::Stamp;

/// A snapshot that is whole.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Whose positions, by which rules.
    pub(super) stamp: Stamp,
    /// What the table knew.
    pub(super) handover: Handover,
}

/// Writes what the table knew after its newest position.
pub(super) fn write(folder: &Folder, stamp: Stamp, handover: &Handover) -> Result<(), Damage> {
    let target = folder.snapshot(handover.newest);
    let unfinished = Folder::unfinished(&target);
    folder.discard(&unfinished)?;
    let sql = file::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    let mut lexicon = Lexicon::default();
    let sessions = sessions::write(&sql, &mut lexicon, handover)?;
    let Rows { competed, memories } = memories::write(&sql, &mut lexicon, handover)?;
    stamp.tell(&sql)?;
    file::tell(&sql, About::After, handover.newest.0)?;
    file::tell(&sql, About::Forgotten, handover.forgotten.0)?;
    file::tell(&sql, About::Sessions, sessions)?;
    file::tell(&sql, About::Competed, competed)?;
    file::tell(&sql, About::Memories, memories)?;
    sql.execute_batch("COMMIT")?;
    sql.close().map_err(|(_, error)| error)?;
    Ok(folder.finish(&target)?)
}

/// Reads a snapshot, when it is whole.
pub(super) fn read(path: &Path) -> Result<Snapshot, Damage> {
    let sql = file::open(path)?;
    let stamp = Stamp::of(&sql)?;
    let mut handover = sessions::read(&sql, file::need(&sql, About::Sessions)?)?;
    let competed = file::need(&sql, About::Competed)?;
    let memories = file::need(&sql, About::Memories)?;
    memories::read(&sql, Rows { competed, memories }, &mut handover)?;
    handover.newest = Revision(file::need(&sql, About::After)?);
    handover.forgotten = Revision(file::need(&sql, About::Forgotten)?);
    Ok(Snapshot { stamp, handover })
}
