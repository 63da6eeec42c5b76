//! Network values: addresses, networks, hosts, URLs, client IDs and certificate fingerprints.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use rollcall_identity::Name;
use toml::Value;
use toml::de::DeValue;

use super::{FromToml, invalid, text};

impl FromToml for SocketAddr {
    const EXPECTED: &'static str =
        "an address and a port in quotes: \"127.0.0.1:5514\", \"[::]:514\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        text.parse().map_err(|_| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.to_string().into()
    }
}

impl FromToml for IpAddr {
    const EXPECTED: &'static str = "an address, such as \"10.0.0.10\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        text.parse().map_err(|_| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.to_string().into()
    }
}

impl FromToml for IpNet {
    const EXPECTED: &'static str =
        "an address or a network in quotes: \"10.1.2.3\", \"10.1.0.0/16\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let single = |address: IpAddr| Self::from(address.to_canonical());
        let network: Self = match text.parse::<IpAddr>() {
            Ok(address) => return Ok(single(address)),
            Err(_) => text.parse().map_err(|_| invalid::<Self>(text))?,
        };
        if network != network.trunc() {
            return Err(format!(
                "{text:?} has bits outside of its mask; write \"{}\"",
                network.trunc()
            ));
        }
        match network {
            Self::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
                Err(format!("{text:?} is an IPv4-mapped IPv6 network; write it as an IPv4 network"))
            }
            network => Ok(network),
        }
    }

    fn to_toml(&self) -> Value {
        self.to_string().into()
    }
}

/// The path of a URL, with a leading slash. Junos writes paths without it.
pub(crate) struct UrlPath(pub(crate) String);

impl FromToml for UrlPath {
    const EXPECTED: &'static str = "the path of a URL, such as \"/user_query/v2\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let bare = text.trim_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let steps = |path: &str| path.split('/').all(|step| !matches!(step, "" | "." | ".."));
        if bare.chars().all(plain) && steps(bare) {
            Ok(Self(format!("/{bare}")))
        } else {
            Err(invalid::<Self>(text))
        }
    }

    fn to_toml(&self) -> Value {
        self.0.as_str().into()
    }
}

/// An OAuth 2.0 client ID that an SRX can be configured with.
pub(crate) struct ClientId(pub(crate) String);

impl FromToml for ClientId {
    const EXPECTED: &'static str = "1 to 64 printable ASCII characters in quotes, without a space";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).ok_or_else(|| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.0.as_str().into()
    }
}

impl ClientId {
    /// `None` if an SRX cannot be configured with `text`, or HTTP Basic cannot transmit it: a colon
    /// separates user and password (RFC 7617 section 2).
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len());
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b':' && b != b'"');
        (fits && plain).then(|| Self(text.to_owned()))
    }
}

/// A DNS name in lower case, or an IP address.
pub(crate) struct Host(pub(crate) String);

impl FromToml for Host {
    const EXPECTED: &'static str = "a host name or an IP address in quotes, without a port";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let label = |label: &str| (1..64).contains(&label.len()) && label.chars().all(plain);
        let name = text.len() < 254 && text.split('.').all(label);
        if name || text.parse::<IpAddr>().is_ok() {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(invalid::<Self>(text))
        }
    }

    fn to_toml(&self) -> Value {
        self.0.as_str().into()
    }
}

/// The URL of a server without a path: `https://host` or `http://host`, with an optional port.
pub(crate) struct BaseUrl(pub(crate) String);

impl FromToml for BaseUrl {
    const EXPECTED: &'static str = "a URL without a path, such as \"https://edge.example.net:443\"";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let bare = text.strip_suffix('/').unwrap_or(text);
        let host = bare.strip_prefix("https://").or(bare.strip_prefix("http://"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        match host {
            Some(host) if !host.is_empty() && host.chars().all(plain) => Ok(Self(bare.to_owned())),
            _ => Err(invalid::<Self>(text)),
        }
    }

    fn to_toml(&self) -> Value {
        self.0.as_str().into()
    }
}

/// The SHA-256 fingerprint of a certificate, as printed by `openssl x509 -fingerprint -sha256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificatePin(pub [u8; 32]);

impl FromToml for CertificatePin {
    const EXPECTED: &'static str = "the SHA-256 of a certificate in quotes: 64 hexadecimal digits";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let digits = text.replace(':', "").to_ascii_lowercase();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
        let bytes = pairs.map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8));
        let bytes: Option<Vec<u8>> = bytes.collect();
        let fits = bytes.filter(|_| digits.len() == 64).and_then(|bytes| bytes.try_into().ok());
        fits.map(Self).ok_or_else(|| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }
}

/// A name that is also used as a file name.
pub(crate) struct FileStem(pub(crate) Name);

impl FromToml for FileStem {
    const EXPECTED: &'static str = "1 to 64 letters, digits, - and _ in quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        Name::new(text).ok().filter(|_| fits).map(Self).ok_or_else(|| invalid::<Self>(text))
    }

    fn to_toml(&self) -> Value {
        self.0.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FromToml>(text: &str) -> Result<T, String> {
        T::from_toml(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn a_network_has_one_spelling() {
        let network = |text| read::<IpNet>(text).map(|n| n.to_string());
        assert_eq!(network("'10.1.2.3'"), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(network("'::ffff:10.1.2.3'"), Ok("10.1.2.3/32".to_owned()));
        assert_eq!(network("'2001:db8::/32'"), Ok("2001:db8::/32".to_owned()));
        assert!(network("'10.1.2.3/16'").unwrap_err().contains("10.1.0.0/16"));
        assert!(network("'::ffff:10.0.0.0/104'").is_err());
        assert!(network("'10.0.0.0/33'").is_err());
    }

    #[test]
    fn url_paths_begin_with_one_slash() {
        let path = |text| read::<UrlPath>(text).map(|p| p.0);
        assert_eq!(path("'user_query/v2'"), Ok("/user_query/v2".to_owned()));
        assert_eq!(path("'/user_query/v2/'"), Ok("/user_query/v2".to_owned()));
        for bad in ["''", "'/'", "'a//b'", "'a/../b'", "'a?b'", "'ä'"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let host = |text| read::<Host>(text).map(|host| host.0);
        assert_eq!(host("'DC1.corp.example.com'"), Ok("dc1.corp.example.com".to_owned()));
        assert!(host("'2001:db8::1'").is_ok());
        for bad in ["''", "'dc1:389'", "'a..b'", "'ldap://dc1'", "'dc 1'"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_has_a_host_and_no_path_or_user() {
        let url = |text| read::<BaseUrl>(text).map(|url| url.0);
        assert_eq!(url("'https://edge.example.net/'"), Ok("https://edge.example.net".to_owned()));
        assert_eq!(url("'http://[2001:db8::1]:8080'"), Ok("http://[2001:db8::1]:8080".to_owned()));
        for bad in ["'edge'", "'https://'", "'https://a/b'", "'https://u@a'", "'ftp://a'", "''"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fingerprints_are_accepted_as_openssl_prints_them() {
        let colons = format!("'{}FF'", "0A:".repeat(31));
        let CertificatePin(pin) = read(&colons).unwrap();
        assert_eq!((pin[0], pin[31]), (0x0a, 0xff));
        assert!(read::<CertificatePin>(&format!("'{}'", "ab".repeat(32))).is_ok());
        for bad in ["'ab'", &format!("'{}'", "g".repeat(64)), &format!("'{}a'", "ab".repeat(32))] {
            assert!(read::<CertificatePin>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_stem_cannot_leave_its_folder() {
        assert!(read::<FileStem>("'secure-edge_1'").is_ok());
        for bad in ["''", "'..'", "'a/b'", "'a b'", "'é'"] {
            assert!(read::<FileStem>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_ids_are_those_that_an_srx_accepts() {
        assert!(ClientId::new("srx-1_branch.example@net").is_some());
        assert!(ClientId::new(&"x".repeat(64)).is_some());
        for bad in ["", "a b", "a:b", "a\"b", "ä", &"x".repeat(65)] {
            assert!(ClientId::new(bad).is_none(), "{bad}");
        }
    }
}
