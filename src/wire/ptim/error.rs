//! Why a push was rejected: a closed set for counters, and a message for the sender.

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use crate::http::BodyError;

/// The kind of a push error. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum PtimErrorKind {
    /// The body has no event.
    #[error("the body has no event")]
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
    #[error("the media type is not supported")]
    MediaType,
    /// Malformed JSON or XML.
    #[error("not well-formed")]
    Syntax,
    /// XML with a document type declaration or a custom entity.
    #[error("XML with a DOCTYPE or a custom entity is rejected")]
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
    Duplicate,
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
    #[error("reports a failure")]
    NotSuccess,
    /// The time is missing and this sender must provide it.
    #[error("missing: this sender must provide the time of its events (require_time)")]
    Untimed,
    /// Not a time with a zone.
    #[error("not a time")]
    Time,
    /// Not one of the six device states.
    #[error("not a device state")]
    Posture,
}

impl PtimErrorKind {
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

    pub(super) const fn of(self, field: PtimField) -> PtimError {
        PtimError { problem: self, item: None, field: Some(field), place: None }
    }
}

/// The fields of an event in a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PtimField {
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
pub struct PtimError {
    /// The kind of the error.
    pub problem: PtimErrorKind,
    /// The index of the entry, from 0.
    pub item: Option<usize>,
    /// The field.
    pub field: Option<PtimField>,
    /// The line and column of JSON, from 1.
    pub place: Option<(usize, usize)>,
}

impl PtimError {
    pub(super) fn at(self, item: usize) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The HTTP status: 413 for too long, 415 for an unsupported media type, otherwise 400.
    pub const fn status(&self) -> u16 {
        match self.problem {
            PtimErrorKind::TooLong | PtimErrorKind::TooMany => 413,
            PtimErrorKind::MediaType => 415,
            _ => 400,
        }
    }
}

impl fmt::Display for PtimError {
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

impl std::error::Error for PtimError {}

impl From<PtimErrorKind> for PtimError {
    fn from(problem: PtimErrorKind) -> Self {
        Self { problem, item: None, field: None, place: None }
    }
}

impl From<BodyError> for PtimError {
    fn from(bad: BodyError) -> Self {
        let problem = match bad {
            BodyError::TooLong => PtimErrorKind::TooLong,
            BodyError::Encoding => PtimErrorKind::Encoding,
            BodyError::MediaType => PtimErrorKind::MediaType,
            BodyError::TooMany => PtimErrorKind::TooMany,
            BodyError::Shape => PtimErrorKind::Shape,
            BodyError::Json { line, column } => {
                return Self { place: Some((line, column)), ..PtimErrorKind::Syntax.into() };
            }
        };
        problem.into()
    }
}
