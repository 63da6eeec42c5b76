//! The complete state of a table at one position: the content of a snapshot and the beginning of a
//! sealed segment. One function writes it and one reads it, so that events applied from there are
//! decided in the same way.

use rollcall_identity::{Address, Revision, TableSnapshot};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::file::{self, HeaderField};
use super::memory_rows::{self, MemoryRows};
use super::session_rows;
use super::string_table::{Dictionary, StringTable};

/// Writes `snapshot` and returns the number of session rows, including ended sessions that are
/// remembered.
pub(super) fn write(
    sql: &Connection,
    strings: &mut StringTable,
    snapshot: &TableSnapshot,
) -> Result<u64, Corruption> {
    let sessions = session_rows::write(sql, strings, snapshot)?;
    let MemoryRows { competed, memories } = memory_rows::write(sql, strings, snapshot)?;
    for (name, value) in [
        (HeaderField::After, snapshot.newest.0),
        (HeaderField::Forgotten, snapshot.forgotten.0),
        (HeaderField::Sessions, sessions),
        (HeaderField::Competed, competed),
        (HeaderField::Memories, memories),
    ] {
        file::write_field(sql, name, value)?;
    }
    Ok(sessions)
}

/// Reads a complete state; `None` if the file contains none.
pub(super) fn read(sql: &Connection) -> Result<Option<TableSnapshot>, Corruption> {
    let Some(sessions) = file::field(sql, HeaderField::Sessions)? else { return Ok(None) };
    let dictionary = Dictionary::read(sql)?;
    let mut snapshot = session_rows::read(sql, &dictionary, sessions)?;
    let competed = file::required_field(sql, HeaderField::Competed)?;
    let memories = file::required_field(sql, HeaderField::Memories)?;
    memory_rows::read(sql, &dictionary, MemoryRows { competed, memories }, &mut snapshot)?;
    snapshot.newest = Revision(file::required_field(sql, HeaderField::After)?);
    snapshot.forgotten = Revision(file::required_field(sql, HeaderField::Forgotten)?);
    Ok(Some(snapshot))
}

/// Reads the state of one address. The file is indexed by address or is scanned.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
) -> Result<TableSnapshot, Corruption> {
    let mut snapshot = TableSnapshot::default();
    session_rows::read_at(sql, dictionary, address, &mut snapshot)?;
    memory_rows::read_at(sql, dictionary, address, &mut snapshot)?;
    Ok(snapshot)
}
