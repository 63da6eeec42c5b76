//! Pushes in JSON: one object, a list of objects, or an envelope around a list.

use super::bad_push::{BadPush, Field, Problem};
use super::draft::Draft;
use super::words::{Meaning, meaning};
use crate::http::json::Json;

/// Reads all entries of the body; each starts with the values of `base`.
pub(super) fn read(text: &str, mut base: Draft) -> Result<Vec<Draft>, BadPush> {
    let entries = match Json::read(text)? {
        Json::List(items) => items,
        Json::Object(members) => {
            let (entries, members): (Vec<_>, Vec<_>) = members.into_iter().partition(is_entries);
            base = object(base, members)?;
            match entries.into_iter().map(|(_, value)| value).next() {
                None => return Ok(vec![base]),
                Some(Json::List(items)) => items,
                Some(one) => vec![one],
            }
        }
        _ => return Err(Problem::Shape.into()),
    };
    let read = |(at, entry)| match entry {
        Json::Object(members) => object(base.clone(), members).map_err(|bad| bad.at(at)),
        _ => Err(BadPush::from(Problem::Shape).at(at)),
    };
    entries.into_iter().enumerate().map(read).collect()
}

fn is_entries((name, _): &(String, Json)) -> bool {
    meaning(name) == Some(Meaning::Entries)
}

fn object(mut draft: Draft, members: Vec<(String, Json)>) -> Result<Draft, BadPush> {
    for (name, value) in members {
        draft = match (meaning(&name), value) {
            (Some(Meaning::Entries), _) => return Err(Problem::Shape.into()),
            (Some(Meaning::Field(Field::Device)), Json::Object(members)) => device(draft, members)?,
            // `{"event":{"type":"connect","user":"alice"}}`, `{"role-list":{"role":["staff"]}}`
            (_, Json::Object(members)) => object(draft, members)?,
            (Some(Meaning::Field(field)), value) => member(draft, field, value)?,
            (None, Json::Text(text)) => {
                draft.hint(&text)?;
                draft
            }
            (None, _) => draft,
        };
    }
    Ok(draft)
}

/// `{"device-identity":{"value":"pc1","groups":["lab"]}}`: groups of a device are not groups of its
/// user.
fn device(mut draft: Draft, members: Vec<(String, Json)>) -> Result<Draft, BadPush> {
    for (name, value) in members {
        if matches!(name.as_str(), "value" | "name") {
            draft = member(draft, Field::Device, value)?;
        }
    }
    Ok(draft)
}

fn member(mut draft: Draft, field: Field, value: Json) -> Result<Draft, BadPush> {
    match value {
        Json::Null => {}
        Json::Flag(flag) => draft.put(field, if flag { "true" } else { "false" })?,
        Json::Number(text) | Json::Text(text) => draft.put(field, &text)?,
        Json::List(items) if matches!(field, Field::Address | Field::Role) => {
            if field == Field::Role {
                draft.no_roles_yet();
            }
            for item in items {
                let Json::Text(text) = item else { return Err(Problem::Shape.of(field)) };
                draft.put(field, &text)?;
            }
        }
        Json::List(_) | Json::Object(_) => return Err(Problem::Shape.of(field)),
    }
    Ok(draft)
}
