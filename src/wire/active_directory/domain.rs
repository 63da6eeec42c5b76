//! What a server says of itself and of its domain: rootDSE (MS-ADTS 3.1.1.3.2), the partitions of the
//! forest, the clock.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rollcall_identity::directory::{DomainNames, Guid, Sid};
use rollcall_identity::{Name, Timestamp};

use super::Distinguished;
use crate::ldap::Entry;

/// What a domain controller says of itself before anybody has proven who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The distinguished name of its domain: `DC=corp,DC=example,DC=com`.
    pub domain: String,
    /// That of the forest's configuration.
    pub configuration: String,
    /// That of its own settings (NTDS Settings), under which its invocation is found.
    pub service: String,
    /// Its full name.
    pub host: Name,
    /// Everything up to this update sequence number is committed.
    pub committed: u64,
    /// Its clock.
    pub clock: Option<Timestamp>,
    /// The controls that it knows, by their object identifiers.
    pub controls: Vec<String>,
}

/// Why the answer of a server is not that of a domain controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server does not say its {0}: it is no domain controller of Active Directory")]
pub struct BadRoot(pub &'static str);

/// The most controls that are remembered; a DC of Windows Server 2022 names 40.
const CONTROLS: usize = 256;

impl Root {
    /// Reads the entry of the rootDSE.
    ///
    /// # Errors
    /// Which attribute is missing or wrong.
    pub fn read(entry: &Entry<'_>) -> Result<Self, BadRoot> {
        let text = |name| text(entry, name).ok_or(BadRoot(name));
        let controls = entry.values("supportedControl").take(CONTROLS);
        let controls = controls.filter_map(|oid| Some(std::str::from_utf8(oid).ok()?.to_owned()));
        Ok(Self {
            domain: text("defaultNamingContext")?.to_owned(),
            configuration: text("configurationNamingContext")?.to_owned(),
            service: text("dsServiceName")?.to_owned(),
            host: Name::new(text("dnsHostName")?).map_err(|_| BadRoot("dnsHostName"))?.folded(),
            committed: text("highestCommittedUSN")?
                .parse()
                .map_err(|_| BadRoot("highestCommittedUSN"))?,
            clock: text("currentTime").ok().and_then(generalized_time),
            controls: controls.collect(),
        })
    }
}

fn text<'a>(entry: &Entry<'a>, attribute: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(entry.values(attribute).next()?).ok()?;
    // Some of them come in the extended form; a name in it is kept whole elsewhere.
    let plain = value.rsplit_once(">;").map_or(value, |(_, name)| name);
    (plain.len() <= Distinguished::LIMIT).then_some(plain)
}

/// Reads a time as LDAP writes it: `20261122004530.0Z` (RFC 4517 section 3.3.13), in UTC.
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

/// The two names of a domain, and its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Its distinguished name.
    pub dn: String,
    /// `corp.example.com`
    pub dns: Name,
    /// `CORP`, in lower case.
    pub netbios: Name,
    /// What its SIDs begin with, when the server says it beside the name.
    pub sid: Option<Sid>,
}

/// Reads the crossRef of a domain; `None` for a partition that is none.
pub fn domain_names(entry: &Entry<'_>) -> Option<Naming> {
    let name = |attribute| Some(Name::new(text(entry, attribute)?).ok()?.folded());
    let place = Distinguished::parse(entry.values("nCName").next()?).ok()?;
    Some(Naming {
        dn: place.name.to_owned(),
        dns: name("dnsRoot")?,
        netbios: name("nETBIOSName")?,
        sid: place.sid.clone(),
    })
}

impl Naming {
    /// The names, once the SID is known.
    pub fn with(&self, sid: &Sid) -> DomainNames {
        DomainNames { dns: self.dns.clone(), netbios: self.netbios.clone(), sid: sid.clone() }
    }
}

/// The SID of the domain, read from its own object.
pub fn domain_sid(entry: &Entry<'_>) -> Option<Sid> {
    Sid::from_bytes(entry.values("objectSid").next()?).ok()
}

/// The invocation of a domain controller: another one after it was restored from a backup
/// (MS-ADTS 3.1.1.1.9), when its update sequence numbers mean something else.
pub fn invocation(entry: &Entry<'_>) -> Option<Guid> {
    entry.values("invocationId").next()?.try_into().map(Guid).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_clock_of_a_server_is_read() {
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
