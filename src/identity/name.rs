//! Validated names of users, domains, devices and roles, and the principals built from them.

use std::fmt;

use compact_str::CompactString;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A name that is safe to store, compare and print: 1 to 256 bytes of UTF-8 in Unicode
/// normalization form C, without control and invisible characters, trimmed of white space. Its case
/// is preserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(CompactString);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty after trimming.
    #[error("name is empty")]
    Empty,
    /// The text has more than [`Name::LIMIT`] bytes.
    #[error("name is longer than {} bytes", Name::LIMIT)]
    Long,
    /// The text contains a control, line-separator or text-direction character, which could make
    /// log lines misleading.
    #[error("name contains a control character")]
    Control,
    /// The text contains an invisible character. Two names that differ only in it look the same, and
    /// a pattern for one does not match the other.
    #[error("name contains an invisible character")]
    Invisible,
}

impl Name {
    /// The maximum length in bytes of UTF-8. The longest name in Active Directory is a
    /// 256-character UPN.
    pub const LIMIT: usize = 256;

    /// Validates and normalizes `text`.
    ///
    /// # Errors
    /// [`BadName`] gives the reason.
    pub fn new(text: &str) -> Result<Self, BadName> {
        // Fast path: most names are printable ASCII, and one pass over the bytes validates them.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return match text.trim_ascii() {
                "" => Err(BadName::Empty),
                long if long.len() > Self::LIMIT => Err(BadName::Long),
                plain => Ok(Self(CompactString::new(plain))),
            };
        }
        let text = text.trim();
        match text {
            "" => return Err(BadName::Empty),
            long if long.len() > Self::LIMIT => return Err(BadName::Long),
            bad if bad.chars().any(forges_text) => return Err(BadName::Control),
            bad if bad.chars().any(is_invisible) => return Err(BadName::Invisible),
            _ => {}
        }
        if is_nfc_quick(text.chars()) == IsNormalized::Yes {
            return Ok(Self(CompactString::new(text)));
        }
        let normal: CompactString = text.nfc().collect();
        if normal.len() > Self::LIMIT { Err(BadName::Long) } else { Ok(Self(normal)) }
    }

    /// The name in lower case, the form in which user and domain names are compared.
    #[must_use]
    pub fn folded(mut self) -> Self {
        if self.0.is_ascii() {
            self.0.make_ascii_lowercase();
            return self;
        }
        Self(self.0.to_lowercase())
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that change how the surrounding text is displayed: controls, U+2028/2029 and the
/// bidirectional overrides (Unicode Technical Report 36, section 3.1).
fn forges_text(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Characters that are not displayed: the Unicode property Default_Ignorable_Code_Point (UAX 44),
/// which includes zero-width characters, soft hyphens, fillers, variation selectors and tags.
fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The format in which a source wrote a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// `alice`
    Bare,
    /// `CORP\alice`, Microsoft's down-level logon name.
    DownLevel,
    /// `alice@corp.example.com`, a user principal name or a Kerberos principal.
    UserAtRealm,
}

/// The set of formats in which a user name was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Spellings(u8);

impl Spellings {
    /// All formats, in the order in which they are listed.
    pub const ALL: [Spelling; 3] = [Spelling::Bare, Spelling::DownLevel, Spelling::UserAtRealm];

    /// The set that contains only `spelling`.
    pub const fn only(spelling: Spelling) -> Self {
        Self(1 << spelling as u8)
    }

    /// The union of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The members, in the order of [`Spellings::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Spelling> {
        Self::ALL.into_iter().filter(move |s| self.0 & (1 << *s as u8) != 0)
    }
}

impl Serialize for Spellings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A user name and, if known, its domain. Both are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Principal {
    /// The name without its domain, such as `alice`; `pc1$` for a machine account.
    pub user: Name,
    /// A NetBIOS or DNS domain name, as the source reported it or as the alias rules mapped it.
    pub domain: Option<Name>,
    /// The formats in which it was written.
    pub spellings: Spellings,
}

impl Principal {
    /// Parses `DOMAIN\user`, `user@realm` or a bare user name. A domain in the text takes
    /// precedence over `domain`, which is a separate field of the source or its configured default.
    ///
    /// # Errors
    /// [`BadName`] if the user or the domain is not a valid name.
    pub fn parse(text: &str, domain: Option<&Name>) -> Result<Self, BadName> {
        let text = text.trim();
        let (user, own, spelling) = if let Some((domain, user)) = text.split_once('\\') {
            (user, Some(domain), Spelling::DownLevel)
        } else if let Some((user, realm)) = text.rsplit_once('@') {
            (user, Some(realm), Spelling::UserAtRealm)
        } else {
            (text, None, Spelling::Bare)
        };
        // `\alice` and `alice@` name no domain; `.\alice` is a local account of the machine.
        let own = own.map(str::trim).filter(|d| !d.is_empty() && *d != ".");
        Ok(Self {
            user: Name::new(user)?.folded(),
            domain: match own {
                Some(own) => Some(Name::new(own)?.folded()),
                None => domain.cloned().map(Name::folded),
            },
            spellings: Spellings::only(spelling),
        })
    }

    /// Whether this is a machine account (`PC1$`), which identifies a device and never a user.
    pub fn is_machine(&self) -> bool {
        self.user.as_str().ends_with('$')
    }

    /// Whether both have the same user and domain, in whatever format they were written.
    pub fn has_same_name(&self, other: &Self) -> bool {
        (&self.user, &self.domain) == (&other.user, &other.domain)
    }

    /// Whether both can be the same user: equal user names, and no different domains. A bare name
    /// is compatible with any domain.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        self.user == other.user
            && match (&self.domain, &other.domain) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => true,
            }
    }
}

impl fmt::Display for Principal {
    /// `user@domain`, or the bare user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.user),
            None => self.user.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_spellings_are_one_user() {
        let home = Name::new("Corp").unwrap();
        let spelt = |text| Principal::parse(text, Some(&home)).unwrap();
        for text in ["CORP\\Alice", "alice@corp", "ALICE", "\\alice", ".\\alice"] {
            let principal = spelt(text);
            assert_eq!(principal.to_string(), "alice@corp", "{text}");
            assert!(principal.is_compatible_with(&spelt("alice")));
        }
        assert!(!spelt("other\\alice").is_compatible_with(&spelt("alice")));
    }

    #[test]
    fn misleading_names_are_rejected() {
        for text in ["a\nb", "a\u{1b}[31m", "a\u{202e}b", "a\u{2028}b", "nul\0"] {
            assert_eq!(Name::new(text), Err(BadName::Control), "{text:?}");
        }
        for text in ["svc\u{200b}-backup", "a\u{ad}b", "\u{feff}alice", "bob\u{e0041}", "\u{3164}"]
        {
            assert_eq!(Name::new(text), Err(BadName::Invisible), "{text:?}");
        }
        assert!(
            Name::new("Anna Arndt").is_ok() && Name::new("\u{645}\u{647}\u{62f}\u{6cc}").is_ok()
        );
        assert_eq!(Name::new("  "), Err(BadName::Empty));
        assert_eq!(Name::new(&"x".repeat(257)), Err(BadName::Long));
        assert_eq!(Principal::parse("CORP\\", None), Err(BadName::Empty));
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_name() {
        assert_eq!(Name::new("Rene\u{301}"), Name::new("Ren\u{e9}"));
    }

    proptest! {
        #[test]
        fn a_name_is_stable(text in any::<String>()) {
            if let Ok(name) = Name::new(&text) {
                prop_assert!(name.as_str().len() <= Name::LIMIT);
                prop_assert_eq!(Name::new(name.as_str()).unwrap(), name);
            }
        }

        #[test]
        fn a_principal_reads_back_what_it_prints(user in "[a-z0-9.$-]{1,20}", domain in "[a-z0-9][a-z0-9.-]{0,19}") {
            let principal = Principal::parse(&format!("{user}@{domain}"), None).unwrap();
            prop_assert_eq!(Principal::parse(&principal.to_string(), None).unwrap(), principal);
        }
    }
}
