//! An HTTP request independent of its transport: path, parameters, headers, body.

mod error_body;
pub(crate) mod json;
mod parameters;
mod redact;
pub(crate) mod timestamp;

use std::fmt;

pub(crate) use error_body::sanitized;
pub use error_body::{OAuthError, ProblemDetails};
pub use parameters::{AmbiguousParameter, Parameters};
pub(crate) use parameters::{PlusSign, canonical, percent_decoded};
pub use redact::redact;

/// One request, borrowed from its receiver. `Debug` uses [`redact`], so that `{request:?}` cannot
/// write a secret to a log.
#[derive(Clone, Copy, Default)]
pub struct RequestParts<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The path after the configured API prefix, percent-encoded, without the query.
    pub path: &'a str,
    /// The query after `?`, percent-encoded; may be empty.
    pub query: &'a str,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Cookie`.
    pub cookie_header: Option<&'a str>,
    /// `X-Cookie`.
    pub x_cookie_header: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// A body, classified by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpBody<'a> {
    /// Empty, or only white space.
    Empty,
    /// Begins with `{` or `[`.
    Json(&'a str),
    /// Begins with `<`.
    Xml(&'a str),
    /// Anything else: `application/x-www-form-urlencoded`.
    Form(&'a str),
}

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than [`RequestParts::BODY_LIMIT`] bytes.
    #[error("body is longer than {} bytes", RequestParts::BODY_LIMIT)]
    TooLong,
    /// Not UTF-8, or declared with another charset.
    #[error("body is not UTF-8")]
    Encoding,
    /// An unsupported media type.
    #[error("the media type of the body is not supported")]
    MediaType,
    /// Malformed JSON.
    #[error("body is not well-formed JSON: line {line}, column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Too many members, list items or parameters.
    #[error("body has too many items")]
    TooMany,
    /// XML or a JSON list where parameters are expected.
    #[error("body has no parameters")]
    Shape,
}

impl<'a> RequestParts<'a> {
    /// The maximum body length in bytes: the limit of a push.
    pub const BODY_LIMIT: usize = 1 << 20;

    /// The percent-decoded segments of the path, without empty ones. `None` when a segment is not
    /// UTF-8.
    pub fn segments(&self) -> Option<Vec<String>> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| parameters::percent_decoded(segment, parameters::PlusSign::Literal))
            .collect()
    }

    /// Classifies the body by its first character, not by the declared media type: senders declare
    /// JSON and XML as forms, and a form never begins with `{`, `[` or `<`, which are
    /// percent-encoded there.
    ///
    /// # Errors
    /// [`BodyError`] when the body is too long, not UTF-8, or declared as multipart.
    pub fn body(&self) -> Result<HttpBody<'a>, BodyError> {
        if self.body.len() > Self::BODY_LIMIT {
            return Err(BodyError::TooLong);
        }
        let declared = self.content_type.unwrap_or_default().to_ascii_lowercase();
        if declared.trim_start().starts_with("multipart/") {
            return Err(BodyError::MediaType);
        }
        if let Some((_, charset)) = declared.split_once("charset=") {
            let charset = charset.split(';').next().unwrap_or_default();
            let charset = charset.trim_matches(|c: char| c == '"' || c.is_whitespace());
            if !matches!(charset, "utf-8" | "utf8" | "us-ascii") {
                return Err(BodyError::Encoding);
            }
        }
        let text = std::str::from_utf8(self.body).map_err(|_| BodyError::Encoding)?;
        // UTF-16 text in ASCII letters is also valid UTF-8, with a NUL next to each letter.
        if text.contains('\0') {
            return Err(BodyError::Encoding);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        Ok(match text.as_bytes().first() {
            None => HttpBody::Empty,
            Some(b'{' | b'[') => HttpBody::Json(text),
            Some(b'<') => HttpBody::Xml(text),
            Some(_) => HttpBody::Form(text),
        })
    }
}

impl fmt::Debug for RequestParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape<'a>(content_type: &'a str, body: &'a [u8]) -> Result<HttpBody<'a>, BodyError> {
        RequestParts { content_type: Some(content_type), body, ..RequestParts::default() }.body()
    }

    #[test]
    fn first_character_determines_the_format() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(shape(form, b" {\"a\":1}"), Ok(HttpBody::Json("{\"a\":1}")));
        assert_eq!(shape(form, b"<a/>\r\n"), Ok(HttpBody::Xml("<a/>")));
        assert_eq!(shape("application/json", b"a=1"), Ok(HttpBody::Form("a=1")));
        assert_eq!(
            shape("text/xml; charset=\"UTF-8\"", b"\xef\xbb\xbf<a/>"),
            Ok(HttpBody::Xml("<a/>"))
        );
        assert_eq!(shape("", b" \n"), Ok(HttpBody::Empty));
    }

    #[test]
    fn other_encodings_are_rejected() {
        let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark: Vec<u8> = [&[0xff, 0xfe][..], &utf16].concat();
        for body in [&utf16[..], &with_mark, b"a=\xff", b"a=\0"] {
            assert_eq!(shape("application/xml", body), Err(BodyError::Encoding), "{body:?}");
        }
        assert_eq!(shape("text/xml; charset=utf-7", b"<a/>"), Err(BodyError::Encoding));
        assert_eq!(shape("text/xml;charset=UTF-16;q=1", b"<a/>"), Err(BodyError::Encoding));
        assert_eq!(shape("multipart/form-data; boundary=x", b"--x"), Err(BodyError::MediaType));
        let long = vec![b'a'; RequestParts::BODY_LIMIT + 1];
        assert_eq!(shape("", &long), Err(BodyError::TooLong));
    }

    #[test]
    fn segments_are_decoded_one_by_one() {
        let request = RequestParts { path: "/ip//2001%3Adb8%3A%3A1/", ..RequestParts::default() };
        assert_eq!(request.segments().unwrap(), ["ip", "2001:db8::1"]);
        let request = RequestParts { path: "/user/CORP%5Cal%2Fice+x", ..RequestParts::default() };
        assert_eq!(request.segments().unwrap(), ["user", "CORP\\al/ice+x"]);
        assert_eq!(RequestParts { path: "/%ff", ..RequestParts::default() }.segments(), None);
    }
}
