//! Durations with units, and sizes in bytes.

use std::time::Duration;

use toml::Value;
use toml::de::DeValue;

use super::{FromToml, invalid, text, wrong_type};

impl FromToml for Duration {
    const EXPECTED: &'static str =
        "a duration with units in quotes: \"90s\", \"15m\", \"1h30m\", \"7d\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        duration(text).ok_or_else(|| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        written(*self).into()
    }
}

/// Units of time in descending order, with their milliseconds.
const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses one or more numbers, each with its unit. `None` if invalid.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text.trim(), 0u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, millis) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Formats a duration as `1h30m`. A day is `24h`, because logoff times are specified in hours.
fn written(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut written = String::new();
    for (unit, millis) in &TIME_UNITS[1..] {
        if rest >= *millis {
            written += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if written.is_empty() { "0s".to_owned() } else { written }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Bytes(pub(crate) usize);

/// Units of size (IEC 80000-13) in descending order.
const SIZE_UNITS: [(&str, usize); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromToml for Bytes {
    const EXPECTED: &'static str = "a number of bytes, or a size in quotes: \"64 KiB\", \"8 MiB\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        if value.is_integer() {
            return usize::from_toml(value).map(Self).map_err(|_| wrong_type::<Self>(value));
        }
        let text = text::<Self>(value)?;
        let (digits, unit) = split_digits(text.trim());
        let unit = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, b)| b);
        let size =
            unit.zip(digits.parse().ok()).and_then(|(unit, n): (_, usize)| n.checked_mul(*unit));
        size.map(Self).ok_or_else(|| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        let fits = |(_, bytes): &&(&str, usize)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = SIZE_UNITS.iter().find(fits).unwrap_or(&("B", 1));
        format!("{} {unit}", self.0 / bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: FromToml>(text: &str) -> Result<T, String> {
        T::from_toml(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn durations_have_units() {
        let seconds = |text: &str| read::<Duration>(text).map(|d| d.as_millis());
        assert_eq!(seconds("'24h'"), Ok(86_400_000));
        assert_eq!(seconds("'1h30m'"), Ok(5_400_000));
        assert_eq!(seconds("'1h 30m'"), Ok(5_400_000));
        assert_eq!(seconds("'250ms'"), Ok(250));
        for bad in ["''", "'90'", "'h'", "'1.5h'", "'-1s'", "'1w'", "'99999999999999999999d'", "90"]
        {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_may_have_units() {
        let size = |text| read::<Bytes>(text).map(|b| b.0);
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("'64 KiB'"), Ok(65_536));
        assert_eq!(size("'8MiB'"), Ok(8 << 20));
        for bad in
            ["'64 KB'", "'KiB'", "-1", "'99999999999999999999 B'", "1.5", "'17179869184 GiB'"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_duration_parses_to_itself(millis in 0u64..1 << 50) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&written(time)), Some(time));
        }

        #[test]
        fn a_formatted_size_parses_to_itself(size in 0usize..1 << 50) {
            let text = Bytes(size).to_toml().to_string();
            prop_assert_eq!(read::<Bytes>(&text), Ok(Bytes(size)));
        }

        #[test]
        fn any_text_is_a_duration_or_an_error(text: String) {
            let _ = duration(&text);
        }
    }
}
