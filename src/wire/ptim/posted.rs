//! Rollcall's own JSON for events: `{"kind":"login","address":"10.0.0.7","user":"alice"}`.

use rollcall_identity::{Kind, Timestamp};

use super::bad_push::{BadPush, Field, Problem};
use super::draft::Draft;
use crate::http::json::Json;

/// Reads all entries of the body, one object or a list of objects.
pub(super) fn read(text: &str) -> Result<Vec<Draft>, BadPush> {
    let items = match Json::read(text)? {
        Json::List(items) => items,
        one => vec![one],
    };
    items.into_iter().enumerate().map(|(at, item)| event(item).map_err(|bad| bad.at(at))).collect()
}

fn event(item: Json) -> Result<Draft, BadPush> {
    let Json::Object(members) = item else { return Err(Problem::Shape.into()) };
    let mut draft = Draft::default();
    let mut seen = Vec::with_capacity(members.len());
    for (key, value) in members {
        let field = match key.as_str() {
            "kind" => Field::State,
            "address" => Field::Address,
            "user" => Field::User,
            "domain" => Field::Domain,
            "device" => Field::Device,
            "groups" => Field::Role,
            "posture" => Field::Posture,
            "at" => Field::Time,
            _ => return Err(Problem::UnknownKey.into()),
        };
        if seen.contains(&field) {
            return Err(Problem::Twice.of(field));
        }
        seen.push(field);
        match (field, value) {
            (_, Json::Null) => {}
            (Field::Role, Json::List(groups)) => {
                draft.no_roles_yet();
                for group in groups {
                    draft.put(field, &text_of(field, group)?)?;
                }
            }
            (field, value) => single(&mut draft, field, &text_of(field, value)?)?,
        }
    }
    if draft.has_state() { Ok(draft) } else { Err(Problem::Missing.of(Field::State)) }
}

fn single(draft: &mut Draft, field: Field, text: &str) -> Result<(), BadPush> {
    match field {
        // Groups must be a list.
        Field::Role => return Err(Problem::Shape.of(field)),
        Field::State => match text.parse() {
            Ok(kind) if Kind::is_sent(kind) => draft.kind(kind),
            Ok(_) | Err(_) => return Err(Problem::Kind.of(field)),
        },
        Field::Posture => {
            draft.posture(text.parse().map_err(|_| Problem::Posture.of(field))?);
        }
        Field::Time if text.parse::<Timestamp>().is_err() => return Err(Problem::Time.of(field)),
        _ => draft.put(field, text)?,
    }
    Ok(())
}

/// The text of a value that must be a non-empty string.
fn text_of(field: Field, value: Json) -> Result<String, BadPush> {
    match value {
        Json::Text(text) if text.trim().is_empty() => Err(Problem::Missing.of(field)),
        Json::Text(text) => Ok(text),
        _ => Err(Problem::Shape.of(field)),
    }
}
