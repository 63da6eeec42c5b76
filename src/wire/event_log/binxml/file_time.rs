//! Windows time formats: FILETIME (100 ns since 1601) and SYSTEMTIME (16 bytes).

use std::fmt;
use std::str::FromStr;

use rollcall_identity::Timestamp;

/// A FILETIME (MS-DTYP section 2.3.3): 100 ns since 1601-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime(pub u64);

impl FileTime {
    /// 1970-01-01T00:00:00Z.
    const EPOCH: i128 = 116_444_736_000_000_000;

    fn nanoseconds(self) -> i128 {
        (i128::from(self.0) - Self::EPOCH) * 100
    }
}

impl From<FileTime> for Timestamp {
    /// Truncates to the millisecond.
    fn from(time: FileTime) -> Self {
        let millis = time.nanoseconds().div_euclid(1_000_000);
        Self::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl FromStr for FileTime {
    type Err = jiff::Error;

    /// Parses RFC 3339. A time before 1601 becomes 1601.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at: jiff::Timestamp = text.parse()?;
        let ticks = at.as_nanosecond().div_euclid(100) + Self::EPOCH;
        Ok(Self(u64::try_from(ticks).unwrap_or_default()))
    }
}

impl fmt::Display for FileTime {
    /// RFC 3339 with seven fractional digits, as the Windows Event Viewer shows it; the plain
    /// number for years with five digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(self.nanoseconds()) {
            Ok(at) => write!(f, "{at:.7}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// A SYSTEMTIME (MS-DTYP section 2.3.13): year, month, day of the week, day, hour, minute, second,
/// millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CalendarTime([u16; 8]);

impl CalendarTime {
    pub(super) fn from_wire(bytes: [u8; 16]) -> Self {
        let mut parts = [0; 8];
        for (part, pair) in parts.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *part = u16::from_le_bytes(*pair);
        }
        Self(parts)
    }
}

impl From<CalendarTime> for Option<FileTime> {
    /// `None` when the fields are not a valid date.
    fn from(time: CalendarTime) -> Self {
        time.to_string().parse().ok()
    }
}

impl fmt::Display for CalendarTime {
    /// Formatted like a [`FileTime`], even if it is not a valid date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, _, day, hour, minute, second, milli] = self.0;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write!(f, ".{milli:03}0000Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_time_is_converted() {
        let time = FileTime(131_124_722_916_815_840);
        assert_eq!(time.to_string(), "2016-07-08T17:24:51.6815840Z");
        assert_eq!(Timestamp::from(time).to_string(), "2016-07-08T17:24:51.681Z");
        assert_eq!("2016-07-08T17:24:51.681584Z".parse::<FileTime>().unwrap(), time);
        assert_eq!(FileTime(0).to_string(), "1601-01-01T00:00:00.0000000Z");
        assert_eq!("1500-01-01T00:00:00Z".parse::<FileTime>().unwrap(), FileTime(0));
        // 100 ns before 1970 belong to the millisecond before.
        assert_eq!(Timestamp::from(FileTime(116_444_735_999_999_999)).millis(), -1);
    }

    #[test]
    fn out_of_range_time_is_handled() {
        assert_eq!(FileTime(u64::MAX).to_string(), u64::MAX.to_string());
        assert_eq!(Timestamp::from(FileTime(u64::MAX)), Timestamp::from_millis(i64::MAX));
    }

    #[test]
    fn system_time_is_a_date_or_none() {
        let wire = *b"\xe0\x07\x07\0\x05\0\x08\0\x11\0\x18\0\x33\0\xa9\x02";
        let time = CalendarTime::from_wire(wire);
        assert_eq!(time.to_string(), "2016-07-08T17:24:51.6810000Z");
        assert_eq!(Option::from(time), Some(FileTime(131_124_722_916_810_000)));
        let none = CalendarTime::from_wire([0; 16]);
        assert_eq!(
            (none.to_string(), Option::<FileTime>::from(none)),
            ("0000-00-00T00:00:00.0000000Z".to_owned(), None)
        );
    }
}
