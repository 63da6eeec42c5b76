//! Events as rows that an administrator can read with `sqlite3`.

use rollcall_identity::{Event, Name, Precision, Principal, Revision, Spellings, Timestamp};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::corruption::Corruption;
use super::row_codec::{Cells, Rows, number, reference, text};
use super::string_table::{Dictionary, StringTable};

/// The table. Times are milliseconds since 1970 in UTC; `exact_to` is the precision of the source's
/// clock in milliseconds. `roles`, `user_groups` and `device_groups` refer to other tables.
pub(super) const TABLE: &str = "
CREATE TABLE events (
    revision INTEGER PRIMARY KEY, seen INTEGER, at INTEGER, exact_to INTEGER, kind TEXT,
    address TEXT, user TEXT, domain TEXT, spellings INTEGER, device TEXT, posture TEXT,
    roles INTEGER, user_groups INTEGER, device_groups INTEGER,
    former_user TEXT, former_domain TEXT, former_spellings INTEGER,
    sid TEXT, proof TEXT, origin INTEGER, sum INTEGER);
";

/// The number of cells of a row, without its checksum.
pub(super) const CELLS: usize = 20;

/// The number of events in one INSERT statement. The overhead of a statement in SQLite equals the
/// cost of three rows.
const AT_ONCE: usize = 16;

/// Prepares the insertion of one event at a time.
pub(super) fn statement(sql: &Connection) -> rusqlite::Result<Rows<'_>> {
    Rows::of(sql, ("events", CELLS), 1)
}

/// Inserts `event` at `revision`.
pub(super) fn write(
    sql: &Connection,
    into: &mut Rows<'_>,
    strings: &mut StringTable,
    row: (Revision, &Event),
) -> rusqlite::Result<()> {
    fill(sql, (into, 0), strings, row)?;
    into.execute()
}

/// Inserts `events` from the position `first` on.
pub(super) fn write_all(
    sql: &Connection,
    strings: &mut StringTable,
    (first, events): (Revision, &[Event]),
) -> rusqlite::Result<()> {
    let (groups, rest) = events.as_chunks::<AT_ONCE>();
    let mut revisions = (first.0..).map(Revision);
    if !groups.is_empty() {
        let mut into = Rows::of(sql, ("events", CELLS), AT_ONCE)?;
        for group in groups {
            for (index, (event, revision)) in group.iter().zip(revisions.by_ref()).enumerate() {
                fill(sql, (&mut into, index), strings, (revision, event))?;
            }
            into.execute()?;
        }
    }
    let mut into = statement(sql)?;
    revisions.zip(rest).try_for_each(|row| write(sql, &mut into, strings, row))
}

fn fill(
    sql: &Connection,
    (into, index): (&mut Rows<'_>, usize),
    strings: &mut StringTable,
    (revision, event): (Revision, &Event),
) -> rusqlite::Result<()> {
    let address = event.address.to_string();
    let sid = event.sid.as_ref().map(ToString::to_string);
    let roles = strings.roles(sql, &event.roles)?;
    let [user_groups, device_groups] = strings.membership(sql, &event.membership)?;
    let origin = strings.origin(sql, &event.origin)?;
    let [user, domain, spellings] = principal_cells(event.principal.as_ref());
    let [former_user, former_domain, former_spellings] =
        principal_cells(event.renamed_from.as_deref());
    into.bind(
        index,
        &[
            number(revision.0),
            ValueRef::Integer(event.seen.millis()),
            ValueRef::Integer(event.at.millis()),
            exact_to(event.precision),
            text(Some(event.kind.as_str())),
            text(Some(&address)),
            user,
            domain,
            spellings,
            text(event.device.as_ref().map(Name::as_str)),
            text(event.posture.map(rollcall_identity::Posture::as_str)),
            reference(roles),
            reference(user_groups),
            reference(device_groups),
            former_user,
            former_domain,
            former_spellings,
            text(sid.as_deref()),
            text(Some(event.proof.as_str())),
            ValueRef::Integer(origin),
        ],
    )
}

/// Reads a row that [`write`] inserted.
pub(super) fn read(
    row: &rusqlite::Row<'_>,
    dictionary: &Dictionary,
) -> Result<(Revision, Event), Corruption> {
    let mut cells = Cells::check(row, CELLS)?;
    let revision = Revision(cells.number()?.cast_unsigned());
    let (seen, at) = (cells.number()?, cells.number()?);
    let precision = precision(cells.number()?)?;
    let (kind, address) = (cells.required()?, cells.required()?);
    let principal = principal(&mut cells)?;
    let (device, posture) = (cells.optional()?, cells.optional()?);
    let roles = dictionary.roles(cells.optional_number()?)?;
    let membership = dictionary.membership([cells.optional_number()?, cells.optional_number()?])?;
    let renamed_from = self::principal(&mut cells)?.map(Box::new);
    let (sid, proof) = (cells.optional()?.map(Box::new), cells.required()?);
    let origin = dictionary.origin(cells.number()?)?;
    let (at, seen) = (Timestamp::from_millis(at), Timestamp::from_millis(seen));
    let event = Event {
        kind,
        address,
        principal,
        device,
        roles,
        membership,
        renamed_from,
        sid,
        proof,
        posture,
        at,
        precision,
        seen,
        origin,
    };
    Ok((revision, event))
}

/// The cells of a principal: name, domain, and the spellings as a bit set.
pub(super) fn principal_cells(principal: Option<&Principal>) -> [ValueRef<'_>; 3] {
    let Some(Principal { user, domain, spellings }) = principal else { return [ValueRef::Null; 3] };
    let bits = spellings.iter().fold(0, |bits, spelling| bits | 1 << spelling as u8);
    let domain = text(domain.as_ref().map(Name::as_str));
    [text(Some(user.as_str())), domain, ValueRef::Integer(bits)]
}

/// Reads the cells of [`principal_cells`].
pub(super) fn principal(cells: &mut Cells<'_>) -> Result<Option<Principal>, Corruption> {
    let (user, domain) = (cells.optional()?, cells.optional()?);
    let bits = cells.optional_number()?.unwrap_or(0);
    let members = Spellings::ALL.into_iter().filter(|spelling| bits & 1 << *spelling as u8 != 0);
    let spellings = members.fold(Spellings::default(), |set, one| set.union(Spellings::only(one)));
    Ok(user.map(|user| Principal { user, domain, spellings }))
}

/// The precision of a time in milliseconds.
pub(super) fn exact_to(precision: Precision) -> ValueRef<'static> {
    ValueRef::Integer(match precision {
        Precision::Millisecond => 1,
        Precision::Second => 1000,
    })
}

/// Reads the cell of [`exact_to`].
pub(super) fn precision(exact_to: i64) -> Result<Precision, Corruption> {
    match exact_to {
        1 => Ok(Precision::Millisecond),
        1000 => Ok(Precision::Second),
        _ => Err(Corruption::Value),
    }
}
