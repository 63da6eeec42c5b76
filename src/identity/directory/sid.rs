//! Security identifiers, in which Windows names users, groups and domains (MS-DTYP 2.4.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A security identifier, such as `S-1-5-21-2871512113-613133000-3782238197-1104`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    /// The identifier authority, 48 bits: 5 is Windows itself.
    authority: u64,
    /// 1 to 15 sub-authorities, the last of which is the relative identifier (RID).
    parts: Box<[u32]>,
}

/// Why something is not a security identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a security identifier")]
pub struct BadSid;

/// The most sub-authorities that one has.
const PARTS: usize = 15;

impl Sid {
    /// Reads the binary form (MS-DTYP 2.4.2.2), the whole of `bytes`.
    ///
    /// # Errors
    /// When the revision is not 1, or the length is not that of the counted sub-authorities.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSid> {
        let [1, count, a, b, c, d, e, f, parts @ ..] = bytes else { return Err(BadSid) };
        let (parts, rest) = parts.as_chunks::<4>();
        if parts.len() != usize::from(*count) || !rest.is_empty() {
            return Err(BadSid);
        }
        let authority = u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]);
        Self::of(authority, parts.iter().map(|part| u32::from_le_bytes(*part)).collect())
    }

    fn of(authority: u64, parts: Box<[u32]>) -> Result<Self, BadSid> {
        let fits = authority < 1 << 48 && (1..=PARTS).contains(&parts.len());
        if fits { Ok(Self { authority, parts }) } else { Err(BadSid) }
    }

    /// Whether it is an account or a group of a domain, or of a single machine, and not one that
    /// every Windows has: `S-1-5-21-` and four more numbers (MS-DTYP 2.4.2.4).
    pub fn is_of_domain(&self) -> bool {
        self.authority == 5 && matches!(*self.parts, [21, _, _, _, _])
    }

    /// The relative identifier: what is left when the domain is taken away.
    pub fn rid(&self) -> u32 {
        self.parts[self.parts.len() - 1]
    }

    /// The domain of the account, such as `S-1-5-21-2871512113-613133000-3782238197`; `None` when
    /// this is too short to be an account of one.
    #[must_use]
    pub fn domain(&self) -> Option<Self> {
        let (_, domain) = self.parts.split_last()?;
        Self::of(self.authority, domain.into()).ok()
    }

    /// The account `rid` of the domain that this names; `None` when it is too long to be a domain.
    #[must_use]
    pub fn account(&self, rid: u32) -> Option<Self> {
        let parts = self.parts.iter().copied().chain([rid]).collect();
        Self::of(self.authority, parts).ok()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-")?;
        // Authorities that do not fit 32 bits are written in hexadecimal (MS-DTYP 2.4.2.1).
        if self.authority > u64::from(u32::MAX) {
            write!(f, "0x{:012X}", self.authority)?;
        } else {
            write!(f, "{}", self.authority)?;
        }
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = BadSid;

    fn from_str(text: &str) -> Result<Self, BadSid> {
        let mut words = text.split('-');
        if !words.next().is_some_and(|s| s.eq_ignore_ascii_case("s")) || words.next() != Some("1") {
            return Err(BadSid);
        }
        let authority = words.next().ok_or(BadSid)?;
        let authority = match authority.strip_prefix("0x").or(authority.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => authority.parse(),
        };
        let parts = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| BadSid)?;
        Self::of(authority.map_err(|_| BadSid)?, parts)
    }
}

impl Serialize for Sid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_administrators_of_every_machine_are_read_in_both_forms() {
        let bytes = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        let sid = Sid::from_bytes(&bytes).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-32-544");
        assert_eq!("s-1-5-32-544".parse(), Ok(sid.clone()));
        assert_eq!((sid.rid(), sid.domain().unwrap().to_string()), (544, "S-1-5-32".to_owned()));
        assert_eq!(sid.domain().unwrap().account(544), Some(sid));
    }

    #[test]
    fn what_is_cut_or_counts_wrongly_is_refused() {
        let good = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        assert!(Sid::from_bytes(&good).is_ok());
        for length in 0..good.len() {
            assert_eq!(Sid::from_bytes(&good[..length]), Err(BadSid));
        }
        for text in ["", "S-1", "S-1-5", "S-2-5-18", "S-1-5-x", "S-1-5-4294967296", "S-1-5-18-"] {
            assert_eq!(text.parse::<Sid>(), Err(BadSid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_value_are_one(authority in 0u64..1 << 48, parts in prop::collection::vec(any::<u32>(), 1..=PARTS)) {
            let sid = Sid::of(authority, parts.into()).unwrap();
            prop_assert_eq!(sid.to_string().parse(), Ok(sid));
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = Sid::from_bytes(&bytes);
        }
    }
}
