//! A value as received, checked when it is received and decoded on access.

use super::error::BinXmlError;
use super::file_time::FileTime;
use super::sid::Sid;
use super::text::{Ansi, Utf16};
use super::token;
use super::value::{Array, Value};
use crate::msrpc::Uuid;

/// Text of a template, or the type and bytes of a value.
#[derive(Debug, Clone, Copy)]
pub(in crate::event_log) enum RawValue<'r> {
    Text(&'r str),
    Bytes { kind: u8, bytes: &'r [u8] },
}

impl<'r> RawValue<'r> {
    pub(in crate::event_log) const NULL: Self = Self::Bytes { kind: token::NULL, bytes: &[] };

    /// Checks the bytes of a value of this type.
    ///
    /// # Errors
    /// Those of [`Value::read`].
    #[inline(always)]
    pub(super) fn of(kind: u8, bytes: &'r [u8]) -> Result<Self, BinXmlError> {
        if !is_readable(kind, bytes) {
            check(kind, bytes)?;
        }
        Ok(Self::Bytes { kind, bytes })
    }

    /// Received UTF-16.
    pub(super) const fn string(bytes: &'r [u8]) -> Self {
        Self::Bytes { kind: token::STRING, bytes }
    }

    /// Decodes the value.
    pub(in crate::event_log) fn value(self) -> Value<'r> {
        match self {
            Self::Text(text) => Value::Text(text.into()),
            Self::Bytes { kind, bytes } => Value::read(kind, bytes).unwrap_or_default(),
        }
    }

    /// The array, when the value is one.
    pub(in crate::event_log) fn array(self) -> Option<Array<'r>> {
        match self {
            Self::Bytes { kind, bytes } if kind & token::ARRAY != 0 => {
                Array::read(kind & !token::ARRAY, bytes).ok()
            }
            _ => None,
        }
    }

    /// The items of `array`, not decoded.
    pub(in crate::event_log) fn items(array: Array<'r>) -> impl Iterator<Item = Self> {
        array.parts().map(move |bytes| Self::Bytes { kind: array.kind(), bytes })
    }

    /// Whether the value is null or an empty text.
    pub(in crate::event_log) fn is_empty(self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Bytes { kind: token::NULL, .. } => true,
            Self::Bytes { kind: token::STRING, bytes } => Utf16::new(bytes).is_empty(),
            Self::Bytes { kind: token::ANSI_STRING, bytes } => Ansi::new(bytes).is_empty(),
            Self::Bytes { bytes, .. } => bytes.is_empty(),
        }
    }
}

/// Checks any type. Not inlined, so that the common case in the caller stays in registers.
#[cold]
#[inline(never)]
fn check(kind: u8, bytes: &[u8]) -> Result<(), BinXmlError> {
    Value::read(kind, bytes).map(drop)
}

/// A fast check for the common types.
#[inline]
fn is_readable(kind: u8, bytes: &[u8]) -> bool {
    match kind {
        token::STRING => bytes.len().is_multiple_of(2),
        token::NULL | token::ANSI_STRING | token::BINARY => true,
        token::INT8 | token::UINT8 => bytes.len() == 1,
        token::INT16 | token::UINT16 => bytes.len() == 2,
        token::INT32 | token::UINT32 | token::HEX_INT32 | token::BOOL => bytes.len() == 4,
        token::INT64 | token::UINT64 | token::HEX_INT64 | token::FILE_TIME => bytes.len() == 8,
        token::GUID => bytes.len() == 16,
        token::SID => Sid::new(bytes).is_some(),
        _ => false,
    }
}

/// Typed access to a value, decoded or not.
pub(in crate::event_log) trait ValueAccess<'r>: Sized {
    /// The decoded value.
    fn into_value(self) -> Value<'r>;

    /// [`Value::unsigned`].
    fn unsigned(&self) -> Option<u64>;

    /// [`Value::file_time`].
    fn file_time(&self) -> Option<FileTime>;

    /// [`Value::guid`].
    fn guid(&self) -> Option<Uuid>;

    /// [`Value::sid`].
    fn sid(&self) -> Option<Sid<'r>>;
}

impl<'r> ValueAccess<'r> for Value<'r> {
    fn into_value(self) -> Self {
        self
    }

    fn unsigned(&self) -> Option<u64> {
        Value::unsigned(self)
    }

    fn file_time(&self) -> Option<FileTime> {
        Value::file_time(self)
    }

    fn guid(&self) -> Option<Uuid> {
        Value::guid(self)
    }

    fn sid(&self) -> Option<Sid<'r>> {
        Value::sid(self)
    }
}

impl<'r> ValueAccess<'r> for RawValue<'r> {
    fn into_value(self) -> Value<'r> {
        self.value()
    }

    #[inline]
    fn unsigned(&self) -> Option<u64> {
        match *self {
            Self::Bytes { kind: token::UINT8, bytes: &[byte] } => Some(byte.into()),
            Self::Bytes { kind: token::UINT16, bytes: &[low, high] } => {
                Some(u16::from_le_bytes([low, high]).into())
            }
            Self::Bytes { kind: token::UINT32, bytes } if let Ok(bytes) = bytes.try_into() => {
                Some(u32::from_le_bytes(bytes).into())
            }
            Self::Bytes { kind: token::UINT64 | token::HEX_INT64, bytes }
                if let Ok(bytes) = bytes.try_into() =>
            {
                Some(u64::from_le_bytes(bytes))
            }
            other => other.value().unsigned(),
        }
    }

    fn file_time(&self) -> Option<FileTime> {
        match *self {
            Self::Bytes { kind: token::FILE_TIME, bytes } if let Ok(bytes) = bytes.try_into() => {
                Some(FileTime(u64::from_le_bytes(bytes)))
            }
            other => other.value().file_time(),
        }
    }

    fn guid(&self) -> Option<Uuid> {
        match *self {
            Self::Bytes { kind: token::GUID, bytes } => bytes.try_into().ok().map(Uuid::from_wire),
            _ => None,
        }
    }

    fn sid(&self) -> Option<Sid<'r>> {
        match *self {
            Self::Bytes { kind: token::SID, bytes } => Sid::new(bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn lazy_decoding_equals_eager_decoding(
            kind in prop_oneof![0_u8..0x17, any::<u8>()],
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..20),
                proptest::collection::vec(Just(0_u8), 0..20),
                Just(b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0".to_vec()),
                Just(b"4\x006\0\0\0".to_vec()),
            ],
        ) {
            let at_once = Value::read(kind, &bytes);
            let late = RawValue::of(kind, &bytes);
            prop_assert_eq!(late.map(RawValue::value), at_once.clone());
            if let (Ok(raw), Ok(value)) = (late, at_once) {
                prop_assert_eq!(raw.is_empty(), value.is_empty());
                prop_assert_eq!(raw.unsigned(), value.unsigned());
                prop_assert_eq!(raw.file_time(), value.file_time());
                prop_assert_eq!((raw.guid(), raw.sid()), (value.guid(), value.sid()));
                let is_array = matches!(value, Value::Array(_));
                prop_assert_eq!(raw.array().is_some(), is_array);
            }
        }
    }
}
