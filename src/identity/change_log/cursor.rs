//! A consumer's place in the log of changes, as text that is safe in a URL, a header or a cookie.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Revision;

/// Up to where a consumer knows what became true. SRX cookies, acknowledged positions and
/// `Last-Event-ID` are all this. Written `epoch.revision`; while a consumer that began from
/// nothing still reads its first pages, `epoch.revision.began`, or `epoch.revision-began` when it
/// came with a cursor and may hold what was true long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the journal that the positions belong to.
    pub epoch: u64,
    /// Everything up to here is known.
    pub revision: Revision,
    /// The newest position when the consumer began from nothing: what had ended by then was never
    /// told to it, so its end need not be. Without it, a first reading that passes positions older
    /// than the oldest remembered end would have to begin again and again.
    pub(super) resync_at: Revision,
    /// What a consumer that began from nothing may hold nevertheless.
    pub(super) client_state: ClientState,
}

/// What a consumer may hold that begins from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientState {
    /// Nothing: what had ended before it began need not be told.
    Empty,
    /// What it was told in another life of the journal, or too long ago: not every consumer can
    /// throw that away, so it hears of every end that is remembered.
    Unknown,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: two decimal numbers with a point between them are expected")]
pub struct BadCursor;

impl Cursor {
    /// The cursor of a consumer that shows one which is none of ours: it begins from nothing, and
    /// may hold what somebody else told it.
    pub const UNKNOWN: Self = Self::new(0, Revision(u64::MAX));

    /// The cursor of a consumer that knows everything up to `revision`.
    pub const fn new(epoch: u64, revision: Revision) -> Self {
        Self { epoch, revision, resync_at: Revision(0), client_state: ClientState::Empty }
    }

    /// The same consumer, to be told once more of everything that stands. It held what stood here,
    /// so of ends it hears only what came after.
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
        let (epoch, place) = text.split_once('.').ok_or(BadCursor)?;
        let (revision, began, holding) = match place.split_once(['.', '-']) {
            None => (place, "0", ClientState::Empty),
            Some((revision, began)) if place[revision.len()..].starts_with('.') => {
                (revision, began, ClientState::Empty)
            }
            Some((revision, began)) => (revision, began, ClientState::Unknown),
        };
        let (revision, began) = (Revision(number(revision)?), Revision(number(began)?));
        Ok(Self { epoch: number(epoch)?, revision, resync_at: began, client_state: holding })
    }
}

/// Digits only: the standard parser would take a sign.
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
    fn what_is_no_cursor_is_refused() {
        for text in [
            "", "1", "1.", ".1", "+1.2", "1.-2", "1.2.3.4", "1.2.", "a.b", "1 .2", "1-2", "1.2-",
            "1.2-3-4", "1.2.3-4",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text:?}");
        }
        assert_eq!("99999999999999999999.1".parse::<Cursor>(), Err(BadCursor));
    }

    #[test]
    fn who_reads_again_heard_of_every_end_so_far() {
        for (cursor, again) in [("7.3", "7.0.3"), ("7.3.9", "7.0.9"), ("7.9.3", "7.0.9")] {
            let cursor: Cursor = cursor.parse().unwrap();
            assert_eq!(cursor.replay().to_string(), again);
            assert_eq!(cursor.replay().replay(), cursor.replay());
        }
    }

    proptest! {
        #[test]
        fn a_cursor_means_the_same_after_its_text(epoch: u64, revision: u64, began: u64, nothing: bool) {
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
