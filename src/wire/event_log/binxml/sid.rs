//! Windows security identifiers (SIDs).

use std::fmt;

/// A SID in its binary form (MS-DTYP section 2.4.2.2): revision, count, authority, sub-authorities.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sid<'a>(&'a [u8]);

impl<'a> Sid<'a> {
    /// The maximum number of sub-authorities.
    const SUB_AUTHORITIES: u8 = 15;

    /// From bytes that are exactly one SID.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (sid, rest) = Self::split(bytes)?;
        rest.is_empty().then_some(sid)
    }

    /// The SID at the beginning of `bytes`, and the remaining bytes.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [_, count, ..] = *bytes else { return None };
        if count > Self::SUB_AUTHORITIES {
            return None;
        }
        let (sid, rest) = bytes.split_at_checked(8 + 4 * usize::from(count))?;
        Some((Self(sid), rest))
    }

    /// The identifier authority; 5 is Windows NT.
    pub fn authority(self) -> u64 {
        self.0[2..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// The sub-authorities. For a domain account these are 21, three numbers of the domain, and the
    /// relative identifier.
    pub fn sub_authorities(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.0[8..].as_chunks::<4>().0.iter().map(|part| u32::from_le_bytes(*part))
    }
}

impl fmt::Display for Sid<'_> {
    /// The string form of MS-DTYP section 2.4.2.1, for instance `S-1-5-18`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.authority() {
            large @ 0x1_0000_0000.. => write!(f, "S-{}-0x{large:012X}", self.0[0])?,
            usual => write!(f, "S-{}-{usual}", self.0[0])?,
        }
        self.sub_authorities().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_string_form() {
        let admin = *b"\x01\x05\0\0\0\0\0\x05\x15\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\xf4\x01\0\0";
        let sid = Sid::new(&admin).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-1-2-3-500");
        assert_eq!((sid.authority(), sid.sub_authorities().len()), (5, 5));
        assert_eq!(sid.sub_authorities().last(), Some(500));
        assert_eq!(Sid::new(b"\x01\0\0\0\0\0\0\0").unwrap().to_string(), "S-1-0");
        let large = Sid::new(b"\x01\x01\0\x01\0\0\0\0\x07\0\0\0").unwrap();
        assert_eq!(large.to_string(), "S-1-0x000100000000-7");
    }

    #[test]
    fn invalid_sids_are_rejected() {
        for none in [&b""[..], b"\x01", b"\x01\x01\0\0\0\0\0\x05\x12\0\0", b"\x01\x00\0\0\0\0\0"] {
            assert_eq!(Sid::new(none), None, "{none:?}");
        }
        assert_eq!(Sid::new(&[1; 9]), None);
        let mut many = vec![1, 16, 0, 0, 0, 0, 0, 5];
        many.extend([0; 64]);
        assert_eq!(Sid::new(&many), None);
    }
}
