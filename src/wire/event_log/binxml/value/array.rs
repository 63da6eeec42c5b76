//! Array values (MS-EVEN6 section 3.1.4.7.5).

use std::fmt;

use super::Value;
use crate::event_log::binxml::error::BinXmlError;
use crate::event_log::binxml::sid::Sid;
use crate::event_log::binxml::token;

/// An array whose items have been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Array<'r> {
    kind: u8,
    bytes: &'r [u8],
}

impl<'r> Array<'r> {
    /// Checks the bytes of an array.
    ///
    /// # Errors
    /// [`BinXmlError::Kind`] when there is no array of this type, [`BinXmlError::Length`] when the
    /// bytes end within an item.
    pub(in crate::event_log) fn read(kind: u8, bytes: &'r [u8]) -> Result<Self, BinXmlError> {
        let whole = match kind {
            token::STRING => bytes.len().is_multiple_of(2),
            token::ANSI_STRING => true,
            token::SID => {
                let mut rest = bytes;
                while let Some((_, after)) = Sid::split(rest) {
                    rest = after;
                }
                rest.is_empty()
            }
            _ => match width(kind, bytes.len()) {
                Some(width) => bytes.len().is_multiple_of(width),
                None => return Err(BinXmlError::Kind { kind: kind | token::ARRAY }),
            },
        };
        match whole {
            true => Ok(Self { kind, bytes }),
            false => Err(BinXmlError::Length { kind: kind | token::ARRAY, length: bytes.len() }),
        }
    }

    /// Its items, in order.
    pub fn items(self) -> impl Iterator<Item = Value<'r>> {
        self.parts().map(move |bytes| Value::read(self.kind, bytes).unwrap_or_default())
    }

    /// The type of the items.
    pub(in crate::event_log) const fn kind(self) -> u8 {
        self.kind
    }

    /// The bytes of each item, in order.
    pub(in crate::event_log) fn parts(self) -> impl Iterator<Item = &'r [u8]> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (bytes, after) = self.first(rest);
            rest = after;
            Some(bytes)
        })
    }

    /// The bytes of the first item, and the remaining bytes. Strings are terminated by NUL, which
    /// the last one may lack.
    fn first(self, bytes: &'r [u8]) -> (&'r [u8], &'r [u8]) {
        let (end, after) = match self.kind {
            token::STRING => {
                let units = bytes.as_chunks::<2>().0;
                let end = units.iter().position(|unit| *unit == [0, 0]);
                end.map_or((bytes.len(), bytes.len()), |end| (2 * end, 2 * end + 2))
            }
            token::ANSI_STRING => {
                let end = memchr::memchr(0, bytes);
                end.map_or((bytes.len(), bytes.len()), |end| (end, end + 1))
            }
            token::SID => {
                let after = Sid::split(bytes).map_or(0, |(_, after)| after.len());
                (bytes.len() - after, bytes.len() - after)
            }
            kind => {
                let width = width(kind, self.bytes.len()).unwrap_or(bytes.len());
                (width, width)
            }
        };
        (&bytes[..end], &bytes[after..])
    }
}

/// The size in bytes of one item of a fixed-size type, in an array of `length` bytes. Pointers are
/// taken as 64-bit where the length allows it.
const fn width(kind: u8, length: usize) -> Option<usize> {
    Some(match kind {
        token::INT8 | token::UINT8 => 1,
        token::INT16 | token::UINT16 => 2,
        token::INT32 | token::UINT32 | token::REAL32 | token::HEX_INT32 | token::BOOL => 4,
        token::INT64 | token::UINT64 | token::REAL64 | token::HEX_INT64 | token::FILE_TIME => 8,
        token::GUID | token::SYSTEM_TIME => 16,
        token::SIZE_T if length.is_multiple_of(8) => 8,
        token::SIZE_T => 4,
        _ => return None,
    })
}

impl fmt::Display for Array<'_> {
    /// The items separated by commas. In XML, the element is repeated for each item instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.items().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            item.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: u8, bytes: &[u8]) -> String {
        match Array::read(kind, bytes) {
            Ok(array) => array.to_string(),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn items_are_split_by_width_or_terminator() {
        let guids = [[0x11; 16], [0x22; 16]].concat();
        let sids = b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0\x01\x01\0\0\0\0\0\x05\x07\0\0\0";
        for (kind, bytes, wanted) in [
            (token::STRING, &b"a\0b\0\0\0\0\0c\0"[..], "ab,,c"),
            (token::ANSI_STRING, b"ab\0\0c\0", "ab,,c"),
            (token::INT8, b"\x01\xff", "1,-1"),
            (token::UINT8, b"ac", "97,99"),
            (token::UINT16, b"\x01\0\x02\0", "1,2"),
            (token::HEX_INT32, b"\x01\0\0\0\x10\0\0\0", "0x1,0x10"),
            (token::BOOL, b"\x01\0\0\0\0\0\0\0", "true,false"),
            (token::UINT64, &[0; 16], "0,0"),
            (token::SIZE_T, b"\x01\0\0\0\x02\0\0\0\x03\0\0\0", "0x1,0x2,0x3"),
            (token::SIZE_T, b"\x01\0\0\0\0\0\0\0", "0x1"),
            (
                token::GUID,
                &guids,
                "{11111111-1111-1111-1111-111111111111},{22222222-2222-2222-2222-222222222222}",
            ),
            (token::SID, sids, "S-1-5-18,S-1-5-7"),
            (token::UINT32, b"", ""),
        ] {
            assert_eq!(shown(kind, bytes), wanted, "type 0x{kind:02x}");
        }
    }

    #[test]
    fn partial_item_is_an_error() {
        assert_eq!(shown(token::UINT32, &[0; 6]), "a value of type 0x88 is 6 bytes long");
        assert_eq!(shown(token::STRING, &[0; 3]), "a value of type 0x81 is 3 bytes long");
        assert_eq!(shown(token::SID, &[1; 9]), "a value of type 0x93 is 9 bytes long");
        for kind in [token::NULL, token::BINARY, token::FRAGMENT, 0x7f] {
            assert_eq!(
                Array::read(kind, b""),
                Err(BinXmlError::Kind { kind: kind | token::ARRAY })
            );
        }
    }
}
