//! Read positions of producers as rows, committed with the events that they cover.

use std::sync::Arc;

use rollcall_identity::{ReadPosition, ReadPositions, ReadSource};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::corruption::Corruption;
use super::row_codec::{Cells, insert, text};

/// The table.
pub(super) const TABLE: &str = "
CREATE TABLE positions (
    producer TEXT, source TEXT, place BLOB, sum INTEGER, PRIMARY KEY (producer, source));
";

const CELLS: usize = 3;

/// Inserts or replaces a read position.
pub(super) fn write(sql: &Connection, read: &ReadPosition) -> rusqlite::Result<()> {
    let ReadPosition { source, position } = read;
    let mut into = sql.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)")?;
    let names = [source.producer.as_str(), source.name.as_str()].map(|name| text(Some(name)));
    insert(&mut into, &[names[0], names[1], ValueRef::Blob(position)])
}

/// Reads all valid positions and returns the number of damaged ones. A source without a position is
/// read from its beginning, or from where its producer decides.
pub(super) fn read(sql: &Connection) -> Result<(ReadPositions, usize), Corruption> {
    let (mut positions, mut damaged) = (ReadPositions::new(), 0);
    let mut statement = sql.prepare("SELECT * FROM positions")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let one = Cells::check(row, CELLS).and_then(|mut cells| {
            let source = ReadSource { producer: cells.required()?, name: cells.required()? };
            Ok((source, Arc::from(cells.bytes()?)))
        });
        match one {
            Ok((source, position)) => drop(positions.insert(source, position)),
            Err(_) => damaged += 1,
        }
    }
    Ok((positions, damaged))
}
