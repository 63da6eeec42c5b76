//! IP addresses in canonical form, and the addresses that cannot have a session.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A canonical IP address: IPv4-mapped IPv6 addresses become IPv4, and zone IDs are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Address(IpAddr);

impl Hash for Address {
    /// Hashes the address as one number. The standard library hashes the family, a length and each
    /// octet separately, and every event is looked up by its address several times.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            IpAddr::V4(v4) => state.write_u32(v4.to_bits()),
            IpAddr::V6(v6) => state.write_u128(v6.to_bits()),
        }
    }
}

/// Why an address cannot have a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAddress {
    /// 0.0.0.0 or `::`.
    #[error("the unspecified address")]
    Unspecified,
    /// 127.0.0.0/8 or `::1`.
    #[error("a loopback address")]
    Loopback,
    /// 169.254.0.0/16 or fe80::/10: the same address means a different host on each link.
    #[error("a link-local address")]
    LinkLocal,
    /// 224.0.0.0/4, ff00::/8 or 255.255.255.255.
    #[error("a multicast or broadcast address")]
    Multicast,
}

impl Address {
    /// The canonical form of `ip` (RFC 4291 section 2.5.5.2: `::ffff:a.b.c.d` is `a.b.c.d`).
    pub fn new(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }

    /// The address as a standard library type.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Checks that a user or device can be behind this address.
    ///
    /// # Errors
    /// The reason why the address is unusable.
    pub fn usable(self) -> Result<(), UnusableAddress> {
        let (unspecified, loopback, multicast) =
            (self.0.is_unspecified(), self.0.is_loopback(), self.0.is_multicast());
        let (link_local, broadcast) = match self.0 {
            IpAddr::V4(v4) => (v4.is_link_local(), v4 == Ipv4Addr::BROADCAST),
            IpAddr::V6(v6) => (v6.is_unicast_link_local(), false),
        };
        match () {
            () if unspecified => Err(UnusableAddress::Unspecified),
            () if loopback => Err(UnusableAddress::Loopback),
            () if link_local => Err(UnusableAddress::LinkLocal),
            () if multicast || broadcast => Err(UnusableAddress::Multicast),
            () => Ok(()),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(v4: Ipv4Addr) -> Self {
        Self(IpAddr::V4(v4))
    }
}

impl From<Ipv6Addr> for Address {
    fn from(v6: Ipv6Addr) -> Self {
        Self::new(IpAddr::V6(v6))
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    /// Accepts what [`IpAddr`] accepts, also in brackets and with a zone ID (`fe80::1%eth0`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let host = bare.split_once('%').map_or(bare, |(host, _zone)| host);
        host.parse().map(Self::new)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IpAddr::V4(v4) = self.0 else { return self.0.fmt(f) };
        // This runs for every journaled event, so it bypasses the formatting machinery.
        let mut text = [b'.'; "255.255.255.255".len()];
        let mut end = 0;
        for octet in v4.octets() {
            for (scale, is_written) in [(100, octet >= 100), (10, octet >= 10), (1, true)] {
                text[end] = b'0' + octet / scale % 10;
                end += usize::from(is_written);
            }
            end += 1;
        }
        f.pad(std::str::from_utf8(&text[..end - 1]).expect("digits and dots"))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unusable_addresses_are_rejected() {
        for (text, why) in [
            ("0.0.0.0", UnusableAddress::Unspecified),
            ("::", UnusableAddress::Unspecified),
            ("127.0.0.1", UnusableAddress::Loopback),
            ("::ffff:127.9.9.9", UnusableAddress::Loopback),
            ("::1", UnusableAddress::Loopback),
            ("169.254.3.4", UnusableAddress::LinkLocal),
            ("fe80::1%eth0", UnusableAddress::LinkLocal),
            ("224.0.0.1", UnusableAddress::Multicast),
            ("255.255.255.255", UnusableAddress::Multicast),
            ("ff02::1", UnusableAddress::Multicast),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().usable(), Err(why), "{text}");
        }
        assert_eq!("[2001:db8::7]".parse::<Address>().unwrap().usable(), Ok(()));
    }

    proptest! {
        #[test]
        fn the_display_matches_the_standard_library(octets: [u8; 4], hextets: [u16; 8]) {
            for ip in [IpAddr::from(octets), IpAddr::from(hextets)] {
                prop_assert_eq!(Address::new(ip).to_string(), ip.to_canonical().to_string());
                prop_assert_eq!(format!("{:>20}", Address::new(ip)), format!("{:>20}", ip.to_canonical()));
            }
        }

        #[test]
        fn a_mapped_address_is_the_ipv4_address(octets: [u8; 4]) {
            let v4 = Ipv4Addr::from(octets);
            let mapped: Address = v4.to_ipv6_mapped().into();
            prop_assert_eq!(mapped, Address::from(v4));
            prop_assert_eq!(mapped.to_string().parse::<Address>().unwrap(), mapped);
        }

        #[test]
        fn text_and_back_is_the_same_address(segments: [u16; 8]) {
            let address = Address::from(Ipv6Addr::from(segments));
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            prop_assert_eq!(format!("{address}%eth0").parse::<Address>().unwrap(), address);
        }
    }
}
