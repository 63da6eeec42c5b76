//! The table as of one position, in a file of its own: where a start begins to fold.

use std::path::Path;

use rollcall_identity::TableSnapshot;

use super::checkpoint;
use super::corruption::Corruption;
use super::file;
use super::file_header::FileHeader;
use super::layout::JournalLayout;
use super::string_table::StringTable;

/// A snapshot that is whole.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Whose positions, by which rules.
    pub(super) file_header: FileHeader,
    /// What the table knew.
    pub(super) table: TableSnapshot,
}

/// Writes what the table knew after its newest position.
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

/// Reads a snapshot, when it is whole.
pub(super) fn read(path: &Path) -> Result<Snapshot, Corruption> {
    let sql = file::open(path)?;
    let file_header = FileHeader::read(&sql)?;
    let table = checkpoint::read(&sql)?.ok_or(Corruption::Value)?;
    Ok(Snapshot { file_header, table })
}
