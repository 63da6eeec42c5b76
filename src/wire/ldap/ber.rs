//! The Basic Encoding Rules with the restrictions of LDAP (RFC 4511 section 5.1): definite lengths
//! and one-byte tags.

/// The maximum message length, in bytes. An entry with 1,500 members with names of 4 KB each, more
/// than in any real directory, is half of it.
pub const LIMIT: usize = 16 << 20;

/// Why bytes are not valid BER for LDAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BerError {
    /// An element extends beyond its parent.
    #[error("an element extends beyond the message")]
    Truncated,
    /// A length in a form that LDAP forbids, or with more than four bytes.
    #[error("a length is not in the definite form")]
    Length,
    /// An element has an unexpected tag.
    #[error("an element has another tag than expected")]
    Tag,
    /// A message is longer than [`LIMIT`].
    #[error("a message is longer than {} MiB", LIMIT >> 20)]
    TooLong,
    /// An integer is empty or longer than 64 bits.
    #[error("an integer is empty or too long")]
    Number,
    /// A string is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Elements are nested deeper than in any LDAP message.
    #[error("elements are nested too deep")]
    TooDeep,
    /// More elements than in any real message.
    #[error("a message has too many elements")]
    TooManyElements,
    /// A message does not belong to a pending request.
    #[error("a message does not belong to a pending request")]
    Unsolicited,
}

/// The tag and length of the element at the beginning of `bytes`, and the size of this header;
/// `None` when more bytes are needed.
fn header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, BerError> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(BerError::Tag);
    }
    let count = usize::from(first & 0x7f);
    match first {
        0..=0x7f => Ok(Some((*tag, count, 2))),
        0x81..=0x84 => {
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            Ok(Some((*tag, length, 2 + count)))
        }
        _ => Err(BerError::Length),
    }
}

/// The length of the message at the beginning of `bytes`, including its header; `None` when more
/// bytes are needed.
///
/// # Errors
/// The bytes are not an LDAP message, or it is longer than [`LIMIT`].
pub fn frame_length(bytes: &[u8]) -> Result<Option<usize>, BerError> {
    if bytes.first().is_some_and(|tag| *tag != 0x30) {
        return Err(BerError::Tag);
    }
    match header(bytes)? {
        Some((_, length, _)) if length > LIMIT => Err(BerError::TooLong),
        Some((_, length, header)) => Ok(Some(header + length)),
        None => Ok(None),
    }
}

/// Reads consecutive elements.
#[derive(Debug, Clone, Copy)]
pub struct BerReader<'a>(&'a [u8]);

impl<'a> BerReader<'a> {
    /// Reads the elements in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all elements have been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The tag and content of the next element.
    ///
    /// # Errors
    /// The element is truncated.
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let (tag, length, header) = header(self.0)?.ok_or(BerError::Truncated)?;
        let body =
            self.0.get(header..).and_then(|rest| rest.get(..length)).ok_or(BerError::Truncated)?;
        self.0 = &self.0[header + length..];
        Ok((tag, body))
    }

    /// The content of the next element, which must have the tag `tag`.
    ///
    /// # Errors
    /// The element has another tag or is truncated.
    pub fn tagged(&mut self, tag: u8) -> Result<&'a [u8], BerError> {
        match self.any()? {
            (found, body) if found == tag => Ok(body),
            _ => Err(BerError::Tag),
        }
    }

    /// A reader for the elements inside the next element, which must have the tag `tag`.
    ///
    /// # Errors
    /// As [`Self::tagged`].
    pub fn within(&mut self, tag: u8) -> Result<Self, BerError> {
        self.tagged(tag).map(Self)
    }

    /// The next element as a non-negative INTEGER (tag 2) or ENUMERATED (tag 10).
    ///
    /// # Errors
    /// The element has another tag, is negative, or is longer than 64 bits.
    pub fn number(&mut self, tag: u8) -> Result<u64, BerError> {
        match self.tagged(tag)? {
            [] | [0x80..=0xff, ..] => Err(BerError::Number),
            digits if digits.len() > 9 || digits.len() == 9 && digits[0] != 0 => {
                Err(BerError::Number)
            }
            digits => Ok(digits.iter().fold(0, |value, digit| value << 8 | u64::from(*digit))),
        }
    }
}

/// Encodes an element with the tag `tag` and the concatenated `parts`.
///
/// The length is encoded in at most four bytes; Rollcall writes far shorter messages.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let skipped = digits.iter().take_while(|digit| **digit == 0).count();
    let mut written = Vec::with_capacity(length + 6);
    written.push(tag);
    match length {
        0..0x80 => written.push(digits[3]),
        _ => {
            written.push(0x84 - skipped as u8);
            written.extend_from_slice(&digits[skipped..]);
        }
    }
    parts.iter().for_each(|part| written.extend_from_slice(part));
    written
}

/// Encodes an integer with the tag `tag`: 2 for INTEGER, 10 for ENUMERATED.
pub fn integer(tag: u8, value: u64) -> Vec<u8> {
    let mut digits = [0; 9];
    digits[1..].copy_from_slice(&value.to_be_bytes());
    // Two's complement: a set high bit needs a leading zero.
    let fits = |at: &usize| digits[*at] < 0x80 && digits[..*at].iter().all(|digit| *digit == 0);
    let at = (0..9).rev().find(fits).unwrap_or(0);
    element(tag, &[&digits[at..]])
}

/// Encodes an OCTET STRING.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    element(4, &[bytes])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_in_every_form_allowed_by_ldap() {
        assert_eq!(frame_length(&[0x30]), Ok(None));
        assert_eq!(frame_length(&[0x30, 5]), Ok(Some(7)));
        assert_eq!(frame_length(&[0x30, 0x84, 0, 0, 1]), Ok(None));
        assert_eq!(frame_length(&[0x30, 0x84, 0, 0, 1, 2]), Ok(Some(6 + 0x102)));
        // Rejected: the indefinite form, a five-byte length, a length beyond the limit.
        assert_eq!(frame_length(&[0x30, 0x80]), Err(BerError::Length));
        assert_eq!(frame_length(&[0x30, 0x85, 0, 0, 0, 0, 1]), Err(BerError::Length));
        assert_eq!(frame_length(&[0x30, 0x84, 0x7f, 0, 0, 0]), Err(BerError::TooLong));
        // `HTTP/1.1 400`: another protocol on this port.
        assert_eq!(frame_length(b"HTTP"), Err(BerError::Tag));
    }

    #[test]
    fn element_beyond_its_parent_is_rejected() {
        let inner = [0x30, 4, 4, 9, b'a', b'b'];
        let mut message = BerReader::new(&inner).within(0x30).unwrap();
        assert_eq!(message.any(), Err(BerError::Truncated));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn elements_round_trip(tag in 0u8..31, body: Vec<u8>, number: u64) {
            let written = [element(tag, &[&body]), integer(2, number)].concat();
            let mut reader = BerReader::new(&written);
            prop_assert_eq!(reader.any(), Ok((tag, body.as_slice())));
            prop_assert_eq!(reader.number(2), Ok(number));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_handled(bytes: Vec<u8>) {
            let _ = frame_length(&bytes);
            let mut reader = BerReader::new(&bytes);
            while reader.any().is_ok() {}
        }
    }
}
