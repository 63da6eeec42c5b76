//! A typed value of an event: number, time, security identifier or text.

mod array;

use std::borrow::Cow;
use std::fmt;

pub use array::Array;

use super::error::BinXmlError;
use super::file_time::{CalendarTime, FileTime};
use super::sid::Sid;
use super::text::{Ansi, Utf16};
use super::token;
use crate::msrpc::Uuid;

/// A value, borrowed from the received bytes if its size is not fixed. `Display` follows MS-EVEN6
/// section 2.2.12.3, except that bytes have no spaces and times have all digits, as in Windows.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'r> {
    /// Null.
    #[default]
    Null,
    /// Text of the template, or concatenated values and texts.
    Text(Cow<'r, str>),
    /// StringType.
    String(Utf16<'r>),
    /// AnsiStringType.
    Ansi(Ansi<'r>),
    /// Int8Type to Int64Type.
    Signed(i64),
    /// UInt8Type to UInt64Type.
    Unsigned(u64),
    /// HexInt32Type, HexInt64Type, SizeTType: shown in base 16.
    Hex(u64),
    /// Real32Type.
    Real32(f32),
    /// Real64Type.
    Real64(f64),
    /// BoolType.
    Bool(bool),
    /// BinaryType.
    Binary(&'r [u8]),
    /// GuidType.
    Guid(Uuid),
    /// FileTimeType.
    FileTime(FileTime),
    /// SysTimeType.
    CalendarTime(CalendarTime),
    /// SidType.
    Sid(Sid<'r>),
    /// An array.
    Array(Array<'r>),
}

impl<'r> Value<'r> {
    /// Decodes the value of this type. An empty value is null, except for a string.
    ///
    /// # Errors
    /// [`BinXmlError::Kind`], [`BinXmlError::Length`].
    pub(super) fn read(kind: u8, bytes: &'r [u8]) -> Result<Self, BinXmlError> {
        if kind & token::ARRAY != 0 {
            return Array::read(kind & !token::ARRAY, bytes).map(Self::Array);
        }
        let known = matches!(kind, token::NULL..=token::HEX_INT64);
        if known && bytes.is_empty() && kind != token::STRING {
            return Ok(Self::Null);
        }
        let read = Self::scalar(kind, bytes);
        read.ok_or(match known {
            true => BinXmlError::Length { kind, length: bytes.len() },
            false => BinXmlError::Kind { kind },
        })
    }

    /// Decodes a single value; `None` when the length does not match or the type is not a single
    /// value.
    pub(super) fn scalar(kind: u8, bytes: &'r [u8]) -> Option<Self> {
        Some(match kind {
            token::NULL => Self::Null,
            token::STRING if bytes.len().is_multiple_of(2) => Self::String(Utf16::new(bytes)),
            token::ANSI_STRING => Self::Ansi(Ansi::new(bytes)),
            token::INT8 => Self::Signed(i8::from_le_bytes(exactly(bytes)?).into()),
            token::INT16 => Self::Signed(i16::from_le_bytes(exactly(bytes)?).into()),
            token::INT32 => Self::Signed(i32::from_le_bytes(exactly(bytes)?).into()),
            token::INT64 => Self::Signed(i64::from_le_bytes(exactly(bytes)?)),
            token::UINT8 => Self::Unsigned(u8::from_le_bytes(exactly(bytes)?).into()),
            token::UINT16 => Self::Unsigned(u16::from_le_bytes(exactly(bytes)?).into()),
            token::UINT32 => Self::Unsigned(u32::from_le_bytes(exactly(bytes)?).into()),
            token::UINT64 => Self::Unsigned(u64::from_le_bytes(exactly(bytes)?)),
            token::REAL32 => Self::Real32(f32::from_le_bytes(exactly(bytes)?)),
            token::REAL64 => Self::Real64(f64::from_le_bytes(exactly(bytes)?)),
            // The specification says one byte; all captured events have the four bytes of a BOOL.
            token::BOOL if matches!(bytes.len(), 1 | 4) => {
                Self::Bool(bytes.iter().any(|byte| *byte != 0))
            }
            token::BINARY => Self::Binary(bytes),
            token::GUID => Self::Guid(Uuid::from_wire(exactly(bytes)?)),
            // The pointer size of the server.
            token::SIZE_T if bytes.len() == 4 => Self::scalar(token::HEX_INT32, bytes)?,
            token::SIZE_T => Self::scalar(token::HEX_INT64, bytes)?,
            token::FILE_TIME => Self::FileTime(FileTime(u64::from_le_bytes(exactly(bytes)?))),
            token::SYSTEM_TIME => Self::CalendarTime(CalendarTime::from_wire(exactly(bytes)?)),
            token::SID => Self::Sid(Sid::new(bytes)?),
            token::HEX_INT32 => Self::Hex(u32::from_le_bytes(exactly(bytes)?).into()),
            token::HEX_INT64 => Self::Hex(u64::from_le_bytes(exactly(bytes)?)),
            _ => return None,
        })
    }

    /// Whether the value is null or an empty text.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::String(text) => text.is_empty(),
            Self::Ansi(text) => text.is_empty(),
            Self::Binary(bytes) => bytes.is_empty(),
            Self::Array(array) => array.items().next().is_none(),
            _ => false,
        }
    }

    /// As text; borrowed where possible.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::String(text) => Cow::Owned(text.to_text()),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// As text, consuming the value.
    pub fn into_text(self) -> Cow<'r, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => text,
            Self::String(text) => Cow::Owned(text.to_text()),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// A non-negative number, sent as a number or as text (`4624`, `0x3e7`).
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) | Self::Hex(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            Self::Text(text) => number(text),
            Self::String(text) => number(&text.to_text()),
            _ => None,
        }
    }

    /// The SID, if the value is one.
    pub const fn sid(&self) -> Option<Sid<'r>> {
        match self {
            Self::Sid(sid) => Some(*sid),
            _ => None,
        }
    }

    /// The GUID, if the value is one.
    pub const fn guid(&self) -> Option<Uuid> {
        match self {
            Self::Guid(guid) => Some(*guid),
            _ => None,
        }
    }

    /// A time, sent as a time or as text.
    pub fn file_time(&self) -> Option<FileTime> {
        match self {
            Self::FileTime(time) => Some(*time),
            Self::CalendarTime(time) => Option::from(*time),
            Self::Text(text) => text.parse().ok(),
            Self::String(text) => text.to_text().parse().ok(),
            _ => None,
        }
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::String(text) => text.fmt(f),
            Self::Ansi(text) => text.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Hex(number) => write!(f, "{number:#x}"),
            Self::Real32(number) => number.fmt(f),
            Self::Real64(number) => number.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
            Self::Binary(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}")),
            Self::Guid(guid) => write!(f, "{{{guid}}}"),
            Self::FileTime(time) => time.fmt(f),
            Self::CalendarTime(time) => time.fmt(f),
            Self::Sid(sid) => sid.fmt(f),
            Self::Array(array) => array.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: u8, bytes: &[u8]) -> String {
        Value::read(kind, bytes)
            .map(|value| value.to_string())
            .unwrap_or_else(|why| why.to_string())
    }

    #[test]
    fn every_type_is_displayed_as_specified() {
        let guid = *b"\x34\x12\xcd\xab\x02\0\x03\0\x80\x01\x02\x03\x04\x05\x06\x07";
        for (kind, bytes, wanted) in [
            (token::NULL, &b""[..], ""),
            (token::STRING, b"a\0b\0\0\0", "ab"),
            (token::STRING, b"", ""),
            (token::ANSI_STRING, b"ab\0", "ab"),
            (token::INT8, b"\xff", "-1"),
            (token::UINT8, b"\xff", "255"),
            (token::INT16, b"\xfe\xff", "-2"),
            (token::UINT16, b"\x10\x12", "4624"),
            (token::INT32, b"\xfd\xff\xff\xff", "-3"),
            (token::UINT32, b"\0\0\0\x80", "2147483648"),
            (token::INT64, b"\xfc\xff\xff\xff\xff\xff\xff\xff", "-4"),
            (token::UINT64, b"\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (token::REAL32, b"\0\0\x40\xc0", "-3"),
            (token::REAL64, b"\0\0\0\0\0\0\xe0\x3f", "0.5"),
            (token::BOOL, b"\x01\0\0\0", "true"),
            (token::BOOL, b"\0", "false"),
            (token::BINARY, b"\xde\xad\x01", "DEAD01"),
            (token::GUID, &guid, "{abcd1234-0002-0003-8001-020304050607}"),
            (token::SIZE_T, b"\x12\0\0\0", "0x12"),
            (token::SIZE_T, b"\x12\0\0\0\0\0\0\0", "0x12"),
            (token::FILE_TIME, b"\0\x80\x3e\xd5\xde\xb1\x9d\x01", "1970-01-01T00:00:00.0000000Z"),
            (token::SID, b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0", "S-1-5-18"),
            (token::HEX_INT32, b"\x6d\0\0\xc0", "0xc000006d"),
            (token::HEX_INT64, b"\xe7\x03\0\0\0\0\0\0", "0x3e7"),
        ] {
            assert_eq!(shown(kind, bytes), wanted, "type 0x{kind:02x}");
        }
    }

    #[test]
    fn wrong_length_is_an_error_and_an_empty_value_is_null() {
        for kind in token::INT8..=token::HEX_INT64 {
            assert_eq!(Value::read(kind, b""), Ok(Value::Null), "type 0x{kind:02x}");
            if kind != token::BINARY {
                let wrong = Err(BinXmlError::Length { kind, length: 3 });
                assert_eq!(Value::read(kind, b"\x01\x01\x01"), wrong, "type 0x{kind:02x}");
            }
        }
        assert_eq!(shown(token::STRING, b"a"), "a value of type 0x01 is 1 bytes long");
        assert_eq!(Value::read(0x22, b""), Err(BinXmlError::Kind { kind: 0x22 }));
        assert_eq!(shown(0x7f, b"ab"), "a value has the unknown type 0x7f");
    }

    #[test]
    fn numbers_and_times_are_read_from_text_too() {
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
        assert_eq!(text("4624").unsigned(), Some(4624));
        assert_eq!(text("0x3e7").unsigned(), Some(999));
        assert_eq!(Value::read(token::STRING, b"0\0X\0f\0").unwrap().unsigned(), Some(15));
        assert_eq!(Value::Signed(-1).unsigned(), None);
        assert_eq!(text("-").unsigned(), None);
        assert_eq!(
            text("1970-01-01T00:00:00Z").file_time(),
            Some(FileTime(116_444_736_000_000_000))
        );
        assert_eq!(Value::Null.file_time(), None);
        assert!(Value::Null.sid().is_none() && Value::Null.guid().is_none());
    }
}
