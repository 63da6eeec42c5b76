//! Parses captured values as addresses, users, devices and other fields.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use rollcall_identity::{Address, BadName, Name, Principal};
use strum::{EnumIter, EnumString, IntoStaticStr};

use super::error::SyslogParseError;

/// Group names with a fixed meaning. Other groups are keys of lookup tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumString, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum TemplateField {
    /// `alice`, `CORP\alice`, `alice@corp.example.com` or `host/pc1.corp.example.com`.
    User,
    /// The domain of a user without one.
    Domain,
    /// An address of either family, with an optional port.
    Ip,
    /// An address, for a line that has one of each family.
    Ipv4,
    /// An address, for a line that has one of each family.
    Ipv6,
    /// IKE traffic selectors in the notation of Junos. A range of one address is an address.
    Selector,
    /// The name of a device.
    Device,
    /// A separated list of groups.
    Groups,
    /// The time of the event.
    Time,
    /// The state of the device.
    Posture,
}

impl TemplateField {
    /// The name of the group.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the field has addresses.
    pub(super) fn is_address(self) -> bool {
        matches!(self, Self::Ip | Self::Ipv4 | Self::Ipv6 | Self::Selector)
    }
}

/// Lookup tables from a captured value to the value of a field, such as from a VPN name to a
/// domain. Keys ignore case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookupTables(HashMap<TemplateField, HashMap<Box<str>, Box<str>>>);

impl LookupTables {
    /// Maps `from` to `to` for `field`.
    pub fn insert(&mut self, field: TemplateField, from: &str, to: &str) {
        self.0.entry(field).or_default().insert(from.to_lowercase().into(), to.into());
    }

    /// The value of `from` for `field`.
    pub fn get(&self, field: TemplateField, from: &str) -> Option<&str> {
        let table = self.0.get(&field)?;
        let is_folded = from.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
        let key = if is_folded { Cow::Borrowed(from) } else { Cow::Owned(from.to_lowercase()) };
        table.get(&*key).map(|to| &**to)
    }
}

/// The addresses of a line, usually one IPv4 and one IPv6.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    list: [Option<Address>; Self::MOST],
    count: usize,
}

impl Addresses {
    /// The maximum number of addresses; no gateway assigns as many to one tunnel.
    const MOST: usize = 4;

    fn push(&mut self, address: Address) {
        if !self.as_slice().contains(&Some(address)) && self.count < Self::MOST {
            self.list[self.count] = Some(address);
            self.count += 1;
        }
    }

    fn as_slice(&self) -> &[Option<Address>] {
        &self.list[..self.count]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Address> {
        self.as_slice().iter().copied().flatten()
    }

    /// Adds the addresses in `text`. The unspecified address means none, as in Cisco and Palo Alto
    /// lines.
    pub(super) fn add(&mut self, field: TemplateField, text: &str) -> Result<(), SyslogParseError> {
        let text = trimmed(text);
        if field == TemplateField::Selector {
            return self.add_selectors(text);
        }
        let ip = read_ip(text).ok_or(SyslogParseError::BadAddress)?;
        if !ip.is_unspecified() {
            self.push(Address::new(ip));
        }
        Ok(())
    }

    /// `ipv4(0,0-65535,10.1.11.18-10.1.11.18) ipv6(...)` from iked, and
    /// `ipv4_subnet(any:0,[0..7]=10.1.0.0/16)` from kmd: the address is the last part of each
    /// selector.
    fn add_selectors(&mut self, text: &str) -> Result<(), SyslogParseError> {
        let selectors = text.split(')').map(|selector| {
            let mark = selector.bytes().rposition(|byte| matches!(byte, b',' | b'=' | b'('));
            trimmed(&selector[mark.map_or(0, |mark| mark + 1)..])
        });
        for selector in selectors.filter(|selector| !selector.is_empty()) {
            let single = match (selector.split_once('-'), selector.split_once('/')) {
                (Some((first, last)), _) => {
                    let ip = parse_ip(first)?;
                    Some(ip).filter(|ip| first == last || parse_ip(last) == Ok(*ip))
                }
                (None, Some((network, length))) => {
                    let ip = parse_ip(network)?;
                    Some(ip).filter(|ip| length == if ip.is_ipv4() { "32" } else { "128" })
                }
                (None, None) => Some(parse_ip(selector)?),
            };
            if let Some(ip) = single.filter(|ip| !ip.is_unspecified()) {
                self.push(Address::new(ip));
            }
        }
        if self.count == 0 { Err(SyslogParseError::SiteToSite) } else { Ok(()) }
    }
}

fn parse_ip(text: &str) -> Result<IpAddr, SyslogParseError> {
    trimmed(text).parse().map_err(|_| SyslogParseError::BadAddress)
}

/// An address, plain, in brackets, with a zone, with a port (`192.0.2.7:500`, `[2001:db8::7]:500`)
/// or in Samba's form (`ipv4:192.0.2.7:445`, `ipv6:2001:db8::7:445`).
fn read_ip(text: &str) -> Option<IpAddr> {
    if let Some(tagged) = text.strip_prefix("ipv4:").or_else(|| text.strip_prefix("ipv6:")) {
        return tagged.rsplit_once(':').and_then(|(ip, _port)| ip.parse().ok());
    }
    let plain = text.parse().ok().or_else(|| text.parse().ok().map(|s: SocketAddr| s.ip()));
    plain.or_else(|| text.parse().ok().map(Address::ip))
}

/// A user, or a computer account: RADIUS and Kerberos write `host/pc1.corp.example.com` for the
/// account `PC1$` (RFC 4120 section 6.2).
pub(super) fn principal(text: &str, domain: Option<&Name>) -> Result<Principal, BadName> {
    let text = trimmed(text);
    let is_host = text.get(..5).is_some_and(|front| front.eq_ignore_ascii_case("host/"));
    let Some(computer) = is_host.then(|| &text[5..]) else {
        return Principal::parse(text, domain);
    };
    let (computer, realm) =
        computer.split_once('@').map_or((computer, None), |(c, r)| (c, Some(r)));
    let (short, dns) = computer.split_once('.').map_or((computer, None), |(s, d)| (s, Some(d)));
    Name::new(short)?;
    let own = realm.or(dns).filter(|own| !own.is_empty()).map(Name::new).transpose()?;
    Principal::parse(&format!("{short}$"), own.as_ref().or(domain))
}

/// A device name without the `$` of its account.
pub(super) fn device(text: &str) -> Result<Name, BadName> {
    let text = trimmed(text);
    Name::new(text.strip_suffix('$').unwrap_or(text))
}

/// `text` without surrounding white space. Fast path: most values have none, which two bytes show.
pub(super) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~'] | [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// The value as UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, SyslogParseError> {
    std::str::from_utf8(bytes).map_err(|_| SyslogParseError::BadName)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(field: TemplateField, text: &str) -> Result<String, SyslogParseError> {
        let mut addresses = Addresses::default();
        addresses.add(field, text)?;
        Ok(addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn addresses_in_their_spellings() {
        for (text, wanted) in [
            ("192.0.2.7", "192.0.2.7"),
            (" 192.0.2.7:500 ", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:500", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("ipv4:192.0.2.7:445", "192.0.2.7"),
            ("ipv6:2001:db8::7:445", "2001:db8::7"),
            ("0.0.0.0", ""),
            ("::", ""),
        ] {
            assert_eq!(addresses(TemplateField::Ip, text).unwrap(), wanted, "{text}");
        }
        for text in ["192.0.2", "192.0.2.7/24", "x", "ipv4:x"] {
            assert_eq!(
                addresses(TemplateField::Ip, text),
                Err(SyslogParseError::BadAddress),
                "{text}"
            );
        }
    }

    #[test]
    fn selector_of_one_address_is_an_address() {
        for (text, wanted) in [
            (
                "ipv4(0,0-65535,10.1.11.18-10.1.11.18) ipv6(0,0-65535,2001:db8::12-2001:db8::12) ",
                "10.1.11.18 2001:db8::12",
            ),
            ("ipv4(any:0,[0..3]=10.1.11.18)", "10.1.11.18"),
            ("ipv4_subnet(any:0,[0..7]=10.1.11.18/32)", "10.1.11.18"),
            ("ipv4(0,0-65535,10.1.0.0-10.1.0.255) ipv4(0,0-65535,10.1.1.1-10.1.1.1)", "10.1.1.1"),
        ] {
            assert_eq!(addresses(TemplateField::Selector, text).unwrap(), wanted, "{text}");
        }
        for text in
            ["ipv4(0,0-65535,0.0.0.0-255.255.255.255)", "ipv4_subnet(any:0,[0..7]=0.0.0.0/0)", ""]
        {
            assert_eq!(
                addresses(TemplateField::Selector, text),
                Err(SyslogParseError::SiteToSite),
                "{text}"
            );
        }
        assert_eq!(
            addresses(TemplateField::Selector, "fqdn(any:0,x)"),
            Err(SyslogParseError::BadAddress)
        );
    }

    #[test]
    fn computer_maps_to_its_account() {
        let corp = Name::new("corp").unwrap();
        for (text, wanted) in [
            ("host/PC1.corp.example.com", "pc1$@corp.example.com"),
            ("host/pc1", "pc1$@corp"),
            ("HOST/pc1.example.com@EXAMPLE.COM", "pc1$@example.com"),
            ("CORP\\pc1$", "pc1$@corp"),
            ("hostess", "hostess@corp"),
        ] {
            assert_eq!(principal(text, Some(&corp)).unwrap().to_string(), wanted);
        }
        assert!(principal("host/", None).is_err());
    }

    proptest! {

        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn trimmed_equals_the_standard_library(text in "[ a\t\u{a0}é!~]{0,4}") {
            prop_assert_eq!(trimmed(&text), text.trim());
        }

        #[test]
        fn any_text_is_handled(text in "\\PC{0,30}|[0-9a-f:.,=()/-]{0,30}|host/.{0,10}") {
            for field in [TemplateField::Ip, TemplateField::Selector] {
                let _ = addresses(field, &text);
            }
            let _ = principal(&text, None);
            let _ = device(&text);
        }
    }
}
