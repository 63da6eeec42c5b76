//! The parameters of a request, from its query, form body or JSON body.

use std::fmt;

use zeroize::Zeroize;

use super::json::Json;
use super::{BodyError, HttpBody, RequestParts};

/// Named values, first from the query, then from the body. Names are in `canonical` form. Empty
/// values count as missing (RFC 6749 section 3.1), except for [`Parameters::flag`].
///
/// Any value may be a secret: `Debug` shows only names, and the memory is wiped on drop.
#[derive(Default)]
pub struct Parameters(Vec<(String, String)>);

/// A parameter occurs twice with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("given twice, with different values")]
pub struct AmbiguousParameter;

/// The meaning of `+` in percent-encoded text.
#[derive(Clone, Copy)]
pub(crate) enum PlusSign {
    /// A space: in queries and forms.
    Space,
    /// A plus sign: in paths, and in client secrets that were not encoded.
    Literal,
}

impl Parameters {
    /// The maximum number of parameters.
    pub const LIMIT: usize = 4096;

    /// Reads the query and the body. Nested JSON objects are flattened, JSON lists repeat their
    /// name, `null` is ignored.
    ///
    /// # Errors
    /// [`BodyError`] when the body cannot be read, or has something other than parameters.
    pub fn read(request: &RequestParts<'_>) -> Result<Self, BodyError> {
        let mut found = Self::default();
        found.form(request.query)?;
        match request.body()? {
            HttpBody::Empty => {}
            HttpBody::Form(text) => found.form(text)?,
            HttpBody::Json(text) => match Json::read(text)? {
                Json::Object(members) => found.object(members)?,
                _ => return Err(BodyError::Shape),
            },
            HttpBody::Xml(_) => return Err(BodyError::Shape),
        }
        Ok(found)
    }

    /// The single value of the parameter with one of `names`.
    ///
    /// # Errors
    /// There are two different values.
    pub fn one(&self, names: &[&str]) -> Result<Option<&str>, AmbiguousParameter> {
        let mut values = self.all(names);
        let first = values.next();
        match values.find(|other| Some(*other) != first) {
            None => Ok(first),
            Some(_) => Err(AmbiguousParameter),
        }
    }

    /// Every value of the parameters with one of `names`.
    pub fn all(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(name, value)| !value.is_empty() && names.contains(&name.as_str()))
            .map(|(_, value)| value.as_str())
    }

    /// The value, which may be empty, of a parameter whose presence is significant.
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Names and values, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn form(&mut self, text: &str) -> Result<(), BodyError> {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decoded(name, PlusSign::Space).ok_or(BodyError::Encoding)?;
            let value = percent_decoded(value, PlusSign::Space).ok_or(BodyError::Encoding)?;
            self.push(&name, value)?;
        }
        Ok(())
    }

    fn object(&mut self, members: Vec<(String, Json)>) -> Result<(), BodyError> {
        members.into_iter().try_for_each(|(name, value)| self.value(&name, value))
    }

    fn value(&mut self, name: &str, value: Json) -> Result<(), BodyError> {
        match value {
            Json::Null => Ok(()),
            Json::Flag(flag) => self.push(name, flag.to_string()),
            Json::Number(text) | Json::Text(text) => self.push(name, text),
            Json::List(items) => items.into_iter().try_for_each(|item| self.value(name, item)),
            Json::Object(members) => self.object(members),
        }
    }

    fn push(&mut self, name: &str, value: String) -> Result<(), BodyError> {
        if self.0.len() == Self::LIMIT {
            return Err(BodyError::TooMany);
        }
        self.0.push((canonical(name), value));
        Ok(())
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The canonical form of a name: lower case, with `-` for `_` and space, so that `Entry_Count`
/// equals `entry-count`. The spelling used by firewalls is not documented.
pub(crate) fn canonical(name: &str) -> String {
    let dashed = |c: char| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() };
    name.trim().chars().map(dashed).collect()
}

/// Decodes percent-encoding. A `%` without two hexadecimal digits is literal, as in the WHATWG URL
/// standard. `None` when the result is not UTF-8.
pub(crate) fn percent_decoded(text: &str, plus: PlusSign) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1).zip(bytes.get(at + 2));
        let escaped = escaped.and_then(|(high, low)| Some((hex(*high)? << 4) | hex(*low)?));
        match (byte, escaped, plus) {
            (b'%', Some(escaped), _) => {
                decoded.push(escaped);
                at += 2;
            }
            (b'+', _, PlusSign::Space) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    // `to_digit(16)` is below 16, so nothing is truncated.
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(query: &str, body: &str) -> Result<Parameters, BodyError> {
        Parameters::read(&RequestParts { query, body: body.as_bytes(), ..RequestParts::default() })
    }

    #[test]
    fn every_source_and_spelling_is_one_parameter() {
        for (query, body) in [
            ("Entry_Count=5", ""),
            ("", "entry%5Fcount=5"),
            ("", r#"{"entry-count":5}"#),
            ("", r#"{"query":{"ENTRY_COUNT":["5"]}}"#),
            ("entry_count=5", r#"{"entry_count":"5"}"#),
        ] {
            let found = read(query, body).unwrap();
            assert_eq!(found.one(&["entry-count", "count"]), Ok(Some("5")), "{query} {body}");
        }
        let found = read("count=5&max=6&empty=&flag", r#"{"none":null}"#).unwrap();
        assert_eq!(found.one(&["count", "max"]), Err(AmbiguousParameter));
        assert_eq!(found.one(&["empty", "none"]), Ok(None));
        assert_eq!((found.flag("flag"), found.flag("none")), (Some(""), None));
    }

    #[test]
    fn other_bodies_are_rejected() {
        assert_eq!(read("", "[1]").err(), Some(BodyError::Shape));
        assert_eq!(read("", "<a/>").err(), Some(BodyError::Shape));
        assert_eq!(read("a=%ff", "").err(), Some(BodyError::Encoding));
        assert_eq!(read("", "{\n\"a\"}").err(), Some(BodyError::Json { line: 2, column: 4 }));
        assert_eq!(read(&"a&".repeat(5000), "").err(), Some(BodyError::TooMany));
    }

    #[test]
    fn escapes_are_decoded_and_invalid_ones_are_literal() {
        let decoded = |text| percent_decoded(text, PlusSign::Space).unwrap();
        assert_eq!(decoded("a+b%20c%C3%A9"), "a b c\u{e9}");
        assert_eq!(decoded("100%,%4,%zz,%"), "100%,%4,%zz,%");
        assert_eq!(percent_decoded("a+b", PlusSign::Literal).unwrap(), "a+b");
    }

    #[test]
    fn debug_shows_names_only() {
        let found = read("client_secret=canary", "").unwrap();
        assert_eq!(format!("{found:?}"), r#"{"client-secret"}"#);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_parsed_or_rejected(query in any::<String>(), body: Vec<u8>) {
            let _ = Parameters::read(&RequestParts { query: &query, body: &body, ..RequestParts::default() });
        }

        #[test]
        fn encoded_text_round_trips(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(percent_decoded(&encoded, PlusSign::Space), Some(text));
        }
    }
}
