//! JSON from untrusted senders, with duplicate keys preserved, bounded sizes and a nesting depth of
//! at most 128.
//!
//! This type is our own because `serde_json::Value` silently keeps the last of two equal keys, and
//! a duplicate key must be rejected.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::BodyError;

/// A JSON value. Unlike `serde_json::Value` it keeps every member of an object in order, so that
/// duplicate keys can be detected.
#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number as text.
    Number(String),
    /// A string.
    Text(String),
    /// At most [`Json::ITEMS`] values.
    List(Vec<Json>),
    /// At most [`Json::MEMBERS`] members.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The maximum number of list items: a push of this many events still fits into a body.
    pub(crate) const ITEMS: usize = 10_000;
    /// The maximum number of members of an object: a multiple of what any known form has.
    pub(crate) const MEMBERS: usize = 256;

    /// Parses the whole of `text`.
    pub(crate) fn read(text: &str) -> Result<Self, BodyError> {
        serde_json::from_str(text).map_err(|error| {
            // Only the two limits produce data errors. Other messages can quote the input, so only
            // the position is kept.
            if error.is_data() {
                return BodyError::TooMany;
            }
            BodyError::Json { line: error.line(), column: error.column() }
        })
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Flag(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == Json::ITEMS {
                return Err(A::Error::custom("too many items"));
            }
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() == Json::MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicate_keys_are_kept() {
        let text = r#"{"a":1,"a":[null,true,-2,1.5,"x"]}"#;
        let Ok(Json::Object(members)) = Json::read(text) else { panic!("not an object") };
        let number = |text: &str| Json::Number(text.into());
        let list =
            vec![Json::Null, Json::Flag(true), number("-2"), number("1.5"), Json::Text("x".into())];
        assert!(members == [("a".into(), number("1")), ("a".into(), Json::List(list))]);
    }

    #[test]
    fn depth_and_sizes_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::read(&nested(100)).is_ok());
        assert!(matches!(Json::read(&nested(10_000)), Err(BodyError::Json { .. })));
        let list = |items: usize| format!("[0{}]", ",0".repeat(items - 1));
        assert!(Json::read(&list(Json::ITEMS)).is_ok());
        assert_eq!(Json::read(&list(Json::ITEMS + 1)).err(), Some(BodyError::TooMany));
        let object = format!("{{\"a\":0{}}}", ",\"a\":0".repeat(Json::MEMBERS));
        assert_eq!(Json::read(&object).err(), Some(BodyError::TooMany));
    }
}
