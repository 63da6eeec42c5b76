//! Security identifiers of Windows users, groups and domains (MS-DTYP 2.4.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A security identifier, such as `S-1-5-21-2871512113-613133000-3782238197-1104`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Form);

/// The representation; each value has exactly one. Accounts and groups of domains need no
/// allocation, because there may be hundreds of thousands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// `S-1-5-21-` followed by these four.
    OfDomain([u32; 4]),
    /// Any other: the identifier authority, 48 bits, and 1 to 15 sub-authorities.
    Other(Box<(u64, Vec<u32>)>),
}

/// The input is not a security identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a security identifier")]
pub struct BadSid;

/// The maximum number of sub-authorities.
const PARTS: usize = 15;

/// The identifier authority of Windows, SECURITY_NT_AUTHORITY.
const WINDOWS: u64 = 5;

/// The first sub-authority of the SIDs of domains and machines, SECURITY_NT_NON_UNIQUE.
const DOMAINS: u32 = 21;

impl Sid {
    /// Parses the binary form (MS-DTYP 2.4.2.2), which must fill `bytes`.
    ///
    /// # Errors
    /// If the revision is not 1, or the length does not match the number of sub-authorities.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSid> {
        let [1, count, a, b, c, d, e, f, parts @ ..] = bytes else { return Err(BadSid) };
        let (parts, rest) = parts.as_chunks::<4>();
        if parts.len() != usize::from(*count) || !rest.is_empty() {
            return Err(BadSid);
        }
        let authority = u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]);
        Self::from_parts(authority, parts.iter().map(|part| u32::from_le_bytes(*part)))
    }

    /// Builds a SID; reads no more sub-authorities than the maximum plus one.
    fn from_parts(authority: u64, parts: impl IntoIterator<Item = u32>) -> Result<Self, BadSid> {
        let parts: Vec<u32> = parts.into_iter().take(PARTS + 1).collect();
        match (authority, parts.as_slice()) {
            (WINDOWS, &[DOMAINS, a, b, c, rid]) => Ok(Self(Form::OfDomain([a, b, c, rid]))),
            (0..0x1_0000_0000_0000, few) if (1..=PARTS).contains(&few.len()) => {
                Ok(Self(Form::Other(Box::new((authority, parts)))))
            }
            _ => Err(BadSid),
        }
    }

    /// The identifier authority and the sub-authorities.
    fn parts(&self) -> (u64, impl DoubleEndedIterator<Item = u32>) {
        let (authority, first, rest) = match &self.0 {
            Form::OfDomain(parts) => (WINDOWS, Some(DOMAINS), parts.as_slice()),
            Form::Other(other) => (other.0, None, other.1.as_slice()),
        };
        (authority, first.into_iter().chain(rest.iter().copied()))
    }

    /// Whether this is an account or group of a domain or machine, not a well-known SID:
    /// `S-1-5-21-` and four more numbers (MS-DTYP 2.4.2.4).
    pub fn is_of_domain(&self) -> bool {
        matches!(self.0, Form::OfDomain(_))
    }

    /// The relative identifier: the last sub-authority.
    pub fn rid(&self) -> u32 {
        self.parts().1.next_back().unwrap_or_default()
    }

    /// The domain of the account, such as `S-1-5-21-2871512113-613133000-3782238197`; `None` if
    /// this SID is too short.
    #[must_use]
    pub fn domain(&self) -> Option<Self> {
        let (authority, mut parts) = self.parts();
        parts.next_back()?;
        Self::from_parts(authority, parts).ok()
    }

    /// The account `rid` of this domain; `None` if this SID is too long to be a domain.
    #[must_use]
    pub fn account(&self, rid: u32) -> Option<Self> {
        let (authority, parts) = self.parts();
        Self::from_parts(authority, parts.chain([rid])).ok()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-")?;
        let (authority, mut parts) = self.parts();
        // Authorities that do not fit 32 bits are written in hexadecimal (MS-DTYP 2.4.2.1).
        if authority > u64::from(u32::MAX) {
            write!(f, "0x{authority:012X}")?;
        } else {
            write!(f, "{authority}")?;
        }
        parts.try_for_each(|part| write!(f, "-{part}"))
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
        let parts: Vec<u32> =
            words.map(str::parse).collect::<Result<_, _>>().map_err(|_| BadSid)?;
        Self::from_parts(authority.map_err(|_| BadSid)?, parts)
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
    fn a_builtin_sid_is_parsed_in_both_forms() {
        let bytes = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        let sid = Sid::from_bytes(&bytes).unwrap();
        assert_eq!(sid.to_string(), "S-1-5-32-544");
        assert_eq!("s-1-5-32-544".parse(), Ok(sid.clone()));
        assert_eq!((sid.rid(), sid.domain().unwrap().to_string()), (544, "S-1-5-32".to_owned()));
        assert_eq!(sid.domain().unwrap().account(544), Some(sid));
    }

    #[test]
    fn truncated_or_miscounted_sids_are_rejected() {
        let good = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        assert!(Sid::from_bytes(&good).is_ok());
        for length in 0..good.len() {
            assert_eq!(Sid::from_bytes(&good[..length]), Err(BadSid));
        }
        for text in ["", "S-1", "S-1-5", "S-2-5-18", "S-1-5-x", "S-1-5-4294967296", "S-1-5-18-"] {
            assert_eq!(text.parse::<Sid>(), Err(BadSid), "{text}");
        }
    }

    #[test]
    fn an_account_sid_has_its_domain() {
        for (text, is_of_domain) in [
            ("S-1-5-21-7-8-9-1104", true),
            ("S-1-5-21-7-8-9", false),
            ("S-1-5-21-7-8-9-1104-3", false),
            ("S-1-5-18", false),
            ("S-1-1-21-7-8-9-1104", false),
        ] {
            let sid: Sid = text.parse().unwrap();
            assert_eq!((sid.to_string().as_str(), sid.is_of_domain()), (text, is_of_domain));
            let again = sid.domain().and_then(|domain| domain.account(sid.rid()));
            assert_eq!(again, (text != "S-1-5-18").then_some(sid), "{text}");
        }
        let longest: Sid = format!("S-1-5{}", "-1".repeat(PARTS)).parse().unwrap();
        assert_eq!(longest.account(1), None);
        assert!(size_of::<Option<Sid>>() <= 24);
    }

    proptest! {
        #[test]
        fn a_sid_round_trips_through_text(authority in 0u64..1 << 48, parts in prop::collection::vec(any::<u32>(), 1..=PARTS)) {
            let sid = Sid::from_parts(authority, parts).unwrap();
            prop_assert_eq!(sid.to_string().parse(), Ok(sid));
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes: Vec<u8>) {
            let _ = Sid::from_bytes(&bytes);
        }
    }
}
