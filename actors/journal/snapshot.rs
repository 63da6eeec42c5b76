//! The table as of one position, in a file of its own: where a start begins to fold.

use std::path::Path;

use rollcall_identity::TableSnapshot;

use super::damage::Damage;
use super::file;
use super::folder::Folder;
use super::known;
use super::lexicon::Lexicon;
use super::stamp::Stamp;

/// A snapshot that is whole.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Whose positions, by which rules.
    pub(super) stamp: Stamp,
    /// What the table knew.
    pub(super) handover: TableSnapshot,
}

/// Writes what the table knew after its newest position.
pub(super) fn write(folder: &Folder, stamp: Stamp, handover: &TableSnapshot) -> Result<(), Damage> {
    let target = folder.snapshot(handover.newest);
    let unfinished = Folder::unfinished(&target);
    folder.discard(&unfinished)?;
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    known::write(&sql, &mut Lexicon::default(), handover)?;
    stamp.tell(&sql)?;
    sql.execute_batch("COMMIT")?;
    sql.close().map_err(|(_, error)| error)?;
    Ok(folder.finish(&target)?)
}

/// Reads a snapshot, when it is whole.
pub(super) fn read(path: &Path) -> Result<Snapshot, Damage> {
    let sql = file::open(path)?;
    let stamp = Stamp::of(&sql)?;
    let handover = known::read(&sql)?.ok_or(Damage::Value)?;
    Ok(Snapshot { stamp, handover })
}
