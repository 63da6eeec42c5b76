//! An event as a row: what an administrator sees with `sqlite3`, and what is read back from it.

use rollcall_identity::{Event, Name, Precision, Principal, Revision, Spellings, Timestamp};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::corruption::Corruption;
use super::row_codec::{Cells, Rows, number, reference, text};
use super::string_table::{Dictionary, StringTable};

/// The table. Times are milliseconds since 1970 in UTC; `exact_to` is how many of them the source's
/// clock knew. `roles`, `user_groups` and `device_groups` are numbers of other tables.
pub(super) const TABLE: &str = "
CREATE TABLE events (
    revision INTEGER PRIMARY KEY, seen INTEGER, at INTEGER, exact_to INTEGER, kind TEXT,
    address TEXT, user TEXT, domain TEXT, spellings INTEGER, device TEXT, posture TEXT,
    roles INTEGER, user_groups INTEGER, device_groups INTEGER,
    former_user TEXT, former_domain TEXT, former_spellings INTEGER,
    sid TEXT, proof TEXT, origin INTEGER, sum INTEGER);
";

/// How many cells a row has, without its sum.
pub(super) const CELLS: usize = 20;

/// How many events one statement puts in where there are so many: what SQLite does for each statement
/// costs as much as what it does for three rows.
const AT_ONCE: usize = 16;

/// The way for events into a file, one at a time.
pub(super) fn statement(sql: &Connection) -> rusqlite::Result<Rows<'_>> {
    Rows::of(sql, ("events", CELLS), 1)
}

/// Puts in `event` at `revision`.
pub(super) fn write(
    sql: &Connection,
    into: &mut Rows<'_>,
    lexicon: &mut StringTable,
    row: (Revision, &Event),
) -> rusqlite::Result<()> {
    fill(sql, (into, 0), lexicon, row)?;
    into.put()
}

/// Puts in `events` from the position `first` on.
pub(super) fn write_all(
    sql: &Connection,
    lexicon: &mut StringTable,
    (first, events): (Revision, &[Event]),
) -> rusqlite::Result<()> {
    let (groups, rest) = events.as_chunks::<AT_ONCE>();
    let mut revisions = (first.0..).map(Revision);
    if !groups.is_empty() {
        let mut into = Rows::of(sql, ("events", CELLS), AT_ONCE)?;
        for group in groups {
            for (place, (event, revision)) in group.iter().zip(revisions.by_ref()).enumerate() {
                fill(sql, (&mut into, place), lexicon, (revision, event))?;
            }
            into.put()?;
        }
    }
    let mut into = statement(sql)?;
    revisions.zip(rest).try_for_each(|row| write(sql, &mut into, lexicon, row))
}

fn fill(
    sql: &Connection,
    (into, place): (&mut Rows<'_>, usize),
    lexicon: &mut StringTable,
    (revision, event): (Revision, &Event),
) -> rusqlite::Result<()> {
    let address = event.address.to_string();
    let sid = event.sid.as_ref().map(ToString::to_string);
    let roles = lexicon.roles(sql, &event.roles)?;
    let [user_groups, device_groups] = lexicon.membership(sql, &event.membership)?;
    let origin = lexicon.origin(sql, &event.origin)?;
    let [user, domain, spellings] = who(event.principal.as_ref());
    let [former_user, former_domain, former_spellings] = who(event.renamed_from.as_deref());
    into.fill(
        place,
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

/// Reads back what [`write`] put in.
pub(super) fn read(
    row: &rusqlite::Row<'_>,
    dictionary: &Dictionary,
) -> Result<(Revision, Event), Corruption> {
    let mut cells = Cells::check(row, CELLS)?;
    let revision = Revision(cells.number()?.cast_unsigned());
    let (seen, at) = (cells.number()?, cells.number()?);
    let precision = precision(cells.number()?)?;
    let (kind, address) = (cells.need()?, cells.need()?);
    let principal = principal(&mut cells)?;
    let (device, posture) = (cells.read()?, cells.read()?);
    let roles = dictionary.roles(cells.maybe_number()?)?;
    let membership = dictionary.membership([cells.maybe_number()?, cells.maybe_number()?])?;
    let formerly = self::principal(&mut cells)?.map(Box::new);
    let (sid, proof) = (cells.read()?.map(Box::new), cells.need()?);
    let origin = dictionary.origin(cells.number()?)?;
    let (at, seen) = (Timestamp::from_millis(at), Timestamp::from_millis(seen));
    let event = Event {
        kind,
        address,
        principal,
        device,
        roles,
        membership,
        renamed_from: formerly,
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

/// The cells of a user: name, domain, spellings as a set of bits.
pub(super) fn who(principal: Option<&Principal>) -> [ValueRef<'_>; 3] {
    let Some(Principal { user, domain, spellings }) = principal else { return [ValueRef::Null; 3] };
    let bits = spellings.iter().fold(0, |bits, spelling| bits | 1 << spelling as u8);
    let domain = text(domain.as_ref().map(Name::as_str));
    [text(Some(user.as_str())), domain, ValueRef::Integer(bits)]
}

/// Reads what [`who`] wrote.
pub(super) fn principal(cells: &mut Cells<'_>) -> Result<Option<Principal>, Corruption> {
    let (user, domain) = (cells.read()?, cells.read()?);
    let bits = cells.maybe_number()?.unwrap_or(0);
    let members = Spellings::ALL.into_iter().filter(|spelling| bits & 1 << *spelling as u8 != 0);
    let spellings = members.fold(Spellings::default(), |set, one| set.union(Spellings::only(one)));
    Ok(user.map(|user| Principal { user, domain, spellings }))
}

/// How many milliseconds a time may be off.
pub(super) fn exact_to(precision: Precision) -> ValueRef<'static> {
    ValueRef::Integer(match precision {
        Precision::Millisecond => 1,
        Precision::Second => 1000,
    })
}

/// Reads what [`exact_to`] wrote.
pub(super) fn precision(exact_to: i64) -> Result<Precision, Corruption> {
    match exact_to {
        1 => Ok(Precision::Millisecond),
        1000 => Ok(Precision::Second),
        _ => Err(Corruption::Value),
    }
}
