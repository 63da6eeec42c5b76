//! Text in UTF-16 or an ANSI code page, decoded in place.

use std::fmt::{self, Write};

/// Received UTF-16. An unpaired surrogate is decoded as U+FFFD. Trailing NULs are removed: some
/// providers count them, others do not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Utf16<'a>(&'a [u8]);

impl<'a> Utf16<'a> {
    /// From an even number of bytes; an odd last byte is ignored.
    pub(super) fn new(mut bytes: &'a [u8]) -> Self {
        if bytes.len() % 2 == 1 {
            bytes = &bytes[..bytes.len() - 1];
        }
        while let [rest @ .., 0, 0] = bytes {
            bytes = rest;
        }
        Self(bytes)
    }

    /// The characters.
    pub fn chars(self) -> impl Iterator<Item = char> + 'a {
        let (units, _) = self.0.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The bytes as received.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the text is empty.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// As an owned string.
    pub fn to_text(self) -> String {
        let (units, _) = self.0.as_chunks::<2>();
        // Fast path: nearly all text except names of people is ASCII.
        if units.iter().all(|unit| unit[0] < 0x80 && unit[1] == 0) {
            return units.iter().map(|unit| char::from(unit[0])).collect();
        }
        self.chars().collect()
    }
}

impl PartialEq<str> for Utf16<'_> {
    fn eq(&self, other: &str) -> bool {
        self.chars().eq(other.chars())
    }
}

impl fmt::Display for Utf16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|char| f.write_char(char))
    }
}

impl fmt::Debug for Utf16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

/// Text in the server's ANSI code page, decoded as ISO 8859-1: MS-EVEN6 section 2.2.15.2 names no
/// code page, and the page is not transmitted. Events of the security log do not use it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ansi<'a>(&'a [u8]);

impl<'a> Ansi<'a> {
    pub(super) fn new(mut bytes: &'a [u8]) -> Self {
        while let [rest @ .., 0] = bytes {
            bytes = rest;
        }
        Self(bytes)
    }

    /// Whether the text is empty.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Ansi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

impl fmt::Debug for Ansi<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(units: &[u16]) -> Vec<u8> {
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
    }

    #[test]
    fn text_is_decoded_in_place() {
        for text in ["", "alice", "Jürgen Müller", "山田", "🦀"] {
            let units: Vec<u16> = text.encode_utf16().chain([0, 0]).collect();
            let bytes = bytes(&units);
            let read = Utf16::new(&bytes);
            assert_eq!((read.to_text(), read.to_string()), (text.to_owned(), text.to_owned()));
            assert!(read == *text && read.is_empty() == text.is_empty());
            assert_eq!(format!("{read:?}"), format!("{text:?}"));
        }
    }

    #[test]
    fn unpaired_surrogate_and_odd_byte_are_handled() {
        let mut half = bytes(&[0xd83e, 0x61]);
        half.push(7);
        assert_eq!(Utf16::new(&half).to_text(), "\u{fffd}a");
        assert_eq!(Utf16::new(&[7]).to_text(), "");
        assert_eq!(Ansi::new(b"M\xfcller\0\0").to_string(), "Müller");
    }
}
