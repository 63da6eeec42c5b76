//! The Basic Encoding Rules with the restrictions of LDAP (RFC 4511 section 5.1): definite lengths
//! and one-byte tags.

/// The maximum message length, in bytes. An entry with 1,500 members with names of 4 KB each, more
/// than in any real directory, is half of it.
pub const LIMIT: usize = 16 << 20;

/// Why bytes are not valid BER for LDAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBer {
    /// An element extends beyond its parent.
    #[error("an element ends beyond the message")]
    Cut,
    /// A length in a form that LDAP forbids, or with more than four bytes.
    #[error("a length is not in the definite form")]
    Length,
    /// An element has an unexpected tag.
    #[error("an element has another tag than expected")]
    Tag,
    /// A message is longer than [`LIMIT`].
    #[error("a message is longer than {} MiB", LIMIT >> 20)]
    Long,
    /// An integer is empty or longer than 64 bits.
    #[error("a number is not one")]
    Number,
    /// A string is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Elements are nested deeper than in any LDAP message.
    #[error("elements lie too deep within each other")]
    Deep,
    /// More elements than in any real message.
    #[error("a message has too many elements")]
    Many,
    /// A message does not belong to a pending request.
    #[error("a message answers nothing that was asked")]
    Unasked,
}

/// The tag and length of the element at the beginning of `bytes`, and the size of this header;
/// `None` when more bytes are needed.
fn header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, BadBer> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(BadBer::Tag);
    }
    let count = usize::from(first & 0x7f);
    match first {
        0..=0x7f => Ok(Some((*tag, count, 2))),
        0x81..=0x84 => {
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            Ok(Some((*tag, length, 2 + count)))
        }
        _ => Err(BadBer::Length),
    }
}

/// The length of the message at the beginning of `bytes`, including its header; `None` when more
/// bytes are needed.
///
/// # Errors
/// The bytes are not an LDAP message, or it is longer than [`LIMIT`].
pub fn frame_length(bytes: &[u8]) -> Result<Option<usize>, BadBer> {
    if bytes.first().is_some_and(|tag| *tag != 0x30) {
        return Err(BadBer::Tag);
    }
    match header(bytes)? {
        Some((_, length, _)) if length > LIMIT => Err(BadBer::Long),
        Some((_, length, header)) => Ok(Some(header + length)),
        None => Ok(None),
    }
}

/// Reads consecutive elements.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
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
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), BadBer> {
        let (tag, length, header) = header(self.0)?.ok_or(BadBer::Cut)?;
        let body = self.0.get(header..).and_then(|rest| rest.get(..length)).ok_or(BadBer::Cut)?;
        self.0 = &self.0[header + length..];
        Ok((tag, body))
    }

    /// The content of the next element, which must have the tag `tag`.
    ///
    /// # Errors
    /// The element has another tag or is truncated.
    pub fn tagged(&mut self, tag: u8) -> Result<&'a [u8], BadBer> {
        match self.any()? {
            (found, body) if found == tag => Ok(body),
            _ => Err(BadBer::Tag),
        }
    }

    /// A reader for the elements inside the next element, which must have the tag `tag`.
    ///
    /// # Errors
    /// As [`Self::tagged`].
    pub fn within(&mut self, tag: u8) -> Result<Self, BadBer> {
        self.tagged(tag).map(Self)
    }

    /// The next element as a non-negative INTEGER (tag 2) or ENUMERATED (tag 10).
    ///
    /// # Errors
    /// The element has another tag, is negative, or is longer than 64 bits.
    pub fn number(&mut self, tag: u8) -> Result<u64, BadBer> {
        match self.tagged(tag)? {
            [] | [0x80..=0xff, ..] => Err(BadBer::Number),
            digits if digits.len() > 9 || digits.len() == 9 && digits[0] != 0 => {
                Err(BadBer::Number)
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
    fn lengths_are_read_in_every_form_that_ldap_allows() {
        assert_eq!(frame_length(&[0x30]), Ok(None));
        assert_eq!(frame_length(&[0x30, 5]), Ok(Some(7)));
        assert_eq!(frame_length(&[0x30, 0x84, 0, 0, 1]), Ok(None));
        assert_eq!(frame_length(&[0x30, 0x84, 0, 0, 1, 2]), Ok(Some(6 + 0x102)));
        // Rejected: the indefinite form, a five-byte length, a length beyond the limit.
        assert_eq!(frame_length(&[0x30, 0x80]), Err(BadBer::Length));
        assert_eq!(frame_length(&[0x30, 0x85, 0, 0, 0, 0, 1]), Err(BadBer::Length));
        assert_eq!(frame_length(&[0x30, 0x84, 0x7f, 0, 0, 0]), Err(BadBer::Long));
        // `HTTP/1.1 400`: another protocol on this port.
        assert_eq!(frame_length(b"HTTP"), Err(BadBer::Tag));
    }

    #[test]
    fn an_element_never_reaches_beyond_what_holds_it() {
        let inner = [0x30, 4, 4, 9, b'a', b'b'];
        let mut message = Reader::new(&inner).within(0x30).unwrap();
        assert_eq!(message.any(), Err(BadBer::Cut));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn elements_are_read_as_they_were_written(tag in 0u8..31, body: Vec<u8>, number: u64) {
            let written = [element(tag, &[&body]), integer(2, number)].concat();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.any(), Ok((tag, body.as_slice())));
            prop_assert_eq!(reader.number(2), Ok(number));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = frame_length(&bytes);
            let mut reader = Reader::new(&bytes);
            while reader.any().is_ok() {}
        }
    }
}
