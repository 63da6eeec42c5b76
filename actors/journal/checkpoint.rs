//! Everything that a table knew at one position: of a snapshot its content, of a sealed segment what
//! it begins with. There is one way to write it down and one to read it, so that whatever is folded
//! from there is decided as it was.

use rollcall_identity::{Address, Revision, TableSnapshot};
use rusqlite::Connection;

use super::corruption::Corruption;
use super::file::{self, HeaderField};
use super::memory_rows::{self, MemoryRows};
use super::session_rows;
use super::string_table::{Dictionary, StringTable};

/// Puts in everything that `handover` knows, and returns how many sessions that are, with those whose
/// end is remembered.
pub(super) fn write(
    sql: &Connection,
    lexicon: &mut StringTable,
    handover: &TableSnapshot,
) -> Result<u64, Corruption> {
    let sessions = session_rows::write(sql, lexicon, handover)?;
    let MemoryRows { competed, memories } = memory_rows::write(sql, lexicon, handover)?;
    for (name, value) in [
        (HeaderField::After, handover.newest.0),
        (HeaderField::Forgotten, handover.forgotten.0),
        (HeaderField::Sessions, sessions),
        (HeaderField::Competed, competed),
        (HeaderField::Memories, memories),
    ] {
        file::tell(sql, name, value)?;
    }
    Ok(sessions)
}

/// Reads it back, when it is whole; `None` from a file that does not know it.
pub(super) fn read(sql: &Connection) -> Result<Option<TableSnapshot>, Corruption> {
    let Some(sessions) = file::ask(sql, HeaderField::Sessions)? else { return Ok(None) };
    let dictionary = Dictionary::read(sql)?;
    let mut handover = session_rows::read(sql, &dictionary, sessions)?;
    let competed = file::need(sql, HeaderField::Competed)?;
    let memories = file::need(sql, HeaderField::Memories)?;
    memory_rows::read(sql, &dictionary, MemoryRows { competed, memories }, &mut handover)?;
    handover.newest = Revision(file::need(sql, HeaderField::After)?);
    handover.forgotten = Revision(file::need(sql, HeaderField::Forgotten)?);
    Ok(Some(handover))
}

/// Reads back what is known of one address, from a file that has it indexed or is read through.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
) -> Result<TableSnapshot, Corruption> {
    let mut handover = TableSnapshot::default();
    session_rows::read_at(sql, dictionary, address, &mut handover)?;
    memory_rows::read_at(sql, dictionary, address, &mut handover)?;
    Ok(handover)
}
