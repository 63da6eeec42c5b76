//! Pushes in JSON: one object, a list of objects, or an envelope around a list.

use super::error::{PtimError, PtimErrorKind, PtimField};
use super::event_builder::EventBuilder;
use super::vocabulary::{NameMeaning, meaning_of};
use crate::http::json::Json;

/// Reads all entries of the body; each starts with the values of `base`.
pub(super) fn read(text: &str, mut base: EventBuilder) -> Result<Vec<EventBuilder>, PtimError> {
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
        _ => return Err(PtimErrorKind::Shape.into()),
    };
    let read = |(at, entry)| match entry {
        Json::Object(members) => object(base.clone(), members).map_err(|bad| bad.at(at)),
        _ => Err(PtimError::from(PtimErrorKind::Shape).at(at)),
    };
    entries.into_iter().enumerate().map(read).collect()
}

fn is_entries((name, _): &(String, Json)) -> bool {
    meaning_of(name) == Some(NameMeaning::Entries)
}

fn object(
    mut builder: EventBuilder,
    members: Vec<(String, Json)>,
) -> Result<EventBuilder, PtimError> {
    for (name, value) in members {
        builder = match (meaning_of(&name), value) {
            (Some(NameMeaning::Entries), _) => return Err(PtimErrorKind::Shape.into()),
            (Some(NameMeaning::Field(PtimField::Device)), Json::Object(members)) => {
                device(builder, members)?
            }
            // `{"event":{"type":"connect","user":"alice"}}`, `{"role-list":{"role":["staff"]}}`
            (_, Json::Object(members)) => object(builder, members)?,
            (Some(NameMeaning::Field(field)), value) => member(builder, field, value)?,
            (None, Json::Text(text)) => {
                builder.hint(&text)?;
                builder
            }
            (None, _) => builder,
        };
    }
    Ok(builder)
}

/// `{"device-identity":{"value":"pc1","groups":["lab"]}}`: groups of a device are not groups of its
/// user.
fn device(
    mut builder: EventBuilder,
    members: Vec<(String, Json)>,
) -> Result<EventBuilder, PtimError> {
    for (name, value) in members {
        if matches!(name.as_str(), "value" | "name") {
            builder = member(builder, PtimField::Device, value)?;
        }
    }
    Ok(builder)
}

fn member(
    mut builder: EventBuilder,
    field: PtimField,
    value: Json,
) -> Result<EventBuilder, PtimError> {
    match value {
        Json::Null => {}
        Json::Flag(flag) => builder.set(field, if flag { "true" } else { "false" })?,
        Json::Number(text) | Json::Text(text) => builder.set(field, &text)?,
        Json::List(items) if matches!(field, PtimField::Address | PtimField::Role) => {
            if field == PtimField::Role {
                builder.mark_roles_listed();
            }
            for item in items {
                let Json::Text(text) = item else { return Err(PtimErrorKind::Shape.of(field)) };
                builder.set(field, &text)?;
            }
        }
        Json::List(_) | Json::Object(_) => return Err(PtimErrorKind::Shape.of(field)),
    }
    Ok(builder)
}
