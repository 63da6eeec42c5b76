//! A snapshot: the table at one position, in a file of its own. Recovery begins with the newest
//! one.

use std::path::Path;

use rollcall_identity::TableSnapshot;

use super::checkpoint;
use super::corruption::Corruption;
use super::file;
use super::file_header::FileHeader;
use super::layout::JournalLayout;
use super::string_table::StringTable;

/// A complete snapshot.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The epoch and the rules.
    pub(super) file_header: FileHeader,
    /// The state of the table.
    pub(super) table: TableSnapshot,
}

/// Writes the state of the table at its newest position.
pub(super) fn write(
    folder: &JournalLayout,
    file_header: FileHeader,
    table: &TableSnapshot,
) -> Result<(), Corruption> {
    let target = folder.snapshot(table.newest);
    let unfinished = JournalLayout::unfinished(&target);
    folder.discard(&unfinished)?;
    let sql = crate::schema::create(&unfinished)?;
    sql.execute_batch("BEGIN")?;
    checkpoint::write(&sql, &mut StringTable::default(), table)?;
    file_header.write(&sql)?;
    sql.execute_batch("COMMIT")?;
    sql.close().map_err(|(_, error)| error)?;
    Ok(folder.finish(&target)?)
}

/// Reads a complete snapshot.
pub(super) fn read(path: &Path) -> Result<Snapshot, Corruption> {
    let sql = file::open(path)?;
    let file_header = FileHeader::read(&sql)?;
    let table = checkpoint::read(&sql)?.ok_or(Corruption::Value)?;
    Ok(Snapshot { file_header, table })
}
