//! Sessions as rows: those that are there, and those whose end is still remembered.

use std::sync::Arc;

use rollcall_identity::{
    Address, Cause, Ended, Handover, Name, Posture, Revision, Session, Standing, Timestamp,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};

use super::cells::{Cells, insert, inserting, number, reference, text};
use super::damage::Damage;
use super::events::{exact_to, precision, principal, who};
use super::lexicon::{Dictionary, Lexicon, References};

/// The table. `state` is `present`; `before`, for whom a consumer of one domain may still hold at
/// the address of the row above; or `ended`. `told` is the position that consumers must have passed
/// to know of it; `cause_…` is the event that began the session, `end_…` the one that ended it.
pub(super) const TABLE: &str = "
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, state TEXT, told INTEGER, address TEXT,
    user TEXT, domain TEXT, spellings INTEGER, device TEXT, posture TEXT,
    roles INTEGER, user_groups INTEGER, device_groups INTEGER,
    since INTEGER, confirmed INTEGER, proof TEXT, exact_to INTEGER, expires INTEGER, revision INTEGER,
    cause_kind TEXT, cause_at INTEGER, cause_seen INTEGER, cause_origin INTEGER, cause_rule TEXT,
    end_kind TEXT, end_at INTEGER, end_seen INTEGER, end_origin INTEGER, end_rule TEXT,
    left_at INTEGER, sum INTEGER);
";

/// How many cells a row has, without its sum.
pub(super) const CELLS: usize = 29;

const PRESENT: &str = "present";
const BEFORE: &str = "before";
const ENDED: &str = "ended";

/// What a row says besides the session itself.
struct Standpoint<'a> {
    state: &'static str,
    told: Revision,
    end: Option<&'a Ended>,
}

/// Puts in everything that `handover` knows; returns how many rows that made.
pub(super) fn write(
    sql: &Connection,
    lexicon: &mut Lexicon,
    handover: &Handover,
) -> rusqlite::Result<u64> {
    let mut rows = 0;
    let mut into = sql.prepare_cached(&inserting("sessions", CELLS))?;
    let mut put = |session: &Session, standpoint: Standpoint<'_>| {
        rows += 1;
        write_one(sql, (&mut into, rows), lexicon, (session, &standpoint))
    };
    for Standing { session, told, was } in &handover.standing {
        let told = *told;
        put(session, Standpoint { state: PRESENT, told, end: None })?;
        if let Some(ended) = was {
            let told = ended.revision;
            put(&ended.session, Standpoint { state: BEFORE, told, end: Some(ended) })?;
        }
    }
    for ended in &handover.ends {
        let told = ended.revision;
        put(&ended.session, Standpoint { state: ENDED, told, end: Some(ended) })?;
    }
    Ok(rows)
}

fn write_one(
    sql: &Connection,
    (into, id): (&mut Statement<'_>, u64),
    lexicon: &mut Lexicon,
    (session, standpoint): (&Session, &Standpoint<'_>),
) -> rusqlite::Result<()> {
    let address = session.address.to_string();
    let [user, domain, spellings] = who(session.principal.as_ref());
    let roles = lexicon.roles(sql, &session.roles)?;
    let [user_groups, device_groups] = lexicon.membership(sql, &session.membership)?;
    let begun = because(sql, lexicon, Some(&session.cause))?;
    let ended = because(sql, lexicon, standpoint.end.map(|end| &end.cause))?;
    let left_at = standpoint.end.map(|end| end.at.millis());
    let time = |at: Timestamp| ValueRef::Integer(at.millis());
    let mut row = vec![
        number(id),
        text(Some(standpoint.state)),
        number(standpoint.told.0),
        text(Some(&address)),
        user,
        domain,
        spellings,
        text(session.device.as_ref().map(Name::as_str)),
        text(session.posture.map(Posture::as_str)),
        reference(roles),
        reference(user_groups),
        reference(device_groups),
        time(session.since),
        time(session.confirmed),
        text(Some(session.proof.as_str())),
        exact_to(session.precision),
        time(session.expires),
        number(session.revision.0),
    ];
    row.extend(begun);
    row.extend(ended);
    row.push(reference(left_at));
    insert(into, &row)
}

/// The cells of a cause.
fn because(
    sql: &Connection,
    lexicon: &mut Lexicon,
    cause: Option<&Cause>,
) -> rusqlite::Result<[ValueRef<'static>; 5]> {
    let Some(Cause { kind, at, seen, origin, rule }) = cause else {
        return Ok([ValueRef::Null; 5]);
    };
    let time = |at: &Timestamp| ValueRef::Integer(at.millis());
    let origin = ValueRef::Integer(lexicon.origin(sql, origin)?);
    Ok([text(Some(kind.as_str())), time(at), time(seen), origin, text(Some(rule.as_str()))])
}

/// Reads back what [`write`] put in, when it is whole: `rows` of them, each with its sum.
pub(super) fn read(sql: &Connection, rows: u64) -> Result<Handover, Damage> {
    let dictionary = Dictionary::read(sql)?;
    let (mut handover, mut found) = (Handover::default(), 0);
    let mut statement = sql.prepare("SELECT * FROM sessions ORDER BY id")?;
    let mut all = statement.query([])?;
    while let Some(row) = all.next()? {
        found += 1;
        take(row, &dictionary, &mut handover)?;
    }
    if found != rows {
        return Err(Damage::Missing(format!("{found} sessions of {rows}")));
    }
    Ok(handover)
}

/// Reads back into `handover` the sessions of one address.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
    handover: &mut Handover,
) -> Result<(), Damage> {
    let mut statement =
        sql.prepare_cached("SELECT * FROM sessions WHERE address = ? ORDER BY id")?;
    let mut rows = statement.query([address.to_string()])?;
    while let Some(row) = rows.next()? {
        let wanted = References {
            origins: [row.get("cause_origin")?, row.get("end_origin")?],
            roles: row.get("roles")?,
            groups: [row.get("user_groups")?, row.get("device_groups")?],
        };
        dictionary.learn(sql, &wanted)?;
        take(row, dictionary, handover)?;
    }
    Ok(())
}

fn take(row: &Row<'_>, dictionary: &Dictionary, handover: &mut Handover) -> Result<(), Damage> {
    let mut cells = Cells::check(row, CELLS)?;
    cells.number()?;
    let state = cells.text()?.ok_or(Damage::Value)?.to_owned();
    let told = Revision(cells.number()?.cast_unsigned());
    let session = Arc::new(session(&mut cells, dictionary)?);
    let ended = reason(&mut cells, dictionary)?;
    let left_at = cells.maybe_number()?;
    match (state.as_str(), ended, left_at) {
        (PRESENT, _, _) => handover.standing.push(Standing { session, told, was: None }),
        (state @ (BEFORE | ENDED), Some(cause), Some(at)) => {
            let address = session.address;
            let ended = Ended { session, at: Timestamp::from_millis(at), revision: told, cause };
            match handover.standing.last_mut() {
                _ if state == ENDED => handover.ends.push(ended),
                Some(standing) if standing.session.address == address => {
                    standing.was = Some(ended);
                }
                _ => return Err(Damage::Value),
            }
        }
        _ => return Err(Damage::Value),
    }
    Ok(())
}

fn session(cells: &mut Cells<'_>, dictionary: &Dictionary) -> Result<Session, Damage> {
    let address = cells.need()?;
    let principal = principal(cells)?;
    let (device, posture) = (cells.read()?, cells.read()?);
    let roles = dictionary.roles(cells.maybe_number()?)?;
    let membership = dictionary.membership([cells.maybe_number()?, cells.maybe_number()?])?;
    let mut time = || cells.number().map(Timestamp::from_millis);
    let (since, confirmed) = (time()?, time()?);
    let proof = cells.need()?;
    let precision = precision(cells.number()?)?;
    let expires = Timestamp::from_millis(cells.number()?);
    let revision = Revision(cells.number()?.cast_unsigned());
    let cause = reason(cells, dictionary)?.ok_or(Damage::Value)?;
    Ok(Session {
        address,
        principal,
        device,
        roles,
        membership,
        posture,
        since,
        confirmed,
        proof,
        precision,
        expires,
        revision,
        cause,
    })
}

/// Reads what [`because`] wrote.
fn reason(cells: &mut Cells<'_>, dictionary: &Dictionary) -> Result<Option<Cause>, Damage> {
    let kind = cells.read()?;
    let (at, seen) = (cells.maybe_number()?, cells.maybe_number()?);
    let (origin, rule) = (cells.maybe_number()?, cells.read()?);
    let (Some(kind), Some(at), Some(seen), Some(origin), Some(rule)) =
        (kind, at, seen, origin, rule)
    else {
        return Ok(None);
    };
    let (at, seen) = (Timestamp::from_millis(at), Timestamp::from_millis(seen));
    Ok(Some(Cause { kind, at, seen, origin: dictionary.origin(origin)?, rule }))
}
