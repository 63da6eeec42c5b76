//! Addresses, networks, paths of URLs and client ids: what says who is spoken with.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rollcall_identity::Name;
use toml::de::DeValue;

use super::{Leaf, not, text};

impl Leaf for SocketAddr {
    const EXPECTED: &'static str =
        "an address and a port in quotes: \"127.0.0.1:5514\", \"[::]:514\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        text.parse().map_err(|_| not::<Self>(text))
    }
}

impl Leaf for IpAddr {
    const EXPECTED: &'static str = "an address, such as \"10.0.0.10\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        text.parse().map_err(|_| not::<Self>(text))
    }
}

impl Leaf for IpNet {
    const EXPECTED: &'static str =
        "an address or a network in quotes: \"10.1.2.3\", \"10.1.0.0/16\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let single = |address: IpAddr| Self::from(address.to_canonical());
        let network: Self = match text.parse::<IpAddr>() {
            Ok(address) => return Ok(single(address)),
            Err(_) => text.parse().map_err(|_| not::<Self>(text))?,
        };
        if network != network.trunc() {
            return Err(format!(
                "{text:?} has bits beyond its mask; write \"{}\"",
                network.trunc()
            ));
        }
        match network {
            Self::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
                Err(format!("{text:?} is an IPv4 network in IPv6's clothes; write it as IPv4"))
            }
            network => Ok(network),
        }
    }
}

/// The path of a URL, with the slash that Junos leaves out put before it.
pub(crate) struct UrlPath(pub(crate) String);

impl Leaf for UrlPath {
    const EXPECTED: &'static str = "the path of a URL, such as \"/user_query/v2\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let bare = text.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let steps = |path: &str| path.split('/').all(|step| !matches!(step, "" | "." | ".."));
        if bare.chars().all(plain) && steps(bare) {
            Ok(Self(format!("/{bare}")))
        } else {
            Err(not::<Self>(text))
        }
    }
}

/// An OAuth2 client id, within what an SRX can be configured with.
pub(crate) struct ClientId(pub(crate) String);

impl Leaf for ClientId {
    const EXPECTED: &'static str = "1 to 64 printable ASCII characters in quotes, without a space";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).ok_or_else(|| not::<Self>(text))
    }
}

impl ClientId {
    /// Checks `text`. A colon would end the id in HTTP Basic (RFC 7617 section 2).
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b':' && b != b'"');
        (fits && plain).then(|| Self(text.to_owned()))
    }
}

/// A host, by its name in DNS or its address.
pub(crate) struct Host(pub(crate) String);

impl Leaf for Host {
    const EXPECTED: &'static str = "the name of a host or an address, in quotes, without a port";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let label = |label: &str| (1..64).contains(&label.len()) && label.chars().all(plain);
        let name = text.len() < 254 && text.split('.').all(label);
        if name || text.parse::<IpAddr>().is_ok() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(not::<Self>(text))
        }
    }
}

/// Where a server is: `https://host` or `http://host`, with a port and without a path.
pub(crate) struct BaseUrl(pub(crate) String);

impl Leaf for BaseUrl {
    const EXPECTED: &'static str = "a URL without a path, such as \"https://edge.example.net:443\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let bare = text.strip_suffix('/').unwrap_or(text);
        let host = bare.strip_prefix("https://").or(bare.strip_prefix("http://"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        match host {
            Some(host) if !host.is_empty() && host.chars().all(plain) => Ok(Self(bare.to_owned())),
            _ => Err(not::<Self>(text)),
        }
    }
}

/// SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificatePin(pub [u8; 32]);

impl Leaf for CertificatePin {
    const EXPECTED: &'static str = "the SHA-256 of a certificate in quotes: 64 hexadecimal digits";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let digits = text.replace(':', "").to_ascii_lowercase();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
        let bytes = pairs.map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8));
        let bytes: Option<Vec<u8>> = bytes.collect();
        let fits = bytes.filter(|_| digits.len() == 64).and_then(|bytes| bytes.try_into().ok());
        fits.map(Self).ok_or_else(|| not::<Self>(text))
    }
}

/// A name that can also be that of a file.
pub(crate) struct Label(pub(crate) Name);

impl Leaf for Label {
    const EXPECTED: &'static str = "1 to 64 letters, digits, - and _ in quotes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        Name::new(text).ok().filter(|_| fits).map(Self).ok_or_else(|| not::<Self>(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Leaf>(text: &str) -> Result<T, String> {
        T::read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn networks_mean_one_thing() {
        let network = |text| read::<IpNet>(text).map(|n| n.to_string());
        assert_eq!(network("'10.1.2.3'"), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(network("'::ffff:10.1.2.3'"), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(network("'2001:db8::/32'"), Ok("2001:db8::/32".to_owned()));
        assert!(network("'10.1.2.3/16'").unwrap_err().contains("10.1.0.0/16"));
        assert!(network("'::ffff:10.0.0.0/104'").is_err());
        assert!(network("'10.0.0.0/33'").is_err());
    }

    #[test]
    fn paths_of_urls_get_one_slash() {
        let path = |text| read::<UrlPath>(text).map(|p| p.0);
        assert_eq!(path("'user_query/v2'"), Ok("/user_query/v2".to_owned()));
        assert_eq!(path("'/user_query/v2/'"), Ok("/user_query/v2".to_owned()));
        for bad in ["''", "'/'", "'a//b'", "'a/../b'", "'a?b'", "'ä'"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_have_names_or_addresses() {
        let host = |text| read::<Host>(text).map(|host| host.0);
        assert_eq!(host("'DC1.corp.example.com'"), Ok("dc1.corp.example.com".to_owned()));
        assert!(host("'2001:db8::1'").is_ok());
        for bad in ["''", "'dc1:389'", "'a..b'", "'ldap://dc1'", "'dc 1'"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_have_a_host_and_no_path_or_user() {
        let url = |text| read::<BaseUrl>(text).map(|url| url.0);
        assert_eq!(url("'https://edge.example.net/'"), Ok("https://edge.example.net".to_owned()));
        assert_eq!(url("'http://[2001:db8::1]:8080'"), Ok("http://[2001:db8::1]:8080".to_owned()));
        for bad in ["'edge'", "'https://'", "'https://a/b'", "'https://u@a'", "'ftp://a'", "''"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pins_are_read_as_openssl_writes_them() {
        let colons = format!("'{}FF'", "0A:".repeat(31));
        let CertificatePin(pin) = read(&colons).unwrap();
        assert_eq!((pin[0], pin[31]), (0x0a, 0xff));
        assert!(read::<CertificatePin>(&format!("'{}'", "ab".repeat(32))).is_ok());
        for bad in ["'ab'", &format!("'{}'", "g".repeat(64)), &format!("'{}a'", "ab".repeat(32))] {
            assert!(read::<CertificatePin>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_stay_in_their_folder() {
        assert!(read::<Label>("'secure-edge_1'").is_ok());
        for bad in ["''", "'..'", "'a/b'", "'a b'", "'é'"] {
            assert!(read::<Label>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_ids_are_what_an_srx_takes() {
        assert!(ClientId::new("srx-1_branch.example@net").is_some());
        assert!(ClientId::new(&"x".repeat(64)).is_some());
        for bad in ["", "a b", "a:b", "a\"b", "ä", &"x".repeat(65)] {
            assert!(ClientId::new(bad).is_none(), "{bad}");
        }
    }
}
