//! Rule versions: which rules decided which events. A row marks each change, so that the rules of
//! every event are known, even if they were changed and changed back.

use std::collections::BTreeSet;

use rollcall_identity::{Revision, RevisionRange};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::corruption::Corruption;
use super::row_codec::{Cells, insert, insert_sql, number};

/// The table: the rules with this fingerprint decided the events after the position `after`. A
/// segment begins with the rules of its header.
pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS governed (after INTEGER PRIMARY KEY, rules INTEGER, sum INTEGER);
";

const CELLS: usize = 2;

/// The fingerprint of unknown rules: of a damaged row.
const UNKNOWN: u64 = 0;

/// Other rules are effective after the position `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuleVersion {
    pub(super) after: Revision,
    pub(super) rules: u64,
}

/// Writes a rule change in the transaction of the first event that the rules decide.
pub(super) fn write(sql: &Connection, version: RuleVersion) -> rusqlite::Result<()> {
    let RuleVersion { after, rules } = version;
    let mut into = sql.prepare_cached(&insert_sql("governed", CELLS))?;
    insert(&mut into, &[number(after.0), ValueRef::Integer(rules.cast_signed())])
}

/// All rule changes of a segment, ascending. A segment of an earlier version has none.
pub(super) fn read(sql: &Connection) -> rusqlite::Result<Vec<RuleVersion>> {
    let select = "SELECT count(*) FROM sqlite_master WHERE name = 'governed'";
    if sql.prepare_cached(select)?.query_row([], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut statement = sql.prepare_cached("SELECT * FROM governed ORDER BY after")?;
    let versions = statement.query_map([], |row| Ok(version(row)))?;
    versions.collect()
}

fn version(row: &Row<'_>) -> RuleVersion {
    let parse = || -> Result<RuleVersion, Corruption> {
        let mut cells = Cells::check(row, CELLS)?;
        let (after, rules) = (cells.number()?, cells.number()?);
        Ok(RuleVersion { after: Revision(after.cast_unsigned()), rules: rules.cast_unsigned() })
    };
    parse().unwrap_or_else(|_| {
        let after = row.get::<_, i64>(0).unwrap_or_default().cast_unsigned();
        RuleVersion { after: Revision(after), rules: UNKNOWN }
    })
}

/// The fingerprint of the rules that decided the event at `revision`, in a segment that began with
/// the rules `initial`.
pub(super) fn at(initial: u64, versions: &[RuleVersion], revision: Revision) -> u64 {
    let before = versions.partition_point(|version| version.after < revision);
    before.checked_sub(1).map_or(initial, |last| versions[last].rules)
}

/// The fingerprints of the rules that decided the events of `span`.
pub(super) fn deciding(
    initial: u64,
    versions: &[RuleVersion],
    span: RevisionRange,
) -> BTreeSet<u64> {
    let mut deciding = BTreeSet::new();
    if span.after >= span.upto {
        return deciding;
    }
    deciding.insert(at(initial, versions, Revision(span.after.0 + 1)));
    let within =
        versions.iter().filter(|version| version.after > span.after && version.after < span.upto);
    deciding.extend(within.map(|version| version.rules));
    deciding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_force(versions: &[(u64, u64)], (after, upto): (u64, u64)) -> Vec<u64> {
        let version =
            |(after, rules): &(u64, u64)| RuleVersion { after: Revision(*after), rules: *rules };
        let versions: Vec<RuleVersion> = versions.iter().map(version).collect();
        let span = RevisionRange { after: Revision(after), upto: Revision(upto) };
        deciding(7, &versions, span).into_iter().collect()
    }

    #[test]
    fn each_event_maps_to_the_rules_that_decided_it() {
        let versions = [(10, 8), (20, 7), (30, 9)];
        assert_eq!(in_force(&versions, (0, 10)), [7], "a version applies to later events");
        assert_eq!(in_force(&versions, (0, 11)), [7, 8]);
        assert_eq!(in_force(&versions, (10, 20)), [8]);
        assert_eq!(in_force(&versions, (12, 30)), [7, 8], "changed, and changed back");
        assert_eq!(in_force(&versions, (25, u64::MAX)), [7, 9]);
        assert_eq!(in_force(&versions, (40, 50)), [9]);
        assert!(in_force(&versions, (40, 40)).is_empty(), "of no event");
        assert_eq!(in_force(&[], (0, 5)), [7]);
    }

    #[test]
    fn a_damaged_rule_version_is_unknown() {
        let sql = Connection::open_in_memory().unwrap();
        assert_eq!(read(&sql).unwrap(), [], "a segment of an earlier version");
        sql.execute_batch(TABLE).unwrap();
        let first = RuleVersion { after: Revision(3), rules: u64::MAX };
        write(&sql, first).unwrap();
        write(&sql, RuleVersion { after: Revision(5), rules: 9 }).unwrap();
        sql.execute("UPDATE governed SET rules = 8 WHERE after = 5", []).unwrap();
        let unknown = RuleVersion { after: Revision(5), rules: UNKNOWN };
        assert_eq!(read(&sql).unwrap(), [first, unknown]);
    }
}
