//! Further state of addresses as rows of a snapshot: competing events, early logouts, recent
//! logins, and shared addresses.

use rollcall_identity::{
    Address, DecisionRecord, MemorySnapshot, Name, Posture, Principal, RetainedRecord, Revision,
    TableSnapshot, Timestamp, Verdict,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::corruption::Corruption;
use super::event_rows::{principal, principal_cells};
use super::row_codec::{Cells, insert, insert_sql, number, reference, text};
use super::string_table::{Dictionary, References, StringTable};

/// The tables. `whose` is `known` for an address that has or had a session, otherwise `stranger`;
/// the rows of each are in the order of their removal. `what` is `departed` (an early logout),
/// `came` (a recent login) or `shared`, the last with its end time.
pub(super) const TABLES: &str = "
CREATE TABLE competed (
    id INTEGER PRIMARY KEY, whose TEXT, address TEXT, first INTEGER, noted INTEGER,
    revision INTEGER, kind TEXT, user TEXT, domain TEXT, spellings INTEGER, device TEXT,
    roles INTEGER, posture TEXT, at INTEGER, seen INTEGER, origin INTEGER,
    outcome TEXT, reason TEXT, repeated INTEGER, sum INTEGER);
CREATE TABLE memories (
    id INTEGER PRIMARY KEY, address TEXT, what TEXT,
    user TEXT, domain TEXT, spellings INTEGER, at INTEGER, sum INTEGER);
";

/// The number of cells of a row, without its checksum.
const COMPETED: usize = 19;
const MEMORIES: usize = 7;

const OWNER_SESSION: &str = "known";
const OWNER_NO_SESSION: &str = "stranger";

const EARLY_LOGOUT: &str = "departed";
const LOGIN: &str = "came";
const SHARED_UNTIL: &str = "shared";

/// The number of rows of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryRows {
    /// Competing events.
    pub(super) competed: u64,
    /// Other memories.
    pub(super) memories: u64,
}

/// Writes the memories of `snapshot`.
pub(super) fn write(
    sql: &Connection,
    strings: &mut StringTable,
    snapshot: &TableSnapshot,
) -> rusqlite::Result<MemoryRows> {
    let mut rows = MemoryRows { competed: 0, memories: 0 };
    for (owner, all) in [
        (OWNER_SESSION, &snapshot.competed),
        (OWNER_NO_SESSION, &snapshot.competed_without_session),
    ] {
        for competed in all {
            rows.competed += 1;
            write_competed(sql, strings, rows.competed, (owner, competed))?;
        }
    }
    let mut into = sql.prepare_cached(&insert_sql("memories", MEMORIES))?;
    for MemorySnapshot { address, early_logouts, logins, shared_until } in &snapshot.memories {
        let address = address.to_string();
        let mut insert_memory = |memory_kind,
                                 [user, domain, spellings]: [ValueRef<'_>; 3],
                                 at: &Timestamp| {
            rows.memories += 1;
            let (address, memory_kind) = (text(Some(&address)), text(Some(memory_kind)));
            let at = ValueRef::Integer(at.millis());
            let row = [number(rows.memories), address, memory_kind, user, domain, spellings, at];
            insert(&mut into, &row)
        };
        early_logouts.iter().try_for_each(|(principal, at)| {
            insert_memory(EARLY_LOGOUT, principal_cells(Some(principal)), at)
        })?;
        for (user, at) in logins {
            let user = text(Some(user.as_str()));
            insert_memory(LOGIN, [user, ValueRef::Null, ValueRef::Null], at)?;
        }
        shared_until
            .iter()
            .try_for_each(|until| insert_memory(SHARED_UNTIL, principal_cells(None), until))?;
    }
    Ok(rows)
}

fn write_competed(
    sql: &Connection,
    strings: &mut StringTable,
    id: u64,
    (owner, competed): (&'static str, &RetainedRecord),
) -> rusqlite::Result<()> {
    let RetainedRecord { address, first, received, record } = competed;
    let address = address.to_string();
    let roles = strings.roles(sql, &record.roles)?;
    let origin = strings.origin(sql, &record.origin)?;
    let [user, domain, spellings] = principal_cells(record.principal.as_ref());
    let time = |at: Timestamp| ValueRef::Integer(at.millis());
    let mut into = sql.prepare_cached(&insert_sql("competed", COMPETED))?;
    insert(
        &mut into,
        &[
            number(id),
            text(Some(owner)),
            text(Some(&address)),
            number(first.0),
            time(*received),
            number(record.revision.0),
            text(Some(record.kind.as_str())),
            user,
            domain,
            spellings,
            text(record.device.as_ref().map(Name::as_str)),
            reference(roles),
            text(record.posture.map(Posture::as_str)),
            time(record.at),
            time(record.seen),
            ValueRef::Integer(origin),
            text(Some(record.verdict.outcome())),
            text(Some(record.verdict.reason())),
            number(record.repeated.into()),
        ],
    )
}

/// Reads into `snapshot` what [`write`] wrote, if it is complete.
pub(super) fn read(
    sql: &Connection,
    dictionary: &Dictionary,
    rows: MemoryRows,
    snapshot: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let competed = each(sql, "competed", |row| {
        let (has_no_session, competed) = read_competed(row, dictionary)?;
        let list = if has_no_session {
            &mut snapshot.competed_without_session
        } else {
            &mut snapshot.competed
        };
        list.push(competed);
        Ok(())
    })?;
    let memories = each(sql, "memories", |row| read_memory(row, &mut snapshot.memories))?;
    let found = MemoryRows { competed, memories };
    if found != rows {
        return Err(Corruption::Missing(format!("{found:?} of {rows:?}")));
    }
    Ok(())
}

/// Reads the memories of one address into `snapshot`.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
    snapshot: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let address_text = address.to_string();
    let select = "SELECT * FROM competed WHERE address = ? ORDER BY id";
    let mut statement = sql.prepare_cached(select)?;
    let mut rows = statement.query([&address_text])?;
    while let Some(row) = rows.next()? {
        let (origins, groups) =
            (row.get::<_, Option<i64>>("origin")?.into_iter().collect(), [None, None]);
        dictionary.load(sql, &References { origins, roles: row.get("roles")?, groups })?;
        let (has_no_session, competed) = read_competed(row, dictionary)?;
        let list = if has_no_session {
            &mut snapshot.competed_without_session
        } else {
            &mut snapshot.competed
        };
        list.push(competed);
    }
    let select = "SELECT * FROM memories WHERE address = ? ORDER BY id";
    let mut statement = sql.prepare_cached(select)?;
    let mut rows = statement.query([&address_text])?;
    while let Some(row) = rows.next()? {
        read_memory(row, &mut snapshot.memories)?;
    }
    Ok(())
}

/// Calls `read_row` for each row of a table in order and returns the number of rows.
fn each(
    sql: &Connection,
    table: &str,
    mut read_row: impl FnMut(&Row<'_>) -> Result<(), Corruption>,
) -> Result<u64, Corruption> {
    let mut statement = sql.prepare(&format!("SELECT * FROM {table} ORDER BY id"))?;
    let (mut all, mut found) = (statement.query([])?, 0);
    while let Some(row) = all.next()? {
        found += 1;
        read_row(row)?;
    }
    Ok(found)
}

fn read_competed(
    row: &Row<'_>,
    dictionary: &Dictionary,
) -> Result<(bool, RetainedRecord), Corruption> {
    let mut cells = Cells::check(row, COMPETED)?;
    cells.number()?;
    let has_no_session = match cells.text()? {
        Some(OWNER_SESSION) => false,
        Some(OWNER_NO_SESSION) => true,
        _ => return Err(Corruption::Value),
    };
    let address: Address = cells.required()?;
    let first = Revision(cells.number()?.cast_unsigned());
    let received = Timestamp::from_millis(cells.number()?);
    let revision = Revision(cells.number()?.cast_unsigned());
    let kind = cells.required()?;
    let principal = principal(&mut cells)?;
    let device = cells.optional()?;
    let roles = dictionary.roles(cells.optional_number()?)?;
    let posture = cells.optional()?;
    let at = Timestamp::from_millis(cells.number()?);
    let seen = Timestamp::from_millis(cells.number()?);
    let origin = dictionary.origin(cells.number()?)?;
    let verdict = verdict(&mut cells)?;
    let repeated = u32::try_from(cells.number()?).map_err(|_| Corruption::Value)?;
    let record = DecisionRecord {
        revision,
        kind,
        principal,
        device,
        roles,
        posture,
        at,
        seen,
        origin,
        verdict,
        repeated,
    };
    Ok((has_no_session, RetainedRecord { address, first, received, record }))
}

fn verdict(cells: &mut Cells<'_>) -> Result<Verdict, Corruption> {
    match cells.text()? {
        Some("applied") => Ok(Verdict::Applied(cells.required()?)),
        Some("refused") => Ok(Verdict::Refused(cells.required()?)),
        Some("deduplicated") => cells.text().map(|_| Verdict::Deduplicated),
        _ => Err(Corruption::Value),
    }
}

/// The rows of an address are adjacent.
fn read_memory(row: &Row<'_>, memories: &mut Vec<MemorySnapshot>) -> Result<(), Corruption> {
    let mut cells = Cells::check(row, MEMORIES)?;
    cells.number()?;
    let address: Address = cells.required()?;
    let memory_kind = cells.text()?.ok_or(Corruption::Value)?;
    let principal: Option<Principal> = principal(&mut cells)?;
    let at = Timestamp::from_millis(cells.number()?);
    if memories.last().is_none_or(|last| last.address != address) {
        let (early_logouts, logins) = (Vec::new(), Vec::new());
        memories.push(MemorySnapshot { address, early_logouts, logins, shared_until: None });
    }
    let memory = memories.last_mut().ok_or(Corruption::Value)?;
    match (memory_kind, principal) {
        (EARLY_LOGOUT, Some(principal)) => memory.early_logouts.push((principal, at)),
        (LOGIN, Some(principal)) => memory.logins.push((principal.user, at)),
        (SHARED_UNTIL, None) => memory.shared_until = Some(at),
        _ => return Err(Corruption::Value),
    }
    Ok(())
}
