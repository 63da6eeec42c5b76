//! What is remembered of addresses besides their sessions, as rows of a snapshot: what competed, who
//! left before they came, who came lately, and what is shared.

use rollcall_identity::{
    Address, DecisionRecord, MemorySnapshot, Name, Posture, Principal, RetainedRecord, Revision,
    TableSnapshot, Timestamp, Verdict,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::corruption::Corruption;
use super::event_rows::{principal, who};
use super::row_codec::{Cells, insert, inserting, number, reference, text};
use super::string_table::{Dictionary, References, StringTable};

/// The tables. `whose` is `known`, of an address that has or had a session, or `stranger`; the rows
/// of each stand in the order in which they are forgotten. `what` is `departed`, `came` or `shared`,
/// the last with the time until which it is.
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

/// How many cells a row of each has, without its sum.
const COMPETED: usize = 19;
const MEMORIES: usize = 7;

const KNOWN: &str = "known";
const STRANGER: &str = "stranger";

const DEPARTED: &str = "departed";
const CAME: &str = "came";
const SHARED: &str = "shared";

/// How many rows of each there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryRows {
    /// Events that competed.
    pub(super) competed: u64,
    /// The rest.
    pub(super) memories: u64,
}

/// Puts in what `handover` remembers.
pub(super) fn write(
    sql: &Connection,
    lexicon: &mut StringTable,
    handover: &TableSnapshot,
) -> rusqlite::Result<MemoryRows> {
    let mut rows = MemoryRows { competed: 0, memories: 0 };
    for (whose, all) in
        [(KNOWN, &handover.competed), (STRANGER, &handover.competed_without_session)]
    {
        for competed in all {
            rows.competed += 1;
            write_competed(sql, lexicon, rows.competed, (whose, competed))?;
        }
    }
    let mut into = sql.prepare_cached(&inserting("memories", MEMORIES))?;
    for MemorySnapshot { address, early_logouts: departed, logins: came, shared_until } in
        &handover.memories
    {
        let address = address.to_string();
        let mut put = |what, [user, domain, spellings]: [ValueRef<'_>; 3], at: &Timestamp| {
            rows.memories += 1;
            let (address, what) = (text(Some(&address)), text(Some(what)));
            let at = ValueRef::Integer(at.millis());
            let row = [number(rows.memories), address, what, user, domain, spellings, at];
            insert(&mut into, &row)
        };
        departed.iter().try_for_each(|(principal, at)| put(DEPARTED, who(Some(principal)), at))?;
        for (user, at) in came {
            let user = text(Some(user.as_str()));
            put(CAME, [user, ValueRef::Null, ValueRef::Null], at)?;
        }
        shared_until.iter().try_for_each(|until| put(SHARED, who(None), until))?;
    }
    Ok(rows)
}

fn write_competed(
    sql: &Connection,
    lexicon: &mut StringTable,
    id: u64,
    (whose, competed): (&'static str, &RetainedRecord),
) -> rusqlite::Result<()> {
    let RetainedRecord { address, first, received: noted, record } = competed;
    let address = address.to_string();
    let roles = lexicon.roles(sql, &record.roles)?;
    let origin = lexicon.origin(sql, &record.origin)?;
    let [user, domain, spellings] = who(record.principal.as_ref());
    let time = |at: Timestamp| ValueRef::Integer(at.millis());
    let mut into = sql.prepare_cached(&inserting("competed", COMPETED))?;
    insert(
        &mut into,
        &[
            number(id),
            text(Some(whose)),
            text(Some(&address)),
            number(first.0),
            time(*noted),
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

/// Reads back into `handover` what [`write`] put in, when it is whole.
pub(super) fn read(
    sql: &Connection,
    dictionary: &Dictionary,
    rows: MemoryRows,
    handover: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let competed = each(sql, "competed", |row| {
        let (is_stranger, competed) = read_competed(row, dictionary)?;
        let list = if is_stranger {
            &mut handover.competed_without_session
        } else {
            &mut handover.competed
        };
        list.push(competed);
        Ok(())
    })?;
    let memories = each(sql, "memories", |row| read_memory(row, &mut handover.memories))?;
    let found = MemoryRows { competed, memories };
    if found != rows {
        return Err(Corruption::Missing(format!("{found:?} of {rows:?}")));
    }
    Ok(())
}

/// Reads back into `handover` what is remembered of one address.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
    handover: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let wanted = address.to_string();
    let asked = "SELECT * FROM competed WHERE address = ? ORDER BY id";
    let mut statement = sql.prepare_cached(asked)?;
    let mut rows = statement.query([&wanted])?;
    while let Some(row) = rows.next()? {
        let (origins, groups) = ([row.get("origin")?, None], [None, None]);
        dictionary.learn(sql, &References { origins, roles: row.get("roles")?, groups })?;
        let (is_stranger, competed) = read_competed(row, dictionary)?;
        let list = if is_stranger {
            &mut handover.competed_without_session
        } else {
            &mut handover.competed
        };
        list.push(competed);
    }
    let asked = "SELECT * FROM memories WHERE address = ? ORDER BY id";
    let mut statement = sql.prepare_cached(asked)?;
    let mut rows = statement.query([&wanted])?;
    while let Some(row) = rows.next()? {
        read_memory(row, &mut handover.memories)?;
    }
    Ok(())
}

/// Takes every row of a table in its order, and says how many there are.
fn each(
    sql: &Connection,
    table: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Corruption>,
) -> Result<u64, Corruption> {
    let mut statement = sql.prepare(&format!("SELECT * FROM {table} ORDER BY id"))?;
    let (mut all, mut found) = (statement.query([])?, 0);
    while let Some(row) = all.next()? {
        found += 1;
        take(row)?;
    }
    Ok(found)
}

fn read_competed(
    row: &Row<'_>,
    dictionary: &Dictionary,
) -> Result<(bool, RetainedRecord), Corruption> {
    let mut cells = Cells::check(row, COMPETED)?;
    cells.number()?;
    let is_stranger = match cells.text()? {
        Some(KNOWN) => false,
        Some(STRANGER) => true,
        _ => return Err(Corruption::Value),
    };
    let address: Address = cells.need()?;
    let first = Revision(cells.number()?.cast_unsigned());
    let noted = Timestamp::from_millis(cells.number()?);
    let revision = Revision(cells.number()?.cast_unsigned());
    let kind = cells.need()?;
    let principal = principal(&mut cells)?;
    let device = cells.read()?;
    let roles = dictionary.roles(cells.maybe_number()?)?;
    let posture = cells.read()?;
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
    Ok((is_stranger, RetainedRecord { address, first, received: noted, record }))
}

fn verdict(cells: &mut Cells<'_>) -> Result<Verdict, Corruption> {
    match cells.text()? {
        Some("applied") => Ok(Verdict::Applied(cells.need()?)),
        Some("refused") => Ok(Verdict::Refused(cells.need()?)),
        Some("deduplicated") => cells.text().map(|_| Verdict::Deduplicated),
        _ => Err(Corruption::Value),
    }
}

/// The rows of an address stand together.
fn read_memory(row: &Row<'_>, memories: &mut Vec<MemorySnapshot>) -> Result<(), Corruption> {
    let mut cells = Cells::check(row, MEMORIES)?;
    cells.number()?;
    let address: Address = cells.need()?;
    let what = cells.text()?.ok_or(Corruption::Value)?;
    let principal: Option<Principal> = principal(&mut cells)?;
    let at = Timestamp::from_millis(cells.number()?);
    if memories.last().is_none_or(|last| last.address != address) {
        let (departed, came) = (Vec::new(), Vec::new());
        memories.push(MemorySnapshot {
            address,
            early_logouts: departed,
            logins: came,
            shared_until: None,
        });
    }
    let memory = memories.last_mut().ok_or(Corruption::Value)?;
    match (what, principal) {
        (DEPARTED, Some(principal)) => memory.early_logouts.push((principal, at)),
        (CAME, Some(principal)) => memory.logins.push((principal.user, at)),
        (SHARED, None) => memory.shared_until = Some(at),
        _ => return Err(Corruption::Value),
    }
    Ok(())
}
