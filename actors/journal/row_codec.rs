//! Rows of the journal's files: values in order, and a checksum that detects damage.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Statement};

use super::corruption::Corruption;

/// The checksum of `cells`: type, length and content of each, rotated and multiplied word by word.
/// It detects every change of one word and nearly all changes of several. It detects damage, not
/// manipulation: a process that can write the file can also write the checksum.
pub(super) fn sum<'a>(cells: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    for cell in cells {
        match cell {
            ValueRef::Null => sum.add(0),
            ValueRef::Integer(number) => {
                sum.add(1);
                sum.add(number.cast_unsigned());
            }
            ValueRef::Real(number) => {
                sum.add(2);
                sum.add(number.to_bits());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => sum.add_bytes(bytes),
        }
    }
    sum.0.cast_signed()
}

struct Sum(u64);

impl Sum {
    fn add(&mut self, word: u64) {
        // Without the rotation, two flips of the highest bit would cancel out. The factor is odd,
        // so that no two states collide, and its bits are spread: 2^64 divided by pi.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Eight bytes per word; the length says how many bytes of the last word count.
    fn add_bytes(&mut self, bytes: &[u8]) {
        self.add(3 | (bytes.len() as u64) << 8);
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(last));
        }
    }
}

/// A statement that inserts several rows, each with its checksum.
pub(super) struct Rows<'sql> {
    statement: CachedStatement<'sql>,
    cells: usize,
    /// Which parameters hold a value: NULL is bound only in place of a value.
    bound: Vec<bool>,
}

impl<'sql> Rows<'sql> {
    /// Prepares a statement for `rows` rows of `cells` cells each.
    pub(super) fn of(
        sql: &'sql Connection,
        (table, cells): (&str, usize),
        rows: usize,
    ) -> rusqlite::Result<Self> {
        let row = format!("(?{})", ",?".repeat(cells));
        let rows = vec![row; rows].join(",");
        let statement = sql.prepare_cached(&format!("INSERT INTO {table} VALUES {rows}"))?;
        let bound = vec![false; statement.parameter_count()];
        Ok(Self { statement, cells, bound })
    }

    /// Binds the row at `index`, counted from 0.
    pub(super) fn bind(&mut self, index: usize, cells: &[ValueRef<'_>]) -> rusqlite::Result<()> {
        let first = index * (self.cells + 1);
        let checksum = [ValueRef::Integer(sum(cells.iter().copied()))];
        for (cell, at) in cells.iter().chain(&checksum).zip(first..) {
            let is_value = *cell != ValueRef::Null;
            if is_value || self.bound[at] {
                self.statement.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(*cell))?;
                self.bound[at] = is_value;
            }
        }
        Ok(())
    }

    /// Inserts all rows.
    pub(super) fn execute(&mut self) -> rusqlite::Result<()> {
        self.statement.raw_execute().map(drop)
    }
}

/// Inserts `cells` and their checksum with a statement that has one parameter for each.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    cells: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    for (cell, index) in cells.iter().zip(1..) {
        statement.raw_bind_parameter(index, ToSqlOutput::Borrowed(*cell))?;
    }
    statement.raw_bind_parameter(cells.len() + 1, sum(cells.iter().copied()))?;
    statement.raw_execute().map(drop)
}

/// `INSERT INTO table VALUES (?, …)` for this number of cells and their checksum.
pub(super) fn insert_sql(table: &str, cells: usize) -> String {
    format!("INSERT INTO {table} VALUES (?{})", ",?".repeat(cells))
}

pub(super) fn number(number: u64) -> ValueRef<'static> {
    ValueRef::Integer(number.cast_signed())
}

/// A text or NULL.
pub(super) fn text(text: Option<&str>) -> ValueRef<'_> {
    text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

/// A reference to another table, or NULL.
pub(super) fn reference(id: Option<i64>) -> ValueRef<'static> {
    id.map_or(ValueRef::Null, ValueRef::Integer)
}

/// The maximum number of cells of a row, with its checksum.
const MAX_CELLS: usize = 40;

/// A row with a valid checksum, read cell by cell.
pub(super) struct Cells<'r> {
    cells: [ValueRef<'r>; MAX_CELLS],
    next: usize,
}

impl<'r> Cells<'r> {
    /// Verifies a row of this number of cells and their checksum.
    pub(super) fn check(row: &'r Row<'_>, cells: usize) -> Result<Self, Corruption> {
        let mut optional = [ValueRef::Null; MAX_CELLS];
        for (index, cell) in optional.iter_mut().enumerate().take(cells) {
            *cell = row.get_ref(index)?;
        }
        let written: i64 = row.get(cells)?;
        if sum(optional[..cells].iter().copied()) != written {
            return Err(Corruption::Sum);
        }
        Ok(Self { cells: optional, next: 0 })
    }

    fn next(&mut self) -> ValueRef<'r> {
        let cell = self.cells[self.next];
        self.next += 1;
        cell
    }

    /// A text or NULL.
    pub(super) fn text(&mut self) -> Result<Option<&'r str>, Corruption> {
        match self.next() {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| Corruption::Value)
            }
            _ => Err(Corruption::Value),
        }
    }

    /// A text or NULL, parsed.
    pub(super) fn optional<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Corruption> {
        self.text()?.map(|text| text.parse().map_err(|_| Corruption::Value)).transpose()
    }

    /// A required text, parsed.
    pub(super) fn required<T: std::str::FromStr>(&mut self) -> Result<T, Corruption> {
        self.optional()?.ok_or(Corruption::Value)
    }

    /// A number or NULL.
    pub(super) fn optional_number(&mut self) -> Result<Option<i64>, Corruption> {
        match self.next() {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(Corruption::Value),
        }
    }

    /// A required number.
    pub(super) fn number(&mut self) -> Result<i64, Corruption> {
        self.optional_number()?.ok_or(Corruption::Value)
    }

    /// Required bytes.
    pub(super) fn bytes(&mut self) -> Result<&'r [u8], Corruption> {
        match self.next() {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(Corruption::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::types::Type::{Integer, Null, Text};
    use rusqlite::types::Value;

    use super::*;

    fn cell() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            ".{0,20}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        ]
    }

    fn sum_of(cells: &[Value]) -> i64 {
        sum(cells.iter().map(ValueRef::from))
    }

    proptest! {
        #[test]
        fn a_changed_cell_changes_the_checksum(
            mut cells in prop::collection::vec(cell(), 1..6),
            index in any::<prop::sample::Index>(),
            other in cell(),
        ) {
            let before = sum_of(&cells);
            let index = index.index(cells.len());
            // The checksum does not distinguish text and bytes of the same content; SQLite does.
            let same = |one: &Value, other: &Value| match (one, other) {
                (Value::Text(text), Value::Blob(bytes)) | (Value::Blob(bytes), Value::Text(text)) => {
                    text.as_bytes() == &bytes[..]
                }
                _ => one == other,
            };
            prop_assume!(!same(&cells[index], &other));
            cells[index] = other;
            prop_assert_ne!(sum_of(&cells), before);
        }
    }

    #[test]
    fn two_changes_do_not_cancel_out_in_the_checksum() {
        let numbers = |one: i64, two: i64| sum_of(&[Value::Integer(one), Value::Integer(two)]);
        assert_ne!(numbers(0, 0), numbers(i64::MIN, i64::MIN));
        assert_ne!(numbers(1, 2), numbers(2, 1));
        let texts = |one: &str, two: &str| sum_of(&[one, two].map(|text| Value::Text(text.into())));
        assert_ne!(texts("alice", "bob"), texts("aliceb", "ob"));
        assert_ne!(texts("alice", ""), texts("", "alice"));
        assert_ne!(texts("a\0", "b"), texts("a", "b"));
    }

    #[test]
    fn a_reused_statement_keeps_no_earlier_values() {
        let sql = Connection::open_in_memory().unwrap();
        sql.execute_batch("CREATE TABLE t (a, b, sum)").unwrap();
        let mut rows = Rows::of(&sql, ("t", 2), 2).unwrap();
        for [one, two] in [[text(Some("x")), number(1)], [ValueRef::Null, number(2)]] {
            rows.bind(0, &[one, two]).unwrap();
            rows.bind(1, &[two, one]).unwrap();
            rows.execute().unwrap();
        }
        let mut optional = sql.prepare("SELECT * FROM t").unwrap();
        let mut found = optional.query([]).unwrap();
        let mut types = Vec::new();
        while let Some(row) = found.next().unwrap() {
            assert_eq!(
                row.get::<_, i64>(2).unwrap(),
                sum([row.get_ref(0).unwrap(), row.get_ref(1).unwrap()])
            );
            types.push((row.get_ref(0).unwrap().data_type(), row.get_ref(1).unwrap().data_type()));
        }
        assert_eq!(types, [(Text, Integer), (Integer, Text), (Null, Integer), (Integer, Null)]);
    }
}
