//! Properties of a server and its domain: rootDSE (MS-ADTS 3.1.1.3.2), the partitions of the
//! forest, and the server's clock.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rollcall_identity::directory::{DomainNames, Guid, Sid};
use rollcall_identity::{Name, Timestamp};

use super::DistinguishedName;
use crate::ldap::SearchResultEntry;

/// The rootDSE of a domain controller, readable before authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDse {
    /// The distinguished name of the domain: `DC=corp,DC=example,DC=com`.
    pub domain: String,
    /// The distinguished name of the forest's configuration partition.
    pub configuration: String,
    /// The distinguished name of the server's NTDS Settings object, which has its invocationId.
    pub service: String,
    /// The full DNS name of the server.
    pub host: Name,
    /// highestCommittedUSN: changes up to this update sequence number are committed.
    pub committed: u64,
    /// The server's clock.
    pub clock: Option<Timestamp>,
    /// The OIDs of the supported controls.
    pub controls: Vec<String>,
}

/// The rootDSE lacks an attribute that every domain controller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rootDSE has no valid {0}: the server is not an Active Directory domain controller")]
pub struct RootDseError(pub &'static str);

/// The maximum number of controls kept; a Windows Server 2022 DC lists 40.
const CONTROLS: usize = 256;

impl RootDse {
    /// Reads the rootDSE entry.
    ///
    /// # Errors
    /// The name of the attribute that is missing or invalid.
    pub fn read(entry: &SearchResultEntry<'_>) -> Result<Self, RootDseError> {
        let text = |name| text(entry, name).ok_or(RootDseError(name));
        let controls = entry.values("supportedControl").take(CONTROLS);
        let controls = controls.filter_map(|oid| Some(std::str::from_utf8(oid).ok()?.to_owned()));
        Ok(Self {
            domain: text("defaultNamingContext")?.to_owned(),
            configuration: text("configurationNamingContext")?.to_owned(),
            service: text("dsServiceName")?.to_owned(),
            host: Name::new(text("dnsHostName")?)
                .map_err(|_| RootDseError("dnsHostName"))?
                .folded(),
            committed: text("highestCommittedUSN")?
                .parse()
                .map_err(|_| RootDseError("highestCommittedUSN"))?,
            clock: text("currentTime").ok().and_then(generalized_time),
            controls: controls.collect(),
        })
    }
}

fn text<'a>(entry: &SearchResultEntry<'a>, attribute: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(entry.values(attribute).next()?).ok()?;
    // Some values are in the extended form; only the plain name is kept here.
    let plain = value.rsplit_once(">;").map_or(value, |(_, name)| name);
    (plain.len() <= DistinguishedName::LIMIT).then_some(plain)
}

/// Parses a GeneralizedTime in UTC, such as `20261122004530.0Z` (RFC 4517 section 3.3.13).
pub fn generalized_time(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let digits = digits.split_once('.').map_or(digits, |(seconds, _)| seconds);
    if digits.len() != 14 {
        return None;
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    let time = TimeZone::UTC.to_timestamp(time).ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

/// The names of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainNaming {
    /// The distinguished name.
    pub dn: String,
    /// The DNS name, such as `corp.example.com`.
    pub dns: Name,
    /// The NetBIOS name in lower case, such as `corp`.
    pub netbios: Name,
    /// The domain SID, when the server adds it to the name.
    pub sid: Option<Sid>,
}

/// Reads the crossRef object of a domain; `None` for a partition that is not a domain.
pub fn cross_ref(entry: &SearchResultEntry<'_>) -> Option<DomainNaming> {
    let name = |attribute| Some(Name::new(text(entry, attribute)?).ok()?.folded());
    let place = DistinguishedName::parse(entry.values("nCName").next()?).ok()?;
    Some(DomainNaming {
        dn: place.name.to_owned(),
        dns: name("dnsRoot")?,
        netbios: name("nETBIOSName")?,
        sid: place.sid.clone(),
    })
}

impl DomainNaming {
    /// The names together with the domain SID.
    pub fn with(&self, sid: &Sid) -> DomainNames {
        DomainNames { dns: self.dns.clone(), netbios: self.netbios.clone(), sid: sid.clone() }
    }
}

/// The domain SID, read from the domain object.
pub fn domain_sid(entry: &SearchResultEntry<'_>) -> Option<Sid> {
    Sid::from_bytes(entry.values("objectSid").next()?).ok()
}

/// The invocationId of a domain controller. It changes when the controller is restored from a
/// backup (MS-ADTS 3.1.1.1.9); update sequence numbers of another invocation are not comparable.
pub fn invocation(entry: &SearchResultEntry<'_>) -> Option<Guid> {
    entry.values("invocationId").next()?.try_into().map(Guid).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn server_clock_is_parsed() {
        let time = generalized_time("20261122004530.0Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T00:45:30Z");
        assert_eq!(generalized_time("20261122004530Z"), Some(time));
        for bad in ["", "Z", "2026112200453Z", "20261322004530.0Z", "20261122004530.0+0100"] {
            assert_eq!(generalized_time(bad), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_text_is_a_time_or_not(text in "[0-9]{0,16}[.Z+]{0,3}") {
            let _ = generalized_time(&text);
        }
    }
}
