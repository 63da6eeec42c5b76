//! Where a reader of the session list stands: the opaque `after` of the next page.

use std::fmt;
use std::str::FromStr;

use rollcall_identity::Cursor;

/// First the sessions that are there, then those that ended. Each by position, so that a session
/// that changes while somebody pages through moves on and is met again rather than missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Among the active ones, after this position; `None` before the first.
    Active(Option<Cursor>),
    /// Among the ended ones, after this position; `None` before the oldest that is remembered.
    Ended(Option<Cursor>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (phase, cursor) = match self {
            Self::Active(cursor) => ('a', cursor),
            Self::Ended(cursor) => ('e', cursor),
        };
        match cursor {
            Some(cursor) => write!(f, "{phase}{cursor}"),
            None => write!(f, "{phase}"),
        }
    }
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("after: only the `next` of the page before can stand here")]
pub(super) struct BadPlace;

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let phase = text.chars().next().ok_or(BadPlace)?;
        let cursor = match &text[phase.len_utf8()..] {
            "" => None,
            cursor => Some(cursor.parse().map_err(|_| BadPlace)?),
        };
        match phase {
            'a' => Ok(Self::Active(cursor)),
            'e' => Ok(Self::Ended(cursor)),
            _ => Err(BadPlace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rollcall_identity::Revision;

    #[test]
    fn a_place_is_itself_after_its_text() {
        let cursor = Cursor::new(1_763_755_200_000, Revision(77));
        for place in [
            Place::Active(None),
            Place::Active(Some(cursor)),
            Place::Ended(None),
            Place::Ended(Some(cursor)),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "x", "a1", "a1.2.3.4", "é1.2", "1.2", "a 1.2"] {
            assert_eq!(text.parse::<Place>(), Err(BadPlace), "{text:?}");
        }
    }
    proptest! {
        #[test]
        fn any_text_is_a_place_that_can_be_written_or_none(text in any::<String>(), near in "[ae]?[0-9.]{0,9}") {
            for text in [text, near] {
                if let Ok(place) = text.parse::<Place>() {
                    // What a cursor need not say is left out the first time it is written.
                    let written = place.to_string();
                    let again = written.parse::<Place>().map(|place| place.to_string());
                    prop_assert_eq!(again, Ok(written));
                }
            }
        }
    }
}
