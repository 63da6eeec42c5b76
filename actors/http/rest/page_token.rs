//! The page token of the session list: the opaque `after` of the next page.

use std::fmt;
use std::str::FromStr;

use rollcall_identity::Cursor;

/// The list has the active sessions first, then the ended ones. Each part is ordered by journal
/// position, so that a session that changes during paging is listed again and not missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageToken {
    /// In the active sessions, after this position; `None` before the first.
    Active(Option<Cursor>),
    /// In the ended sessions, after this position; `None` before the oldest that is kept.
    Ended(Option<Cursor>),
}

impl fmt::Display for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (list, cursor) = match self {
            Self::Active(cursor) => ('a', cursor),
            Self::Ended(cursor) => ('e', cursor),
        };
        match cursor {
            Some(cursor) => write!(f, "{list}{cursor}"),
            None => write!(f, "{list}"),
        }
    }
}

/// The text is not a page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("after: must be the `next` of the previous page")]
pub(super) struct InvalidPageToken;

impl FromStr for PageToken {
    type Err = InvalidPageToken;

    fn from_str(text: &str) -> Result<Self, InvalidPageToken> {
        let list = text.chars().next().ok_or(InvalidPageToken)?;
        let cursor = match &text[list.len_utf8()..] {
            "" => None,
            cursor => Some(cursor.parse().map_err(|_| InvalidPageToken)?),
        };
        match list {
            'a' => Ok(Self::Active(cursor)),
            'e' => Ok(Self::Ended(cursor)),
            _ => Err(InvalidPageToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rollcall_identity::Revision;

    #[test]
    fn a_page_token_round_trips_through_text() {
        let cursor = Cursor::new(1_763_755_200_000, Revision(77));
        for token in [
            PageToken::Active(None),
            PageToken::Active(Some(cursor)),
            PageToken::Ended(None),
            PageToken::Ended(Some(cursor)),
        ] {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
    }

    #[test]
    fn invalid_page_tokens_are_rejected() {
        for text in ["", "x", "a1", "a1.2.3.4", "é1.2", "1.2", "a 1.2"] {
            assert_eq!(text.parse::<PageToken>(), Err(InvalidPageToken), "{text:?}");
        }
    }
    proptest! {
        #[test]
        fn any_text_is_a_page_token_that_round_trips_or_an_error(text in any::<String>(), near in "[ae]?[0-9.]{0,9}") {
            for text in [text, near] {
                if let Ok(token) = text.parse::<PageToken>() {
                    // The first text may contain optional parts of a cursor that are not written
                    // again.
                    let written = token.to_string();
                    let again = written.parse::<PageToken>().map(|token| token.to_string());
                    prop_assert_eq!(again, Ok(written));
                }
            }
        }
    }
}
