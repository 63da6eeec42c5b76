//! Everything that a table knew at one position: of a snapshot its content, of a sealed segment what
//! it begins with. There is one way to write it down and one to read it, so that whatever is folded
//! from there is decided as it was.

use rollcall_identity::{Address, Revision, TableSnapshot};
use rusqlite::Connection;

use super::damage::Damage;
use super::file::{self, About};
use super::lexicon::{Dictionary, Lexicon};
use super::memories::{self, MemoryRows};
use super::sessions;

/// Puts in everything that `handover` knows, and returns how many sessions that are, with those whose
/// end is remembered.
pub(super) fn write(
    sql: &Connection,
    lexicon: &mut Lexicon,
    handover: &TableSnapshot,
) -> Result<u64, Damage> {
    let sessions = sessions::write(sql, lexicon, handover)?;
    let MemoryRows { competed, memories } = memories::write(sql, lexicon, handover)?;
    for (name, value) in [
        (About::After, handover.newest.0),
        (About::Forgotten, handover.forgotten.0),
        (About::Sessions, sessions),
        (About::Competed, competed),
        (About::Memories, memories),
    ] {
        file::tell(sql, name, value)?;
    }
    Ok(sessions)
}

/// Reads it back, when it is whole; `None` from a file that does not know it.
pub(super) fn read(sql: &Connection) -> Result<Option<TableSnapshot>, Damage> {
    let Some(sessions) = file::ask(sql, About::Sessions)? else { return Ok(None) };
    let dictionary = Dictionary::read(sql)?;
    let mut handover = sessions::read(sql, &dictionary, sessions)?;
    let competed = file::need(sql, About::Competed)?;
    let memories = file::need(sql, About::Memories)?;
    memories::read(sql, &dictionary, MemoryRows { competed, memories }, &mut handover)?;
    handover.newest = Revision(file::need(sql, About::After)?);
    handover.forgotten = Revision(file::need(sql, About::Forgotten)?);
    Ok(Some(handover))
}

/// Reads back what is known of one address, from a file that has it indexed or is read through.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
) -> Result<TableSnapshot, Damage> {
    let mut handover = TableSnapshot::default();
    sessions::read_at(sql, dictionary, address, &mut handover)?;
    memories::read_at(sql, dictionary, address, &mut handover)?;
    Ok(handover)
}
