//! The rows of the journal's files: values in their order, and a sum that finds what a disk mangled.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement};

use super::damage::Damage;

/// The sum over `cells`: FNV-1a in 64 bits over type, length and bytes of each. It finds a torn or
/// mangled row; whoever may write the file can write the sum as well.
pub(super) fn sum<'a>(cells: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    for cell in cells {
        match cell {
            ValueRef::Null => sum.add(&[0]),
            ValueRef::Integer(number) => {
                sum.add(&[1]);
                sum.add(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                sum.add(&[2]);
                sum.add(&number.to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                sum.add(&[3]);
                sum.add(&(bytes.len() as u64).to_le_bytes());
                sum.add(bytes);
            }
        }
    }
    sum.0.cast_signed()
}

struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Inserts `cells` and their sum by a statement with one parameter for each.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    cells: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    for (cell, place) in cells.iter().zip(1..) {
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(*cell))?;
    }
    statement.raw_bind_parameter(cells.len() + 1, sum(cells.iter().copied()))?;
    statement.raw_execute().map(drop)
}

/// `INSERT INTO table VALUES (?, …)` for so many cells and their sum.
pub(super) fn inserting(table: &str, cells: usize) -> String {
    format!("INSERT INTO {table} VALUES (?{})", ",?".repeat(cells))
}

/// A number.
pub(super) fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(number.cast_signed())
}

/// A text, or nothing.
pub(super) fn text(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

/// A reference into another table, or nothing.
pub(super) fn reference(id: Option<i64>) -> ValueRef<'static> {
    id.map_or(ValueRef::Null, ValueRef::Integer)
}

/// A row whose sum is right, read cell by cell.
pub(super) struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Cells<'r> {
    /// Checks a row of so many cells and their sum.
    pub(super) fn check(row: &'r Row<'r>, cells: usize) -> Result<Self, Damage> {
        let read: Result<Vec<_>, _> = (0..cells).map(|index| row.get_ref(index)).collect();
        let written: i64 = row.get(cells)?;
        if sum(read?) != written {
            return Err(Damage::Sum);
        }
        Ok(Self { row, next: 0 })
    }

    fn next(&mut self) -> Result<ValueRef<'r>, Damage> {
        let cell = self.row.get_ref(self.next)?;
        self.next += 1;
        Ok(cell)
    }

    /// A text, or nothing.
    pub(super) fn text(&mut self) -> Result<Option<&'r str>, Damage> {
        match self.next()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| Damage::Value)
            }
            _ => Err(Damage::Value),
        }
    }

    /// A text, or nothing, as a value.
    pub(super) fn read<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Damage> {
        self.text()?.map(|text| text.parse().map_err(|_| Damage::Value)).transpose()
    }

    /// A text as a value that must be there.
    pub(super) fn need<T: std::str::FromStr>(&mut self) -> Result<T, Damage> {
        self.read()?.ok_or(Damage::Value)
    }

    /// A number, or nothing.
    pub(super) fn maybe_number(&mut self) -> Result<Option<i64>, Damage> {
        match self.next()? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(Damage::Value),
        }
    }

    /// A number that must be there.
    pub(super) fn number(&mut self) -> Result<i64, Damage> {
        self.maybe_number()?.ok_or(Damage::Value)
    }

    /// Bytes that must be there.
    pub(super) fn bytes(&mut self) -> Result<&'r [u8], Damage> {
        match self.next()? {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(Damage::Value),
        }
    }
}
