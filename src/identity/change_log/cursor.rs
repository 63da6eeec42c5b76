//! A consumer's place in the log of changes, as text that is safe in a URL, a header or a cookie.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Revision;

/// Up to where a consumer knows what became true. SRX cookies, acknowledged positions and
/// `Last-Event-ID` are all this. Written `epoch.revision`; while a consumer that began from
/// nothing still reads its first pages, `epoch.revision.began`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the journal that the positions belong to.
    pub epoch: u64,
    /// Everything up to here is known.
    pub revision: Revision,
    /// The newest position when the consumer began from nothing: what had ended by then was never
    /// told to it, so its end need not be. Without it, a first reading that passes positions older
    /// than the oldest remembered end would have to begin again and again.
    pub(super) began: Revision,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: two or three decimal numbers with points between them are expected")]
pub struct BadCursor;

impl Cursor {
    /// The cursor of a consumer that knows everything up to `revision`.
    pub const fn new(epoch: u64, revision: Revision) -> Self {
        Self { epoch, revision, began: Revision(0) }
    }

    /// The same consumer, to be told once more of everything that stands. It held what stood here,
    /// so of ends it hears only what came after.
    #[must_use]
    pub fn again(self) -> Self {
        Self { revision: Revision(0), began: self.revision.max(self.began), ..self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)?;
        if self.began > self.revision { write!(f, ".{}", self.began) } else { Ok(()) }
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let mut numbers = text.split('.').map(number);
        let epoch = numbers.next().ok_or(BadCursor)??;
        let revision = Revision(numbers.next().ok_or(BadCursor)??);
        let began = Revision(numbers.next().transpose()?.unwrap_or(0));
        if numbers.next().is_some() { Err(BadCursor) } else { Ok(Self { epoch, revision, began }) }
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
        for text in ["", "1", "1.", ".1", "+1.2", "1.-2", "1.2.3.4", "1.2.", "a.b", "1 .2"] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text:?}");
        }
        assert_eq!("99999999999999999999.1".parse::<Cursor>(), Err(BadCursor));
    }

    #[test]
    fn who_reads_again_heard_of_every_end_so_far() {
        for (cursor, again) in [("7.3", "7.0.3"), ("7.3.9", "7.0.9"), ("7.9.3", "7.0.9")] {
            let cursor: Cursor = cursor.parse().unwrap();
            assert_eq!(cursor.again().to_string(), again);
            assert_eq!(cursor.again().again(), cursor.again());
        }
    }

    proptest! {
        #[test]
        fn a_cursor_means_the_same_after_its_text(epoch: u64, revision: u64, began: u64) {
            let cursor = Cursor { epoch, revision: Revision(revision), began: Revision(began) };
            let read: Cursor = cursor.to_string().parse().unwrap();
            prop_assert_eq!((read.epoch, read.revision), (epoch, Revision(revision)));
            prop_assert_eq!(read.began.max(read.revision), cursor.began.max(cursor.revision));
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap().revision, cursor.revision);
            }
        }
    }
}
