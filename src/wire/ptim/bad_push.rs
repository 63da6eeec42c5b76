//! Why a push was refused: a closed set to count by, and a sentence for whoever sent it.

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use crate::http::BadBody;

/// What is wrong with a push. The names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// There is no event in it.
    #[error("the body holds no event")]
    Empty,
    /// A longer body than is ever read.
    #[error("the body is too long")]
    TooLong,
    /// More events, members, attributes or addresses than any sender needs.
    #[error("too many")]
    TooMany,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    Encoding,
    /// A media type that is not read here.
    #[error("the media type is not read here")]
    MediaType,
    /// JSON or XML that is not well-formed.
    #[error("not well-formed")]
    Syntax,
    /// XML with a document type declaration or an entity of its own.
    #[error("XML with a DOCTYPE or an entity of its own is refused")]
    Doctype,
    /// XML nested deeper than [`Problem::DEPTH`].
    #[error("elements are nested too deep")]
    TooDeep,
    /// Something else than the documented object, list or element.
    #[error("not of the expected shape")]
    Shape,
    /// A key that is not documented.
    #[error("has a key besides kind, address, user, domain, device, groups, posture and at")]
    UnknownKey,
    /// A field that this kind of event needs is not there.
    #[error("missing")]
    Missing,
    /// A field was given twice.
    #[error("given twice")]
    Twice,
    /// Not an IP address.
    #[error("not an IP address")]
    Address,
    /// Not a name of a user, domain, device or group: too long, or with control characters.
    #[error("not a name")]
    Name,
    /// Not a kind of event, or not one that is pushed.
    #[error("not a kind of event that is pushed")]
    Kind,
    /// A failed authentication, which never makes a session.
    #[error("tells of something that did not succeed")]
    NotSuccess,
    /// No time, from a sender that must say when its events happened.
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
    /// The deepest nesting of XML elements. The model of the Web API needs 5.
    pub const DEPTH: usize = 32;
    /// The most attributes of one XML element. The model has none.
    pub const ATTRIBUTES: usize = 64;
    /// The longest text of one field, in bytes: room for a name, escapes and white space.
    pub const TEXT: usize = 4096;

    /// The label, for instance `unknown_key`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) const fn of(self, field: Field) -> BadPush {
        BadPush { problem: self, item: None, field: Some(field), place: None }
    }
}

/// What a push tells of an event.
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
    /// Whether it succeeded.
    Status,
    /// The device's name.
    Device,
    /// One group of the user.
    #[strum(serialize = "groups")]
    Role,
    /// The device's state, or its pre-logon compliance.
    Posture,
    /// When it happened.
    #[strum(serialize = "at")]
    Time,
}

/// A push that is refused as a whole. It quotes nothing of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPush {
    /// What is wrong.
    pub problem: Problem,
    /// In which entry, counted from 0.
    pub item: Option<usize>,
    /// In which field.
    pub field: Option<Field>,
    /// At which line and column of JSON, counted from 1.
    pub place: Option<(usize, usize)>,
}

impl BadPush {
    pub(super) fn at(self, item: usize) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The HTTP status: 413 for what is too long, 415 for an unread media type, else 400.
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
