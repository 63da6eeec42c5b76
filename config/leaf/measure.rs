//! Times with their units, and sizes in bytes.

use std::time::Duration;

use toml::de::DeValue;

use super::{Leaf, Ranged, mismatch, not, text};

impl Leaf for Duration {
    const EXPECTED: &'static str =
        "a time with units in quotes: \"90s\", \"15m\", \"1h30m\", \"7d\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        duration(text).ok_or_else(|| not::<Self>(text))
    }
}

/// Units of time, the largest first, with their milliseconds.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads numbers each followed by its unit.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text.trim(), 0u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, millis) = TIMES.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl Ranged for Duration {
    fn written(&self) -> String {
        let mut rest = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let mut written = String::new();
        // A day is written as 24h: logoff times and lifetimes are spoken of in hours.
        for (unit, millis) in &TIMES[1..] {
            if rest >= *millis {
                written += &format!("{}{unit}", rest / millis);
                rest %= millis;
            }
        }
        if written.is_empty() { "0s".to_owned() } else { written }
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Bytes(pub(crate) usize);

/// Units of size (IEC 80000-13), the largest first.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Leaf for Bytes {
    const EXPECTED: &'static str = "a number of bytes, or a size in quotes: \"64 KiB\", \"8 MiB\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        if value.is_integer() {
            return usize::read(value).map(Self).map_err(|_| mismatch::<Self>(value));
        }
        let text = text::<Self>(value)?;
        let (digits, unit) = split_digits(text.trim());
        let unit = SIZES.iter().find(|(name, _)| *name == unit.trim()).map(|(_, bytes)| bytes);
        let size =
            unit.zip(digits.parse().ok()).and_then(|(unit, n): (_, usize)| n.checked_mul(*unit));
        size.map(Self).ok_or_else(|| not::<Self>(text))
    }
}

impl Ranged for Bytes {
    fn written(&self) -> String {
        let fits = |(_, bytes): &&(&str, usize)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        match SIZES.iter().find(fits) {
            Some((unit, bytes)) => format!("{} {unit}", self.0 / bytes),
            None => format!("{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: Leaf>(text: &str) -> Result<T, String> {
        T::read(DeValue::parse(text).unwrap().get_ref())
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
        fn durations_read_what_they_write(millis in 0u64..1 << 50) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&time.written()), Some(time));
        }

        #[test]
        fn sizes_read_what_they_write(size in 0usize..1 << 50) {
            prop_assert_eq!(read::<Bytes>(&format!("'{}'", Bytes(size).written())), Ok(Bytes(size)));
        }

        #[test]
        fn any_text_is_a_duration_or_not(text: String) {
            let _ = duration(&text);
        }
    }
}
