//! Why an event cannot be read: a closed set, so that it can be counted.

use strum::{EnumIter, IntoStaticStr};

use crate::event_log::bytes::Short;

/// What is wrong with the binary XML of an event. Offsets are bytes from the beginning of the
/// fragment; the names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// It ends too early.
    #[error("the event ends where something should stand, at byte {at}")]
    Truncated {
        /// Where it should stand.
        at: usize,
    },
    /// A token that may not stand there.
    #[error("token 0x{token:02x} may not stand at byte {at}")]
    Token {
        /// Where it stands.
        at: usize,
        /// What stands there.
        token: u8,
    },
    /// Binary XML of another major version than 1.
    #[error("binary XML of version {version}, not of version 1")]
    Version {
        /// The version.
        version: u8,
    },
    /// Elements or fragments within one another, deeper than [`Limits::depth`](super::Limits).
    #[error("elements are nested too deep")]
    Depth,
    /// More values than [`Limits::values`](super::Limits).
    #[error("the event has too many values")]
    Values,
    /// More to show than [`Limits::output`](super::Limits).
    #[error("the event would become too large")]
    Output,
    /// A value of a type that the specification does not have.
    #[error("a value is of the unknown type 0x{kind:02x}")]
    Kind {
        /// Its type.
        kind: u8,
    },
    /// A value that is longer or shorter than its type.
    #[error("a value of type 0x{kind:02x} is {length} bytes long")]
    Length {
        /// Its type.
        kind: u8,
        /// In bytes.
        length: usize,
    },
    /// The outermost element is not `Event`.
    #[error("the outermost element is not Event")]
    NotAnEvent,
    /// `System` lacks something without which an event means nothing, or it cannot be read.
    #[error("{0} is missing, or is no number")]
    Missing(&'static str),
}

impl Problem {
    /// The label, for instance `truncated`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Short> for Problem {
    fn from(short: Short) -> Self {
        Self::Truncated { at: short.at }
    }
}
