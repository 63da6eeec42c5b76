//! Distinguished names in the extended form, which adds GUID and SID to the name (MS-ADTS
//! 3.1.1.3.4.1.5): `<GUID=…>;<SID=…>;CN=Alice,DC=corp,DC=example,DC=com`.

use rollcall_identity::directory::{Guid, Member, Sid};

/// A parsed distinguished name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName<'a> {
    /// The GUID of the object, when extended names were requested.
    pub guid: Option<Guid>,
    /// The SID of the object, if it has one.
    pub sid: Option<Sid>,
    /// The name itself (RFC 4514).
    pub name: &'a str,
}

/// Why bytes are not a valid distinguished name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnError {
    /// The name is longer than [`DistinguishedName::LIMIT`].
    #[error("longer than {} bytes", DistinguishedName::LIMIT)]
    TooLong,
    /// The name is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A component before the name is not valid in the extended form.
    #[error("not in the extended form")]
    Malformed,
}

impl<'a> DistinguishedName<'a> {
    /// The maximum length of a name, in bytes. Each component of an Active Directory name has at
    /// most 255 characters; the deepest trees in use are below a tenth of this.
    pub const LIMIT: usize = 2048;

    /// Parses a name.
    ///
    /// # Errors
    /// [`DnError`] gives the reason.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DnError> {
        let mut rest = std::str::from_utf8(bytes).map_err(|_| DnError::NotUtf8)?;
        let (mut guid, mut sid) = (None, None);
        while let Some(part) = rest.strip_prefix('<') {
            let (part, after) = part.split_once('>').ok_or(DnError::Malformed)?;
            match part.split_once('=').ok_or(DnError::Malformed)? {
                ("GUID", text) => guid = Some(read_guid(text).ok_or(DnError::Malformed)?),
                ("SID", text) => sid = Some(read_sid(text).ok_or(DnError::Malformed)?),
                // Samba adds link metadata such as RMD_USN.
                _ => {}
            }
            rest = after.strip_prefix(';').unwrap_or(after);
        }
        if rest.len() > Self::LIMIT {
            return Err(DnError::TooLong);
        }
        Ok(Self { guid, sid, name: rest })
    }

    /// The group member that this name refers to; `None` when the server did not identify the
    /// object.
    pub fn member(&self) -> Option<Member> {
        let container = split_first(self.name)?.1;
        // The container has this name in every language of Windows (MS-ADTS 6.1.1.4.10).
        let foreign = "CN=ForeignSecurityPrincipals,";
        let is_foreign =
            container.get(..foreign.len()).is_some_and(|start| start.eq_ignore_ascii_case(foreign));
        match &self.sid {
            Some(sid) if is_foreign => Some(Member::Foreign(sid.clone())),
            _ => self.guid.map(Member::Object),
        }
    }
}

/// Whether the name `dn` equals `base` or is below it. The comparison ignores case.
pub fn is_within(dn: &str, base: &str) -> bool {
    let (dn, base) = (dn.to_lowercase(), base.to_lowercase());
    let above = dn.strip_suffix(&base);
    above.is_some_and(|above| above.is_empty() || base.is_empty() || above.ends_with(','))
}

/// The first component of a name, and the rest.
fn split_first(name: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let comma = name.bytes().position(|byte| {
        let ends = byte == b',' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&name[..comma], &name[comma + 1..]))
}

/// Parses a GUID. 32 hexadecimal digits are the bytes in order; with dashes, the first three fields
/// are byte-swapped (MS-DTYP 2.3.4.3).
fn read_guid(text: &str) -> Option<Guid> {
    let dashed = text.len() == 36;
    let mut bytes: [u8; 16] = hexadecimal(&text.replace('-', ""))?.try_into().ok()?;
    if dashed {
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
    }
    Some(Guid(bytes))
}

fn read_sid(text: &str) -> Option<Sid> {
    if text.starts_with("S-") {
        text.parse().ok()
    } else {
        Sid::from_bytes(&hexadecimal(text)?).ok()
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    // The longest input is a SID of 68 bytes.
    if text.len() > 136 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A member as Samba 4.17 writes it, in both notations.
    const ALICE: &str = "<GUID=9a7e6a2b3c4d5e4f8899aabbccddeeff>;\
        <SID=010500000000000515000000010000000200000003000000e8030000>;CN=Alice\\, A.,DC=example";
    const AGAIN: &str = "<GUID=2b6a7e9a-4d3c-4f5e-8899-aabbccddeeff>;\
        <RMD_USN=3755>;<SID=S-1-5-21-1-2-3-1000>;CN=Alice\\, A.,DC=example";

    #[test]
    fn both_notations_agree() {
        let alice = DistinguishedName::parse(ALICE.as_bytes()).unwrap();
        assert_eq!(alice.name, "CN=Alice\\, A.,DC=example");
        assert_eq!(alice.sid.as_ref().unwrap().to_string(), "S-1-5-21-1-2-3-1000");
        assert_eq!(alice.guid.unwrap().to_string(), "2b6a7e9a-4d3c-4f5e-8899-aabbccddeeff");
        assert_eq!(DistinguishedName::parse(AGAIN.as_bytes()).unwrap(), alice);
        assert_eq!(alice.member(), alice.guid.map(Member::Object));
    }

    #[test]
    fn foreign_principal_is_identified_by_sid() {
        let text = "<GUID=9a7e6a2b3c4d5e4f8899aabbccddeeff>;<SID=S-1-5-21-9-9-9-1104>;\
            CN=S-1-5-21-9-9-9-1104,CN=ForeignSecurityPrincipals,DC=example";
        let member = DistinguishedName::parse(text.as_bytes()).unwrap().member();
        assert_eq!(member, Some(Member::Foreign("S-1-5-21-9-9-9-1104".parse().unwrap())));
        // A name that only looks like a member of the container is not foreign.
        let text = "<GUID=9a7e6a2b3c4d5e4f8899aabbccddeeff>;<SID=S-1-5-21-9-9-9-1104>;\
            CN=x\\,CN=ForeignSecurityPrincipals,DC=example";
        let member = DistinguishedName::parse(text.as_bytes()).unwrap().member();
        assert!(matches!(member, Some(Member::Object(_))));
    }

    #[test]
    fn name_is_within_a_base_only_at_a_comma() {
        assert!(is_within("CN=a,OU=Staff,DC=x", "ou=staff,dc=x"));
        assert!(is_within("OU=Staff,DC=x", "OU=Staff,DC=x"));
        assert!(is_within("CN=a,DC=x", ""));
        assert!(!is_within("CN=a,OU=NoStaff,DC=x", "Staff,DC=x"));
        assert!(!is_within("DC=x", "OU=Staff,DC=x"));
    }

    #[test]
    fn too_long_and_invalid_names_are_rejected() {
        let long = format!("CN={},DC=x", "a".repeat(4096));
        assert_eq!(DistinguishedName::parse(long.as_bytes()), Err(DnError::TooLong));
        assert_eq!(DistinguishedName::parse(b"CN=\xff"), Err(DnError::NotUtf8));
        for bad in ["<GUID=12>;CN=a", "<GUID=zz", "<SID=S-1>;CN=a", "<x>;CN=a"] {
            assert_eq!(DistinguishedName::parse(bad.as_bytes()), Err(DnError::Malformed), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(bytes: Vec<u8>, text in "<(GUID|SID)=[0-9a-fS-]{0,40}>;.{0,20}", base: String) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(name) = DistinguishedName::parse(bytes) {
                    let _ = (name.member(), is_within(name.name, &base));
                }
            }
        }
    }
}
