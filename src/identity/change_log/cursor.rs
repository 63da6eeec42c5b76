//! A consumer's position in the change log, as text that is safe in URLs, headers and cookies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Revision;

/// The position up to which a consumer knows all changes. SRX cookies, acknowledged positions and
/// `Last-Event-ID` are all cursors. The text form is `epoch.revision`. During the first pages of a
/// full resync it is `epoch.revision.resync_at`, or `epoch.revision-resync_at` if the consumer
/// presented a cursor and may hold stale sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The epoch of the journal that the positions belong to.
    pub epoch: u64,
    /// The consumer knows all changes up to this revision.
    pub revision: Revision,
    /// The newest revision when the resync started. Sessions that had ended by then were never
    /// reported to this consumer, so their ends are not needed. Without it, a resync that passes
    /// positions older than the oldest tombstone would restart forever.
    pub(super) resync_at: Revision,
    /// What the consumer may hold at the start of a resync.
    pub(super) client_state: ClientState,
}

/// What a consumer may hold at the start of a resync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientState {
    /// Nothing: ends from before the resync need not be reported.
    Empty,
    /// Sessions from another epoch or from too long ago. Not every consumer can discard them, so
    /// all remembered ends are reported.
    Unknown,
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: expected two decimal numbers separated by a point")]
pub struct BadCursor;

impl Cursor {
    /// The cursor of a consumer that presents a cursor of another server or epoch. It needs a full
    /// resync and may hold sessions that were reported by another server.
    pub const UNKNOWN: Self = Self::new(0, Revision(u64::MAX));

    /// The cursor of a consumer that knows all changes up to `revision`.
    pub const fn new(epoch: u64, revision: Revision) -> Self {
        Self { epoch, revision, resync_at: Revision(0), client_state: ClientState::Empty }
    }

    /// The cursor with which the same consumer receives all current sessions again. It held what
    /// was current here, so it receives only later ends.
    #[must_use]
    pub fn replay(self) -> Self {
        Self { revision: Revision(0), resync_at: self.revision.max(self.resync_at), ..self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)?;
        match self.client_state {
            _ if self.resync_at <= self.revision => Ok(()),
            ClientState::Empty => write!(f, ".{}", self.resync_at),
            ClientState::Unknown => write!(f, "-{}", self.resync_at),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (epoch, position) = text.split_once('.').ok_or(BadCursor)?;
        let (revision, began, holding) = match position.split_once(['.', '-']) {
            None => (position, "0", ClientState::Empty),
            Some((revision, began)) if position[revision.len()..].starts_with('.') => {
                (revision, began, ClientState::Empty)
            }
            Some((revision, began)) => (revision, began, ClientState::Unknown),
        };
        let (revision, began) = (Revision(number(revision)?), Revision(number(began)?));
        Ok(Self { epoch: number(epoch)?, revision, resync_at: began, client_state: holding })
    }
}

/// Digits only: the standard parser accepts a sign.
fn number(text: &str) -> Result<u64, BadCursor> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadCursor);
    }
    text.parse().map_err(|_| BadCursor)
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_cursors_are_rejected() {
        for text in [
            "", "1", "1.", ".1", "+1.2", "1.-2", "1.2.3.4", "1.2.", "a.b", "1 .2", "1-2", "1.2-",
            "1.2-3-4", "1.2.3-4",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text:?}");
        }
        assert_eq!("99999999999999999999.1".parse::<Cursor>(), Err(BadCursor));
    }

    #[test]
    fn a_replay_needs_no_earlier_ends() {
        for (cursor, again) in [("7.3", "7.0.3"), ("7.3.9", "7.0.9"), ("7.9.3", "7.0.9")] {
            let cursor: Cursor = cursor.parse().unwrap();
            assert_eq!(cursor.replay().to_string(), again);
            assert_eq!(cursor.replay().replay(), cursor.replay());
        }
    }

    proptest! {
        #[test]
        fn a_cursor_round_trips_through_text(epoch: u64, revision: u64, began: u64, nothing: bool) {
            let holding = if nothing { ClientState::Empty } else { ClientState::Unknown };
            let (revision, began) = (Revision(revision), Revision(began));
            let cursor = Cursor { epoch, revision, resync_at: began, client_state: holding };
            let read: Cursor = cursor.to_string().parse().unwrap();
            prop_assert_eq!((read.epoch, read.revision), (epoch, revision));
            prop_assert_eq!(read.resync_at.max(read.revision), began.max(revision));
            prop_assert!(began <= revision || read.client_state == holding);
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap().revision, cursor.revision);
            }
        }
    }
}
