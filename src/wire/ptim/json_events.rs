//! Rollcall's own JSON for events: `{"kind":"login","address":"10.0.0.7","user":"alice"}`.

use rollcall_identity::{Kind, Timestamp};

use super::error::{PtimError, PtimErrorKind, PtimField};
use super::event_builder::EventBuilder;
use crate::http::json::Json;

/// Reads all entries of the body, one object or a list of objects.
pub(super) fn read(text: &str) -> Result<Vec<EventBuilder>, PtimError> {
    let items = match Json::read(text)? {
        Json::List(items) => items,
        one => vec![one],
    };
    items.into_iter().enumerate().map(|(at, item)| event(item).map_err(|bad| bad.at(at))).collect()
}

fn event(item: Json) -> Result<EventBuilder, PtimError> {
    let Json::Object(members) = item else { return Err(PtimErrorKind::Shape.into()) };
    let mut builder = EventBuilder::default();
    let mut seen = Vec::with_capacity(members.len());
    for (key, value) in members {
        let field = match key.as_str() {
            "kind" => PtimField::State,
            "address" => PtimField::Address,
            "user" => PtimField::User,
            "domain" => PtimField::Domain,
            "device" => PtimField::Device,
            "groups" => PtimField::Role,
            "posture" => PtimField::Posture,
            "at" => PtimField::Time,
            _ => return Err(PtimErrorKind::UnknownKey.into()),
        };
        if seen.contains(&field) {
            return Err(PtimErrorKind::Duplicate.of(field));
        }
        seen.push(field);
        match (field, value) {
            (_, Json::Null) => {}
            (PtimField::Role, Json::List(groups)) => {
                builder.mark_roles_listed();
                for group in groups {
                    builder.set(field, &text_of(field, group)?)?;
                }
            }
            (field, value) => single(&mut builder, field, &text_of(field, value)?)?,
        }
    }
    if builder.has_state() { Ok(builder) } else { Err(PtimErrorKind::Missing.of(PtimField::State)) }
}

fn single(builder: &mut EventBuilder, field: PtimField, text: &str) -> Result<(), PtimError> {
    match field {
        // Groups must be a list.
        PtimField::Role => return Err(PtimErrorKind::Shape.of(field)),
        PtimField::State => match text.parse() {
            Ok(kind) if Kind::is_sent(kind) => builder.kind(kind),
            Ok(_) | Err(_) => return Err(PtimErrorKind::Kind.of(field)),
        },
        PtimField::Posture => {
            builder.posture(text.parse().map_err(|_| PtimErrorKind::Posture.of(field))?);
        }
        PtimField::Time if text.parse::<Timestamp>().is_err() => {
            return Err(PtimErrorKind::Time.of(field));
        }
        _ => builder.set(field, text)?,
    }
    Ok(())
}

/// The text of a value that must be a non-empty string.
fn text_of(field: PtimField, value: Json) -> Result<String, PtimError> {
    match value {
        Json::Text(text) if text.trim().is_empty() => Err(PtimErrorKind::Missing.of(field)),
        Json::Text(text) => Ok(text),
        _ => Err(PtimErrorKind::Shape.of(field)),
    }
}
