//! Timestamps in requests: RFC 3339, or seconds or milliseconds since 1970.

use rollcall_identity::{Precision, Timestamp};

/// Integers below this are seconds, others milliseconds. As seconds it is the year 5138, as
/// milliseconds March 1973, so that times of this century are unambiguous.
const FIRST_MILLISECOND: i64 = 100_000_000_000;

/// Parses a time and its precision. `None` for other input, including a time without a zone and a
/// negative number.
pub(crate) fn read(text: &str) -> Option<(Timestamp, Precision)> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(if number < FIRST_MILLISECOND {
            (Timestamp::from_millis(number * 1000), Precision::Second)
        } else {
            (Timestamp::from_millis(number), Precision::Millisecond)
        });
    }
    let precision = if text.contains('.') { Precision::Millisecond } else { Precision::Second };
    let at = text.parse().ok().or_else(|| with_plus(text)?.parse().ok())?;
    Some((at, precision))
}

/// Restores the `+` of an unencoded offset, which form decoding turned into a space:
/// `2026-11-21T19:50:32 01:00`.
fn with_plus(text: &str) -> Option<String> {
    let (time, offset) = text.rsplit_once(' ')?;
    Some(format!("{time}+{offset}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_notations_of_a_time_agree() {
        let at = Timestamp::from_millis(1_795_287_032_000);
        let written = [
            ("1795287032", Precision::Second),
            ("1795287032000", Precision::Millisecond),
            ("2026-11-21T18:50:32Z", Precision::Second),
            ("2026-11-21T18:50:32.000Z", Precision::Millisecond),
            ("2026-11-21T19:50:32+01:00", Precision::Second),
            ("2026-11-21T19:50:32 01:00", Precision::Second),
        ];
        for (text, precision) in written {
            assert_eq!(read(text), Some((at, precision)), "{text}");
        }
        assert_eq!(read("0"), Some((Timestamp::EPOCH, Precision::Second)));
    }

    #[test]
    fn invalid_times_are_rejected() {
        for text in [
            "",
            "-1",
            "yesterday",
            "2026-11-21",
            "2026-11-21T18:50:32",
            "1e9",
            "9".repeat(40).as_str(),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in any::<String>()) {
            let _ = read(&text);
        }
    }
}
