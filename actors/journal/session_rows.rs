//! Sessions as rows: active sessions and remembered ended sessions.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use rollcall_identity::{
    ActiveSession, Address, Cause, DetailSources, EndedSession, Name, Origin, Posture, Revision,
    Session, TableSnapshot, Timestamp,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement};

use super::corruption::Corruption;
use super::event_rows::{exact_to, precision, principal, principal_cells};
use super::file;
use super::row_codec::{Cells, insert, insert_sql, number, reference, text};
use super::string_table::{Dictionary, References, StringTable};

/// The table. `state` is `present`; `before` for the previous session at the address of the row
/// above, which a consumer of one domain may still hold; or `ended`. `told` is the position at
/// which the session was published; `cause_…` is the event that began the session, `end_…` the one
/// that ended it. Older files do not have the columns from `proved`.
pub(super) const TABLE: &str = "
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, state TEXT, told INTEGER, address TEXT,
    user TEXT, domain TEXT, spellings INTEGER, device TEXT, posture TEXT,
    roles INTEGER, user_groups INTEGER, device_groups INTEGER,
    since INTEGER, confirmed INTEGER, proof TEXT, exact_to INTEGER, expires INTEGER, revision INTEGER,
    cause_kind TEXT, cause_at INTEGER, cause_seen INTEGER, cause_origin INTEGER, cause_rule TEXT,
    end_kind TEXT, end_at INTEGER, end_seen INTEGER, end_origin INTEGER, end_rule TEXT,
    left_at INTEGER,
    proved INTEGER, roles_origin INTEGER, device_origin INTEGER, posture_origin INTEGER,
    sum INTEGER);
";

/// The number of cells of a row, without its checksum.
pub(super) const CELLS: usize = 33;

/// The number of cells of a row without the columns from `proved`.
const CELLS_WITHOUT_SOURCES: usize = 29;

const ACTIVE: &str = "present";
const PREVIOUS: &str = "before";
const ENDED: &str = "ended";

/// The part of a row that is not the session itself.
struct RowState<'a> {
    state: &'static str,
    published: Revision,
    end: Option<&'a EndedSession>,
}

/// Writes the sessions of `snapshot` and returns the number of rows.
pub(super) fn write(
    sql: &Connection,
    strings: &mut StringTable,
    snapshot: &TableSnapshot,
) -> rusqlite::Result<u64> {
    let mut rows = 0;
    let mut into = sql.prepare_cached(&insert_sql("sessions", CELLS))?;
    let mut put = |session: &Session, row_state: RowState<'_>| {
        rows += 1;
        write_one(sql, (&mut into, rows), strings, (session, &row_state))
    };
    for ActiveSession { session, published, previous } in &snapshot.sessions {
        let published = *published;
        put(session, RowState { state: ACTIVE, published, end: None })?;
        if let Some(ended) = previous {
            let published = ended.revision;
            put(&ended.session, RowState { state: PREVIOUS, published, end: Some(ended) })?;
        }
    }
    for ended in &snapshot.ends {
        let published = ended.revision;
        put(&ended.session, RowState { state: ENDED, published, end: Some(ended) })?;
    }
    Ok(rows)
}

fn write_one(
    sql: &Connection,
    (into, id): (&mut Statement<'_>, u64),
    strings: &mut StringTable,
    (session, row_state): (&Session, &RowState<'_>),
) -> rusqlite::Result<()> {
    let address = session.address.to_string();
    let [user, domain, spellings] = principal_cells(session.principal.as_ref());
    let roles = strings.roles(sql, &session.roles)?;
    let [user_groups, device_groups] = strings.membership(sql, &session.membership)?;
    let begun = cause_cells(sql, strings, Some(&session.cause))?;
    let ended = cause_cells(sql, strings, row_state.end.map(|end| &end.cause))?;
    let left_at = row_state.end.map(|end| end.at.millis());
    let time = |at: Timestamp| ValueRef::Integer(at.millis());
    let mut row = vec![
        number(id),
        text(Some(row_state.state)),
        number(row_state.published.0),
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
    row.push(time(session.proved));
    row.extend(source_cells(sql, strings, session.detail_sources.as_deref())?);
    insert(into, &row)
}

/// The cells of the sources of details.
fn source_cells(
    sql: &Connection,
    strings: &mut StringTable,
    sources: Option<&DetailSources>,
) -> rusqlite::Result<[ValueRef<'static>; 3]> {
    let Some(DetailSources { roles, device, posture }) = sources else {
        return Ok([ValueRef::Null; 3]);
    };
    let mut cell = |source: &Option<Arc<Origin>>| {
        let id = source.as_ref().map(|origin| strings.origin(sql, origin)).transpose();
        id.map(reference)
    };
    Ok([cell(roles)?, cell(device)?, cell(posture)?])
}

/// The cells of a cause.
fn cause_cells(
    sql: &Connection,
    strings: &mut StringTable,
    cause: Option<&Cause>,
) -> rusqlite::Result<[ValueRef<'static>; 5]> {
    let Some(Cause { kind, at, seen, origin, rule }) = cause else {
        return Ok([ValueRef::Null; 5]);
    };
    let time = |at: &Timestamp| ValueRef::Integer(at.millis());
    let origin = ValueRef::Integer(strings.origin(sql, origin)?);
    Ok([text(Some(kind.as_str())), time(at), time(seen), origin, text(Some(rule.as_str()))])
}

/// The minimum number of rows that two threads read: a start waits for this.
const MIN_PARALLEL_ROWS: u64 = 10_000;

/// Reads back what [`write`] wrote, if it is complete: `rows` rows, each with its checksum.
pub(super) fn read(
    sql: &Connection,
    dictionary: &Dictionary,
    rows: u64,
) -> Result<TableSnapshot, Corruption> {
    // A second connection to the same complete file.
    let second = sql
        .path()
        .filter(|_| rows >= MIN_PARALLEL_ROWS)
        .and_then(|path| file::open(path.as_ref()).ok());
    let (snapshot, found) = match second {
        None => read_part(sql, dictionary, (0, i64::MAX))?,
        Some(second) => {
            let middle = middle(sql, rows)?;
            let (first_half, second_half) = thread::scope(|scope| {
                let second_half = move || read_part(&second, dictionary, (middle, i64::MAX));
                let thread = thread::Builder::new().name("snapshot-reader".to_owned());
                let thread = thread.spawn_scoped(scope, second_half);
                let first_half = read_part(sql, dictionary, (0, middle));
                let second_half = match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    // Without a second thread, this thread reads both halves.
                    Err(_) => read_part(sql, dictionary, (middle, i64::MAX)),
                };
                (first_half, second_half)
            });
            let ((mut snapshot, first_half), (more, second_half)) = (first_half?, second_half?);
            snapshot.sessions.extend(more.sessions);
            snapshot.ends.extend(more.ends);
            (snapshot, first_half + second_half)
        }
    };
    if found != rows {
        return Err(Corruption::Missing(format!("{found} sessions of {rows}")));
    }
    Ok(snapshot)
}

/// The beginning of the second half; not between a session and its previous session.
fn middle(sql: &Connection, rows: u64) -> Result<i64, Corruption> {
    let select = "SELECT coalesce(min(id), 0) FROM sessions WHERE id >= ? AND state <> ?";
    Ok(sql.query_row(select, (rows.div_ceil(2).cast_signed(), PREVIOUS), |row| row.get(0))?)
}

/// Reads the rows from one `id` up to but not including another, and returns their number.
fn read_part(
    sql: &Connection,
    dictionary: &Dictionary,
    (from, to): (i64, i64),
) -> Result<(TableSnapshot, u64), Corruption> {
    let (mut snapshot, mut found) = (TableSnapshot::default(), 0);
    let select = "SELECT * FROM sessions WHERE id >= ? AND id < ? ORDER BY id";
    let mut statement = sql.prepare(select)?;
    let mut selected = statement.query([from, to])?;
    while let Some(row) = selected.next()? {
        found += 1;
        add_row(row, dictionary, &mut snapshot)?;
    }
    Ok((snapshot, found))
}

/// Reads the sessions of one address into `snapshot`.
pub(super) fn read_at(
    sql: &Connection,
    dictionary: &mut Dictionary,
    address: Address,
    snapshot: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let mut statement =
        sql.prepare_cached("SELECT * FROM sessions WHERE address = ? ORDER BY id")?;
    let mut rows = statement.query([address.to_string()])?;
    while let Some(row) = rows.next()? {
        let references = References {
            origins: origins(row)?,
            roles: row.get("roles")?,
            groups: [row.get("user_groups")?, row.get("device_groups")?],
        };
        dictionary.load(sql, &references)?;
        add_row(row, dictionary, snapshot)?;
    }
    Ok(())
}

/// The origins that a row refers to.
fn origins(row: &Row<'_>) -> rusqlite::Result<Vec<i64>> {
    let mut columns = vec!["cause_origin", "end_origin"];
    if has_sources(row) {
        columns.extend(["roles_origin", "device_origin", "posture_origin"]);
    }
    let ids: rusqlite::Result<Vec<Option<i64>>> =
        columns.into_iter().map(|column| row.get(column)).collect();
    Ok(ids?.into_iter().flatten().collect())
}

/// Whether a row has the columns from `proved`.
fn has_sources(row: &Row<'_>) -> bool {
    row.as_ref().column_count() > CELLS_WITHOUT_SOURCES + 1
}

fn add_row(
    row: &Row<'_>,
    dictionary: &Dictionary,
    snapshot: &mut TableSnapshot,
) -> Result<(), Corruption> {
    let count = if has_sources(row) { CELLS } else { CELLS_WITHOUT_SOURCES };
    let mut cells = Cells::check(row, count)?;
    cells.number()?;
    let state = cells.text()?.ok_or(Corruption::Value)?;
    let published = Revision(cells.number()?.cast_unsigned());
    let mut session = session(&mut cells, dictionary)?;
    let ended = cause(&mut cells, dictionary)?;
    let left_at = cells.optional_number()?;
    session.proved = cells.optional_number()?.map_or(session.confirmed, Timestamp::from_millis);
    session.detail_sources = detail_sources(&mut cells, dictionary)?;
    let session = Arc::new(session);
    match (state, ended, left_at) {
        (ACTIVE, _, _) => {
            snapshot.sessions.push(ActiveSession { session, published, previous: None });
        }
        (state @ (PREVIOUS | ENDED), Some(cause), Some(at)) => {
            let address = session.address;
            let ended = EndedSession {
                session,
                at: Timestamp::from_millis(at),
                revision: published,
                cause,
            };
            match snapshot.sessions.last_mut() {
                _ if state == ENDED => snapshot.ends.push(ended),
                Some(active) if active.session.address == address => {
                    active.previous = Some(ended);
                }
                _ => return Err(Corruption::Value),
            }
        }
        _ => return Err(Corruption::Value),
    }
    Ok(())
}

fn session(cells: &mut Cells<'_>, dictionary: &Dictionary) -> Result<Session, Corruption> {
    let address = cells.required()?;
    let principal = principal(cells)?;
    let (device, posture) = (cells.optional()?, cells.optional()?);
    let roles = dictionary.roles(cells.optional_number()?)?;
    let membership = dictionary.membership([cells.optional_number()?, cells.optional_number()?])?;
    let mut time = || cells.number().map(Timestamp::from_millis);
    let (since, confirmed) = (time()?, time()?);
    let proof = cells.required()?;
    let precision = precision(cells.number()?)?;
    let expires = Timestamp::from_millis(cells.number()?);
    let revision = Revision(cells.number()?.cast_unsigned());
    let cause = cause(cells, dictionary)?.ok_or(Corruption::Value)?;
    Ok(Session {
        address,
        principal,
        device,
        roles,
        membership,
        posture,
        since,
        confirmed,
        proved: confirmed,
        proof,
        precision,
        expires,
        revision,
        cause,
        detail_sources: None,
    })
}

/// Reads the cells of [`source_cells`].
fn detail_sources(
    cells: &mut Cells<'_>,
    dictionary: &Dictionary,
) -> Result<Option<Box<DetailSources>>, Corruption> {
    let mut source = || cells.optional_number()?.map(|id| dictionary.origin(id)).transpose();
    let sources = DetailSources { roles: source()?, device: source()?, posture: source()? };
    Ok(Some(sources).filter(|sources| *sources != DetailSources::default()).map(Box::new))
}

/// Reads the cells of [`cause_cells`].
fn cause(cells: &mut Cells<'_>, dictionary: &Dictionary) -> Result<Option<Cause>, Corruption> {
    let kind = cells.optional()?;
    let (at, seen) = (cells.optional_number()?, cells.optional_number()?);
    let (origin, rule) = (cells.optional_number()?, cells.optional()?);
    let (Some(kind), Some(at), Some(seen), Some(origin), Some(rule)) =
        (kind, at, seen, origin, rule)
    else {
        return Ok(None);
    };
    let (at, seen) = (Timestamp::from_millis(at), Timestamp::from_millis(seen));
    Ok(Some(Cause { kind, at, seen, origin: dictionary.origin(origin)?, rule }))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rollcall_identity::{Kind, Membership, Precision, Principal, Producer, Proof, Rule};

    use rusqlite::types::Value;

    use super::*;

    fn session(host: u32, user: &str) -> Arc<Session> {
        let at = Timestamp::from_millis(i64::from(host));
        let name = |text: &str| Name::new(text).unwrap();
        let (client, form) = (name("relay"), name("junos-vpn"));
        let origin = Origin { kind: Producer::Syslog, producer: name("syslog"), client, form };
        let (kind, origin, rule) = (Kind::Login, Arc::new(origin), Rule::FirstUser);
        Arc::new(Session {
            address: Ipv4Addr::from_bits(host).into(),
            principal: Some(Principal::parse(user, None).unwrap()),
            device: None,
            roles: None,
            membership: Membership::default(),
            posture: None,
            since: at,
            confirmed: at,
            proved: at,
            proof: Proof::default(),
            precision: Precision::Second,
            expires: at,
            revision: Revision(host.into()),
            cause: Cause { kind, at, seen: at, origin, rule },
            detail_sources: None,
        })
    }

    /// Replaces the table by one without the columns from `proved`.
    fn downgrade(sql: &Connection) {
        let rows: Vec<Vec<Value>> = sql
            .prepare("SELECT * FROM sessions ORDER BY id")
            .unwrap()
            .query_map([], |row| (0..CELLS_WITHOUT_SOURCES).map(|index| row.get(index)).collect())
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let (new, old) = (
            "proved INTEGER, roles_origin INTEGER, device_origin INTEGER, posture_origin INTEGER,",
            "",
        );
        assert!(TABLE.contains(new));
        sql.execute_batch(&format!("DROP TABLE sessions; {}", TABLE.replace(new, old))).unwrap();
        let mut into = sql.prepare(&insert_sql("sessions", CELLS_WITHOUT_SOURCES)).unwrap();
        for row in rows {
            insert(&mut into, &row.iter().map(ValueRef::from).collect::<Vec<_>>()).unwrap();
        }
    }

    #[test]
    fn rows_of_older_files_are_read() {
        let name = |text: &str| Name::new(text).unwrap();
        let (client, form) = (name("nac"), name("clearpass"));
        let other =
            Arc::new(Origin { kind: Producer::Syslog, producer: name("syslog"), client, form });
        let session = Session {
            posture: Some(Posture::Quarantine),
            proved: Timestamp::from_millis(5),
            detail_sources: Some(Box::new(DetailSources {
                posture: Some(Arc::clone(&other)),
                ..DetailSources::default()
            })),
            ..Session::clone(&session(7, "alice"))
        };
        let published = Revision(7);
        let active = ActiveSession { session: Arc::new(session), published, previous: None };
        let snapshot = TableSnapshot { sessions: vec![active], ..TableSnapshot::default() };
        let folder = tempfile::tempdir().unwrap();
        let sql = crate::schema::create(&folder.path().join("sessions.db")).unwrap();
        let rows = write(&sql, &mut StringTable::default(), &snapshot).unwrap();
        let read_back = || {
            let dictionary = Dictionary::read(&sql).unwrap();
            read(&sql, &dictionary, rows).unwrap().sessions.remove(0).session
        };
        let new = read_back();
        assert_eq!(new, snapshot.sessions[0].session);
        assert_eq!(new.posture_source(), Some(&other));
        downgrade(&sql);
        let old = read_back();
        assert_eq!((old.proved, &old.detail_sources), (old.confirmed, &None));
        assert_eq!(
            Session {
                proved: new.proved,
                detail_sources: new.detail_sources.clone(),
                ..(*old).clone()
            },
            *new
        );
    }

    #[test]
    fn many_sessions_are_read_in_order_with_their_previous_sessions() {
        // The cut between the halves falls on a previous session.
        let count = u32::try_from(MIN_PARALLEL_ROWS).unwrap() / 2 + 2;
        let active = (0..count).map(|host| {
            let (previous, published) = (session(host, "bob"), Revision(host.into()));
            let (at, cause) = (previous.since, previous.cause.clone());
            let previous = EndedSession { session: previous, at, revision: published, cause };
            ActiveSession { session: session(host, "alice"), published, previous: Some(previous) }
        });
        let snapshot = TableSnapshot { sessions: active.collect(), ..TableSnapshot::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let sql = crate::schema::create(&path).unwrap();
        sql.execute_batch("BEGIN").unwrap();
        let rows = write(&sql, &mut StringTable::default(), &snapshot).unwrap();
        sql.execute_batch("COMMIT").unwrap();
        assert_eq!(rows, 2 * u64::from(count));
        let dictionary = Dictionary::read(&sql).unwrap();
        let read_back = read(&sql, &dictionary, rows).unwrap();
        let same = format!("{:?}", read_back.sessions) == format!("{:?}", snapshot.sessions);
        assert!(same && read_back.ends.is_empty());
        let short = read(&sql, &dictionary, rows + 1).unwrap_err();
        assert!(short.to_string().contains("10004 sessions of 10005"), "{short}");
    }
}
