//! The tables and the view of a journal file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use super::corruption::Corruption;
use super::{
    event_rows, file, memory_rows, position_rows, rule_versions, session_rows, string_table,
};

/// The events for administrators: times as text, with the source.
const VIEW: &str = "
CREATE VIEW history AS SELECT
    revision, strftime('%Y-%m-%dT%H:%M:%fZ', e.seen / 1000.0, 'unixepoch') AS seen,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS at,
    e.kind, address, user, domain, device, posture, r.names AS roles,
    o.kind AS producer_kind, producer, client, form
FROM events e LEFT JOIN origins o ON o.id = e.origin LEFT JOIN roles r ON r.id = e.roles;
";

/// Creates an empty file under a temporary name. It counts only after it is complete and synced.
pub(super) fn create(path: &Path) -> Result<Connection, Corruption> {
    let sql = Connection::open(path)?;
    // SQLite gives its companion files the same mode.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    sql.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
    )?;
    file::configure(&sql)?;
    sql.pragma_update(None, "application_id", file::APPLICATION)?;
    sql.pragma_update(None, "user_version", file::VERSION)?;
    let tables = [
        string_table::TABLES,
        event_rows::TABLE,
        rule_versions::TABLE,
        position_rows::TABLE,
        session_rows::TABLE,
        memory_rows::TABLES,
    ];
    let about_table = file::ABOUT;
    sql.execute_batch(&format!("BEGIN; {about_table} {} {VIEW} COMMIT;", tables.concat()))?;
    Ok(sql)
}
