//! Timestamps of syslog senders: RFC 3339 and variants, the `Nov 21 19:49:37` of RFC 3164, and
//! seconds since 1970.
//!
//! The parser is our own because no crate reads these variants, infers the missing year and zone,
//! and caches the last minute of a sender, which makes the common case a comparison of 12 bytes.

use jiff::tz::TimeZone;
use rollcall_identity::{Precision, Timestamp};

const DAY: i64 = 24 * 3600 * 1000;

/// A time and its precision.
pub type TimeWithPrecision = (Timestamp, Precision);

/// The clock of one sender: its time zone and the last minute it wrote.
///
/// RFC 3164 has no year and no zone. The year nearest to the time of arrival is used. A busy sender
/// writes the same minute thousands of times, so that the last one is cached: parsing it again is a
/// comparison of 12 bytes.
#[derive(Debug, Clone)]
pub struct SenderClock {
    zone: TimeZone,
    minute: [u8; 12],
    begins: Option<i64>,
}

/// A date and time before the zone is applied.
#[derive(Debug, Clone, Copy)]
struct LocalTime {
    year: i16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    fraction: Fraction,
}

/// Milliseconds, if at least three digits were written. Fewer digits are less precise than a
/// millisecond and are dropped.
type Fraction = Option<u16>;

impl SenderClock {
    /// The clock of a sender in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, minute: [0; 12], begins: None }
    }

    /// Parses a date and time at the beginning of `text` in any form that starts a syslog line.
    /// Returns the time and the number of bytes.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        seen: Timestamp,
    ) -> Option<(TimeWithPrecision, usize)> {
        match text.first()? {
            b'0'..=b'9' => read_iso(text, &self.zone, seen),
            b'A'..=b'Z' => self.read_bsd(text, seen),
            // Cisco IOS marks a clock that is not synchronized.
            b'*' | b'.' => self.read_bsd(&text[1..], seen).map(|(at, length)| (at, length + 1)),
            _ => None,
        }
    }

    /// `Mmm dd [yyyy] hh:mm:ss[.fff] [yyyy] [UTC]` (RFC 3164 section 4.1.2, with Cisco extensions).
    fn read_bsd(&mut self, text: &[u8], seen: Timestamp) -> Option<(TimeWithPrecision, usize)> {
        if let (Some(begins), Some(seconds)) = (self.begins, text.get(12..16))
            && text[..12] == self.minute
            && seconds[0] == b':'
            && seconds[3] == b' '
            && (begins - seen.millis()).abs() < 150 * DAY
            && let Some(second) = number(&seconds[1..3]).filter(|s| *s <= 60)
            && !begins_with_year(&text[16..])
            && !begins_with_utc(&text[15..])
        {
            let millis = begins + i64::from(second) * 1000;
            return Some(((Timestamp::from_millis(millis), Precision::Second), 15));
        }
        self.read_bsd_slowly(text, seen)
    }

    fn read_bsd_slowly(
        &mut self,
        text: &[u8],
        seen: Timestamp,
    ) -> Option<(TimeWithPrecision, usize)> {
        let month = month(text.get(..3)?)?;
        let mut at = 3;
        at += spaces(&text[at..]).filter(|n| *n > 0)?;
        let day_digits = digits(&text[at..]);
        let day = number(text[at..].get(..day_digits.min(2))?)?;
        at += day_digits;
        at += spaces(&text[at..]).filter(|n| *n > 0)?;
        let mut year = None;
        if begins_with_year(&text[at..]) {
            year = number(&text[at..at + 4]);
            at += 5;
        }
        let (hour, minute, second, length) = clock_time(text.get(at..)?)?;
        at += length;
        let (fraction, length) = fraction(&text[at..]);
        at += length;
        if year.is_none() && text.get(at) == Some(&b' ') && begins_with_year(&text[at + 1..]) {
            year = number(&text[at + 1..at + 5]);
            at += 5;
        }
        let utc = begins_with_utc(&text[at..]);
        at += if utc { 4 } else { 0 };
        let zone = if utc { TimeZone::UTC } else { self.zone.clone() };
        let (month, day) = (month, u8::try_from(day).ok()?);
        let written = |year| LocalTime { year, month, day, hour, minute, second, fraction };
        let moment = match year {
            Some(year) => written(i16::try_from(year).ok()?).in_zone(&zone, seen)?,
            None => self.nearest_year(written, &zone, seen)?,
        };
        if at == 15 && year.is_none() && fraction.is_none() {
            self.keep(&text[..12], moment.0, second);
        }
        Some((moment, at))
    }

    fn nearest_year(
        &self,
        written: impl Fn(i16) -> LocalTime,
        zone: &TimeZone,
        seen: Timestamp,
    ) -> Option<TimeWithPrecision> {
        let this_year = jiff::Timestamp::from(seen).to_zoned(zone.clone()).year();
        (this_year - 1..=this_year + 1)
            .filter_map(|year| written(year).in_zone(zone, seen))
            .min_by_key(|(at, _)| (at.millis() - seen.millis()).abs())
    }

    /// Caches the minute, unless it is ambiguous because the clock is set back.
    fn keep(&mut self, minute: &[u8], at: Timestamp, second: u8) {
        let begins = at.millis() - i64::from(second) * 1000;
        let local = jiff::Timestamp::from(at).to_zoned(self.zone.clone()).datetime();
        self.begins = (!self.zone.to_ambiguous_timestamp(local).is_ambiguous()).then_some(begins);
        self.minute.copy_from_slice(minute);
    }
}

/// Parses the whole of `text` as a time: RFC 3339 variants, or a number of seconds, milliseconds,
/// microseconds or nanoseconds since 1970.
pub(super) fn read_whole(
    text: &[u8],
    zone: &TimeZone,
    seen: Timestamp,
) -> Option<TimeWithPrecision> {
    let text = text.trim_ascii();
    if text.iter().all(u8::is_ascii_digit) {
        let count: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        return match text.len() {
            9..=10 => Some((Timestamp::from_millis(count * 1000), Precision::Second)),
            12..=13 => Some((Timestamp::from_millis(count), Precision::Millisecond)),
            15..=16 => Some((Timestamp::from_millis(count / 1_000), Precision::Millisecond)),
            18..=19 => Some((Timestamp::from_millis(count / 1_000_000), Precision::Millisecond)),
            _ => None,
        };
    }
    let (moment, length) = match text.first()? {
        b'A'..=b'Z' => SenderClock::new(zone.clone()).read_bsd(text, seen)?,
        _ => read_iso(text, zone, seen)?,
    };
    (length == text.len()).then_some(moment)
}

/// Whether `text` begins with an RFC 5424 timestamp.
pub(super) fn looks_like_iso(text: &[u8]) -> bool {
    text.get(..11).is_some_and(|t| digits(t) == 4 && t[4] == b'-' && t[7] == b'-' && t[10] == b'T')
}

/// `yyyy-mm-dd` and `hh:mm:ss` separated by `T` or a space, `/` for `-`, `,` for `.`, and an
/// optional offset `Z`, `+hh:mm`, `+hhmm`, also after a space.
fn read_iso(text: &[u8], zone: &TimeZone, seen: Timestamp) -> Option<(TimeWithPrecision, usize)> {
    let date = text.get(..11)?;
    let separators = (date[4], date[7]);
    if !matches!(separators, (b'-', b'-') | (b'/', b'/')) || !matches!(date[10], b'T' | b't' | b' ')
    {
        return None;
    }
    let (hour, minute, second, length) = clock_time(&text[11..])?;
    let mut at = 11 + length;
    let (fraction, length) = fraction(&text[at..]);
    at += length;
    let written = LocalTime {
        year: i16::try_from(number(&date[..4])?).ok()?,
        month: u8::try_from(number(&date[5..7])?).ok()?,
        day: u8::try_from(number(&date[8..10])?).ok()?,
        hour,
        minute,
        second,
        fraction,
    };
    match offset(&text[at..]) {
        Some((minutes, length)) => {
            let local = written.as_if_utc()?;
            let millis = local - i64::from(minutes) * 60_000;
            Some(((Timestamp::from_millis(millis), written.precision()), at + length))
        }
        None => Some((written.in_zone(zone, seen)?, at)),
    }
}

impl LocalTime {
    fn precision(&self) -> Precision {
        if self.fraction.is_some() { Precision::Millisecond } else { Precision::Second }
    }

    /// Milliseconds since 1970 in UTC; `None` for an invalid date. Days are counted in eras of 400
    /// years that begin in March, so that a leap day ends its year.
    fn as_if_utc(&self) -> Option<i64> {
        const LENGTHS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *LENGTHS.get(usize::from(self.month).checked_sub(1)?)?;
        let year = i64::from(self.year);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if self.month == 2 && !leap { 28 } else { length };
        if self.day == 0 || self.day > length {
            return None;
        }
        let from_march = (i64::from(self.month) + 9) % 12;
        let year = if self.month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(days * DAY + seconds * 1000 + i64::from(self.fraction.unwrap_or(0)))
    }

    /// The time for this local time in `zone`. Of an ambiguous local time, the one nearer to
    /// `seen`; a skipped local time continues the clock before the gap.
    fn in_zone(&self, zone: &TimeZone, seen: Timestamp) -> Option<TimeWithPrecision> {
        self.as_if_utc()?;
        let date =
            jiff::civil::Date::new(self.year, month_i8(self.month), month_i8(self.day)).ok()?;
        let local = date.at(month_i8(self.hour), month_i8(self.minute), 0, 0);
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let sides = if ambiguous.is_ambiguous() {
            [ambiguous.earlier().ok()?, ambiguous.later().ok()?]
        } else {
            [ambiguous.compatible().ok()?; 2]
        };
        let millis = sides
            .map(|at| at.as_millisecond())
            .into_iter()
            .min_by_key(|at| (at - seen.millis()).abs())?;
        let millis = millis + i64::from(self.second) * 1000 + i64::from(self.fraction.unwrap_or(0));
        Some((Timestamp::from_millis(millis), self.precision()))
    }
}

/// Two-digit numbers fit; the caller has checked the range.
fn month_i8(value: u8) -> i8 {
    i8::try_from(value).unwrap_or(i8::MAX)
}

fn month(name: &[u8]) -> Option<u8> {
    const NAMES: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
    let index = NAMES.chunks(3).position(|known| known.eq_ignore_ascii_case(name))?;
    u8::try_from(index + 1).ok()
}

/// `hh:mm:ss` and its length. A leap second becomes the next second.
fn clock_time(text: &[u8]) -> Option<(u8, u8, u8, usize)> {
    let text = text.get(..8)?;
    let part = |at: usize, most: u32| {
        number(&text[at..at + 2]).filter(|n| *n <= most).and_then(|n| u8::try_from(n).ok())
    };
    if text[2] != b':' || text[5] != b':' {
        return None;
    }
    Some((part(0, 23)?, part(3, 59)?, part(6, 60)?, 8))
}

/// `.123456` or `,123`, and its length; none without a digit.
fn fraction(text: &[u8]) -> (Fraction, usize) {
    if !matches!(text.first(), Some(b'.' | b',')) {
        return (None, 0);
    }
    match digits(&text[1..]) {
        0 => (None, 0),
        count => {
            let millis = (count >= 3).then(|| number(&text[1..4])).flatten();
            (millis.and_then(|m| u16::try_from(m).ok()), count + 1)
        }
    }
}

/// The offset in minutes east of UTC, and its length.
fn offset(text: &[u8]) -> Option<(i32, usize)> {
    let space =
        usize::from(text.first() == Some(&b' ') && matches!(text.get(1), Some(b'+' | b'-')));
    let text = &text[space..];
    let sign = match text.first()? {
        b'Z' | b'z' if !text.get(1).is_some_and(u8::is_ascii_alphanumeric) => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = number(text.get(1..3)?).filter(|h| *h < 24)?;
    let (minutes, length) = match text.get(3) {
        Some(b':') => (number(text.get(4..6)?)?, 6),
        Some(b'0'..=b'9') => (number(text.get(3..5)?)?, 5),
        _ => (0, 3),
    };
    let minutes = i32::try_from(hours * 60 + minutes).ok().filter(|_| minutes < 60)?;
    Some((sign * minutes, space + length))
}

/// A year with a valid terminator, so that a host named `2026` is not a year.
fn begins_with_year(text: &[u8]) -> bool {
    matches!(text, [b'1' | b'2', b'9' | b'0', rest @ ..]
        if digits(rest) == 2 && matches!(rest.get(2), None | Some(b' ' | b':')))
}

/// ` UTC` or ` GMT`, not as the beginning of a host name.
fn begins_with_utc(text: &[u8]) -> bool {
    matches!(text.get(..4), Some(b" UTC" | b" GMT"))
        && matches!(text.get(4), None | Some(b' ' | b':'))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn spaces(text: &[u8]) -> Option<usize> {
    Some(text.iter().take_while(|b| **b == b' ').count()).filter(|n| *n < text.len())
}

/// An unsigned decimal number; `None` for other text.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter()
        .try_fold(0, |n, byte| byte.is_ascii_digit().then(|| n * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(text: &str, zone: &str, seen: &str) -> Option<(String, Precision, usize)> {
        let zone = TimeZone::get(zone).unwrap();
        let mut clock = SenderClock::new(zone);
        let first = clock.read(text.as_bytes(), at(seen));
        assert_eq!(first, clock.read(text.as_bytes(), at(seen)), "the kept minute differs");
        first.map(|((at, precision), length)| (at.to_string(), precision, length))
    }

    #[test]
    fn forms_in_the_wild() {
        use Precision::{Millisecond, Second};
        let seen = "2026-11-21T20:00:00Z";
        for (text, wanted, precision, length) in [
            ("2026-11-21T19:50:32.308527+00:00 h", "2026-11-21T19:50:32.308Z", Millisecond, 32),
            ("2026-11-21T19:51:08+01:00 h", "2026-11-21T18:51:08Z", Second, 25),
            ("2026-11-21T19:51:08Z h", "2026-11-21T19:51:08Z", Second, 20),
            ("2026-11-21T19:50:32.353816+0000", "2026-11-21T19:50:32.353Z", Millisecond, 31),
            ("2016-04-29 04:27:31,823  110", "2016-04-29T04:27:31.823Z", Millisecond, 23),
            ("2020-04-27 11:11:47.02 -08:00", "2020-04-27T19:11:47Z", Second, 29),
            ("2021/03/24 11:30:00,0131", "2021-03-24T11:30:00.013Z", Millisecond, 24),
            ("Nov 21 19:49:37 vm", "2026-11-21T19:49:37Z", Second, 15),
            ("Nov  1 19:49:37 vm", "2026-11-01T19:49:37Z", Second, 15),
            ("Mar 3 11:37:34 vm", "2027-03-03T11:37:34Z", Second, 14),
            ("Nov 21 2026 19:51:08: %ASA", "2026-11-21T19:51:08Z", Second, 20),
            ("Nov 21 19:51:08 2025 h", "2025-11-21T19:51:08Z", Second, 20),
            ("*Nov 21 19:51:08.123 UTC: x", "2026-11-21T19:51:08.123Z", Millisecond, 24),
            ("Dec 31 23:59:59 vm", "2026-12-31T23:59:59Z", Second, 15),
            ("Jan  1 00:00:00 vm", "2027-01-01T00:00:00Z", Second, 15),
        ] {
            assert_eq!(
                read(text, "UTC", seen),
                Some((wanted.to_owned(), precision, length)),
                "{text}"
            );
        }
        for text in [
            "2026-02-30T00:00:00Z",
            "Feb 30 00:00:00 x",
            "Nov 21 24:00:00 x",
            "Nope 21",
            "Nov 21 2026",
            "",
        ] {
            assert_eq!(read(text, "UTC", seen), None, "{text}");
        }
    }

    #[test]
    fn truncated_time_is_handled() {
        let seen = at("2026-11-21T20:00:00Z");
        for text in [
            "*Nov 21 2026 19:51:08.123456 UTC",
            "Nov 21 19:51:08.123 2025 GMT",
            "2026-11-21T19:50:32.308527+00:00",
            "2020-04-27 11:11:47.02 -08:00",
        ] {
            for length in 0..text.len() {
                SenderClock::new(TimeZone::UTC).read(&text.as_bytes()[..length], seen);
                read_whole(&text.as_bytes()[..length], &TimeZone::UTC, seen);
            }
        }
    }

    #[test]
    fn new_year_and_leap_day_use_the_nearest_year() {
        let read = |text, seen| read(text, "UTC", seen).unwrap().0;
        assert_eq!(read("Dec 31 23:59:58 h", "2027-01-01T00:00:01Z"), "2026-12-31T23:59:58Z");
        assert_eq!(read("Jan  1 00:00:02 h", "2026-12-31T23:59:59Z"), "2027-01-01T00:00:02Z");
        assert_eq!(read("Feb 29 12:00:00 h", "2029-01-01T00:00:00Z"), "2028-02-29T12:00:00Z");
    }

    #[test]
    fn ambiguous_hour_is_the_nearer_one() {
        let zone = "Europe/Prague";
        let text = "Oct 25 02:30:00 h";
        let (first, _, _) = read(text, zone, "2026-10-25T00:30:01Z").unwrap();
        let (second, _, _) = read(text, zone, "2026-10-25T01:30:01Z").unwrap();
        assert_eq!((&*first, &*second), ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"));
    }

    #[test]
    fn numbers_since_1970() {
        let seen = at("2026-11-21T20:00:00Z");
        for text in ["1764000000", "1764000000123", "1764000000123456", "1764000000123456789"] {
            let (moment, _) = read_whole(text.as_bytes(), &TimeZone::UTC, seen).unwrap();
            assert_eq!(moment.millis() / 1000, 1_764_000_000, "{text}");
        }
        assert_eq!(read_whole(b"17640", &TimeZone::UTC, seen), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let seen = at("2026-11-21T20:00:00Z");
            SenderClock::new(TimeZone::UTC).read(&text, seen);
            read_whole(&text, &TimeZone::UTC, seen);
            looks_like_iso(&text);
        }

        #[test]
        fn cached_minute_equals_uncached_parsing(
            tails in proptest::collection::vec("[0-5]?[0-9](\\.[0-9]{1,4})?( 20[0-9]{2}| UTC| UTCfw| GMT:)? ?h?", 1..6),
            seen in 1_700_000_000_000_i64..1_900_000_000_000,
        ) {
            let zone = TimeZone::get("America/New_York").unwrap();
            let seen = Timestamp::from_millis(seen);
            let minute = jiff::Timestamp::from(seen).to_zoned(zone.clone()).strftime("%b %e %H:%M:");
            let mut keeping = SenderClock::new(zone.clone());
            for tail in tails {
                let text = format!("{minute}{tail}");
                let fresh = SenderClock::new(zone.clone()).read(text.as_bytes(), seen);
                prop_assert_eq!(keeping.read(text.as_bytes(), seen), fresh, "{}", text);
            }
        }

        #[test]
        fn agrees_with_jiff(millis in -2_000_000_000_000_i64..4_000_000_000_000) {
            let at = Timestamp::from_millis(millis);
            let text = jiff::Timestamp::from(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
            let read = read_whole(text.as_bytes(), &TimeZone::UTC, at);
            prop_assert_eq!(read, Some((at, Precision::Millisecond)));
        }
    }
}
