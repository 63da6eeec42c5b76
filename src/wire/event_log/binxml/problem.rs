//! Why an event cannot be decoded: a closed set, so that it can be counted.

use strum::{EnumIter, IntoStaticStr};

use crate::event_log::bytes::Short;

/// An error in the BinXML of an event. Offsets are bytes from the beginning of the fragment. The
/// variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Problem {
    /// The event ends too early.
    #[error("the event ends where something should stand, at byte {at}")]
    Truncated {
        /// The offset of the missing data.
        at: usize,
    },
    /// A token that is not allowed at this position.
    #[error("token 0x{token:02x} may not stand at byte {at}")]
    Token {
        /// The offset of the token.
        at: usize,
        /// The token.
        token: u8,
    },
    /// The major version is not 1.
    #[error("binary XML of version {version}, not of version 1")]
    Version {
        /// The version.
        version: u8,
    },
    /// Elements or fragments are nested deeper than [`Limits::depth`](super::Limits).
    #[error("elements are nested too deep")]
    Depth,
    /// More values than [`Limits::values`](super::Limits).
    #[error("the event has too many values")]
    Values,
    /// The output is larger than [`Limits::output`](super::Limits).
    #[error("the event would become too large")]
    Output,
    /// A value of an unknown type.
    #[error("a value is of the unknown type 0x{kind:02x}")]
    Kind {
        /// The type.
        kind: u8,
    },
    /// A value whose length does not match its type.
    #[error("a value of type 0x{kind:02x} is {length} bytes long")]
    Length {
        /// The type.
        kind: u8,
        /// The length in bytes.
        length: usize,
    },
    /// The root element is not `Event`.
    #[error("the outermost element is not Event")]
    NotAnEvent,
    /// `System` lacks a required element, or the element is invalid.
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
