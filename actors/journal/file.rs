//! A file of the journal as SQLite knows it: how it is made, opened, and recognised.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::corruption::Corruption;

/// `Roll` in SQLite's header, so that `file` and we know what it is.
pub(super) const APPLICATION: i32 = i32::from_be_bytes(*b"Roll");

/// The version of the tables. A file of a later one is left alone.
pub(super) const VERSION: i32 = 2;

/// What a file says of itself, in numbers.
pub(super) const ABOUT: &str = "CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER);";

/// A name under which a file keeps a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderField {
    /// The life of the journal's positions.
    Epoch,
    /// Segments: what came before ends here; whatever an earlier segment holds beyond was never
    /// acknowledged. Snapshots: everything up to here is in it.
    After,
    /// Segments: the position of the first event.
    First,
    /// When it was begun, in milliseconds since 1970.
    Begun,
    /// The rules by which what comes after is folded, as a fingerprint.
    Rules,
    /// How many sessions it holds.
    Sessions,
    /// Snapshots: the newest end that is no longer remembered.
    Forgotten,
    /// Snapshots: how many events it holds that competed.
    Competed,
    /// Snapshots: how much else it remembers of addresses.
    Memories,
    /// Segments: the names were taken out.
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

/// Makes a whole file one that is written on, with a write-ahead log.
pub(super) fn log_ahead(sql: &Connection) -> Result<(), Corruption> {
    let mode: String =
        sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(Corruption::Strange) }
}

/// Opens a segment to write on.
pub(super) fn resume(path: &Path) -> Result<Connection, Corruption> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    careful(&sql)?;
    settle(&sql)?;
    recognise(&sql)?;
    Ok(sql)
}

/// Opens a file to read.
pub(super) fn open(path: &Path) -> Result<Connection, Corruption> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(path, flags)?;
    settle(&sql)?;
    recognise(&sql)?;
    Ok(sql)
}

/// What makes a commit durable (SQLite, "Write-Ahead Logging" and "PRAGMA synchronous"). The log is
/// carried into the file only when we say so, to hear of every error; not even when it is closed.
fn careful(sql: &Connection) -> Result<(), Corruption> {
    sql.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// What every connection has. Files may come from elsewhere: what stands in their schema is not
/// trusted. Rows are only ever added at the end, so a small cache is enough.
pub(super) fn settle(sql: &Connection) -> Result<(), Corruption> {
    sql.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -8192;")?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

fn recognise(sql: &Connection) -> Result<(), Corruption> {
    let pragma = |name| sql.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (pragma("application_id")?, pragma("user_version")?) {
        (APPLICATION, VERSION) => Ok(()),
        _ => Err(Corruption::Strange),
    }
}

/// Writes down what a file says of itself.
pub(super) fn tell(sql: &Connection, name: HeaderField, value: u64) -> rusqlite::Result<()> {
    let row = (name.name(), value.cast_signed());
    sql.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", row).map(drop)
}

/// What a file says of itself; `None` when it does not say that.
pub(super) fn ask(sql: &Connection, name: HeaderField) -> rusqlite::Result<Option<u64>> {
    let asked = "SELECT value FROM about WHERE name = ?";
    let value = sql.query_row(asked, [name.name()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(value.map(i64::cast_unsigned))
}

/// The same of what it must say.
pub(super) fn need(sql: &Connection, name: HeaderField) -> Result<u64, Corruption> {
    ask(sql, name)?.ok_or(Corruption::Value)
}
