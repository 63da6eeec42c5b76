//! Journal files as SQLite databases: creating, opening and checking them.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::corruption::Corruption;

/// `Roll`, the application ID in SQLite's header. The program `file` shows it.
pub(super) const APPLICATION: i32 = i32::from_be_bytes(*b"Roll");

/// The version of the tables. Files of another version are not opened.
pub(super) const VERSION: i32 = 2;

/// The header fields of a file, as numbers.
pub(super) const ABOUT: &str = "CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER);";

/// A header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderField {
    /// The epoch of the positions.
    Epoch,
    /// Segments: the last acknowledged position before the segment; later events of an earlier
    /// segment were never acknowledged. Snapshots: the position of the snapshot.
    After,
    /// Segments: the position of the first event.
    First,
    /// The start time, in milliseconds since 1970.
    Begun,
    /// The fingerprint of the rules that decide the following events.
    Rules,
    /// The number of sessions.
    Sessions,
    /// Snapshots: the newest session end that is no longer remembered.
    Forgotten,
    /// Snapshots: the number of competing events.
    Competed,
    /// Snapshots: the number of other memories of addresses.
    Memories,
    /// Segments: the names were erased.
    Nameless,
}

impl HeaderField {
    fn name(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::After => "after",
            Self::First => "first",
            Self::Begun => "begun",
            Self::Rules => "rules",
            Self::Sessions => "sessions",
            Self::Forgotten => "forgotten",
            Self::Competed => "competed",
            Self::Memories => "memories",
            Self::Nameless => "nameless",
        }
    }
}

/// Switches a complete file to write-ahead logging.
pub(super) fn enable_wal(sql: &Connection) -> Result<(), Corruption> {
    let mode: String =
        sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(Corruption::WrongFormat) }
}

/// Opens a segment for writing.
pub(super) fn resume(path: &Path) -> Result<Connection, Corruption> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    make_durable(&sql)?;
    configure(&sql)?;
    check_format(&sql)?;
    Ok(sql)
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<Connection, Corruption> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    configure(&sql)?;
    check_format(&sql)?;
    Ok(sql)
}

/// Makes each commit durable (SQLite, "Write-Ahead Logging" and "PRAGMA synchronous"). Only an
/// explicit checkpoint copies the log into the file, so that every error is reported; closing the
/// file does not.
fn make_durable(sql: &Connection) -> Result<(), Corruption> {
    sql.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Settings of every connection. Files may come from elsewhere, so their schema is not trusted.
/// Rows are only appended, so a small cache is enough.
pub(super) fn configure(sql: &Connection) -> Result<(), Corruption> {
    sql.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192;")?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

fn check_format(sql: &Connection) -> Result<(), Corruption> {
    let pragma = |name| sql.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION, VERSION) => Ok(()),
        _ => Err(Corruption::WrongFormat),
    }
}

/// Writes a header field.
pub(super) fn write_field(sql: &Connection, name: HeaderField, value: u64) -> rusqlite::Result<()> {
    let row = (name.name(), value.cast_signed());
    sql.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", row).map(drop)
}

/// Reads a header field; `None` if the file does not contain it.
pub(super) fn field(sql: &Connection, name: HeaderField) -> rusqlite::Result<Option<u64>> {
    let select = "SELECT value FROM about WHERE name = ?";
    let value = sql.query_row(select, [name.name()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(value.map(i64::cast_unsigned))
}

/// Reads a required header field.
pub(super) fn required_field(sql: &Connection, name: HeaderField) -> Result<u64, Corruption> {
    field(sql, name)?.ok_or(Corruption::Value)
}
