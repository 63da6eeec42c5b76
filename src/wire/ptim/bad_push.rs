//! Why a push was rejected: a closed set for counters, and a message for the sender.

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use crate::http::BadBody;

/// The kind of a push error. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// The body has no event.
    #[error("the body holds no event")]
    Empty,
    /// The body is too long.
    #[error("the body is too long")]
    TooLong,
    /// Too many events, members, attributes or addresses.
    #[error("too many")]
    TooMany,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    Encoding,
    /// An unsupported media type.
    #[error("the media type is not read here")]
    MediaType,
    /// Malformed JSON or XML.
    #[error("not well-formed")]
    Syntax,
    /// XML with a document type declaration or a custom entity.
    #[error("XML with a DOCTYPE or an entity of its own is refused")]
    Doctype,
    /// XML nested deeper than [`PtimErrorKind::DEPTH`].
    #[error("elements are nested too deep")]
    TooDeep,
    /// Not the documented object, list or element.
    #[error("not of the expected shape")]
    Shape,
    /// An unknown key.
    #[error("has a key besides kind, address, user, domain, device, groups, posture and at")]
    UnknownKey,
    /// A required field is missing.
    #[error("missing")]
    Missing,
    /// A field occurs twice.
    #[error("given twice")]
    Twice,
    /// Not an IP address.
    #[error("not an IP address")]
    Address,
    /// Not a valid name of a user, domain, device or group.
    #[error("not a name")]
    Name,
    /// Not a valid kind of event, or not one that can be pushed.
    #[error("not a kind of event that is pushed")]
    Kind,
    /// A failed authentication, which never creates a session.
    #[error("tells of something that did not succeed")]
    NotSuccess,
    /// The time is missing and this sender must provide it.
    #[error("missing: this sender must say when its events happened (require_time)")]
    Untimed,
    /// Not a time with a zone.
    #[error("not a time")]
    Time,
    /// Not one of the six device states.
    #[error("not a device state")]
    Posture,
}

impl Problem {
    /// The maximum nesting of XML elements. The model of the Web API needs 5.
    pub const DEPTH: usize = 32;
    /// The maximum number of attributes of an XML element. The model has none.
    pub const ATTRIBUTES: usize = 64;
    /// The maximum length of the text of a field, in bytes: a name with escapes and white space.
    pub const TEXT: usize = 4096;

    /// The label, for instance `unknown_key`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) const fn of(self, field: Field) -> BadPush {
        BadPush { problem: self, item: None, field: Some(field), place: None }
    }
}

/// The fields of an event in a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// The address of the user; the inner address of a VPN client.
    Address,
    /// The user.
    User,
    /// The user's domain.
    Domain,
    /// Connect, disconnect, rekey, logon, logoff.
    #[strum(serialize = "kind")]
    State,
    /// Whether the event succeeded.
    Status,
    /// The name of the device.
    Device,
    /// One group of the user.
    #[strum(serialize = "groups")]
    Role,
    /// The state of the device, or its pre-logon compliance.
    Posture,
    /// The time of the event.
    #[strum(serialize = "at")]
    Time,
}

/// A push that is rejected as a whole. The error never quotes the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPush {
    /// The kind of the error.
    pub problem: Problem,
    /// The index of the entry, from 0.
    pub item: Option<usize>,
    /// The field.
    pub field: Option<Field>,
    /// The line and column of JSON, from 1.
    pub place: Option<(usize, usize)>,
}

impl BadPush {
    pub(super) fn at(self, item: usize) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The HTTP status: 413 for too long, 415 for an unsupported media type, otherwise 400.
    pub const fn status(&self) -> u16 {
        match self.problem {
            Problem::TooLong | Problem::TooMany => 413,
            Problem::MediaType => 415,
            _ => 400,
        }
    }
}

impl fmt::Display for BadPush {
    /// For instance `item 3: address: not an IP address`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(item) = self.item {
            write!(f, "item {item}: ")?;
        }
        if let Some(field) = self.field {
            write!(f, "{}: ", <&str>::from(field))?;
        }
        self.problem.fmt(f)?;
        match self.place {
            Some((line, column)) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BadPush {}

impl From<Problem> for BadPush {
    fn from(problem: Problem) -> Self {
        Self { problem, item: None, field: None, place: None }
    }
}

impl From<BadBody> for BadPush {
    fn from(bad: BadBody) -> Self {
        let problem = match bad {
            BadBody::TooLong => Problem::TooLong,
            BadBody::Encoding => Problem::Encoding,
            BadBody::MediaType => Problem::MediaType,
            BadBody::TooMany => Problem::TooMany,
            BadBody::Shape => Problem::Shape,
            BadBody::Json { line, column } => {
                return Self { place: Some((line, column)), ..Problem::Syntax.into() };
            }
        };
        problem.into()
    }
}
