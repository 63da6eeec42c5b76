//! Why an event cannot be decoded: a closed set, so that it can be counted.

use strum::{EnumIter, IntoStaticStr};

use crate::event_log::bytes::UnexpectedEnd;

/// An error in the BinXML of an event. Offsets are bytes from the beginning of the fragment. The
/// variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum BinXmlError {
    /// The event ends too early.
    #[error("the event is truncated at byte {at}")]
    Truncated {
        /// The offset of the missing data.
        at: usize,
    },
    /// A token that is not allowed at this position.
    #[error("token 0x{token:02x} is not allowed at byte {at}")]
    Token {
        /// The offset of the token.
        at: usize,
        /// The token.
        token: u8,
    },
    /// The major version is not 1.
    #[error("the BinXML version is {version}, not 1")]
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
    #[error("the decoded event is too large")]
    Output,
    /// A value of an unknown type.
    #[error("a value has the unknown type 0x{kind:02x}")]
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
    #[error("the root element is not Event")]
    NotAnEvent,
    /// `System` lacks a required element, or the element is invalid.
    #[error("{0} is missing or not a number")]
    Missing(&'static str),
}

impl BinXmlError {
    /// The label, for instance `truncated`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<UnexpectedEnd> for BinXmlError {
    fn from(short: UnexpectedEnd) -> Self {
        Self::Truncated { at: short.at }
    }
}
