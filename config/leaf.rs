//! Single values as they are written: durations, sizes, addresses, networks, names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use rollcall_identity::{Glob, Kind, Name};
use strum::{IntoEnumIterator, VariantNames};
use toml::de::DeValue;

use crate::section::nearest;
use crate::{Format, Level, SenderTime};

/// A value that is written without keys of its own.
pub(crate) trait Leaf: Sized {
    /// What can be written, after "must be".
    const EXPECTED: &'static str;

    /// Reads it, or says in words that follow the key what is wrong.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
}

/// A leaf that has limits.
pub(crate) trait Ranged: Leaf + PartialOrd {
    /// As an administrator would write it.
    fn written(&self) -> String;
}

/// The type of a value, with its article: `an integer`.
pub(crate) fn kind_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "text".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Integer(_) => "an integer".to_owned(),
        other => format!("a {}", other.type_str()),
    }
}

fn mismatch<T: Leaf>(value: &DeValue<'_>) -> String {
    format!("is {}, must be {}", kind_of(value), T::EXPECTED)
}

fn text<'v, T: Leaf>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| mismatch::<T>(value))
}

fn not<T: Leaf>(text: &str) -> String {
    format!("{text:?} must be {}", T::EXPECTED)
}

fn number<T: Leaf>(value: &DeValue<'_>) -> Result<u64, String> {
    let integer = value.as_integer().ok_or_else(|| mismatch::<T>(value))?;
    u64::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| format!("{integer} must be {}", T::EXPECTED))
}

/// One of a closed set of words.
pub(crate) fn word<T: Leaf + FromStr>(value: &DeValue<'_>, words: &[&str]) -> Result<T, String> {
    let text = text::<T>(value)?;
    text.parse().map_err(|_| match nearest(text, words.iter().copied()) {
        Some(meant) => format!("{text:?} is unknown; did you mean \"{meant}\"?"),
        None => format!("{text:?} must be one of: {}", words.join(", ")),
    })
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| mismatch::<Self>(value))
    }
}

impl Leaf for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let number = number::<Self>(value)?;
        Self::try_from(number).map_err(|_| format!("{number} must be {}", Self::EXPECTED))
    }
}

impl Ranged for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Leaf for usize {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let number = number::<Self>(value)?;
        Self::try_from(number).map_err(|_| format!("{number} must be {}", Self::EXPECTED))
    }
}

impl Ranged for usize {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Leaf for String {
    const EXPECTED: &'static str = "text in quotes, not empty";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err(format!("is empty, must be {}", Self::EXPECTED)),
            text => Ok(text.to_owned()),
        }
    }
}

impl Leaf for PathBuf {
    const EXPECTED: &'static str = "a path in quotes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err(format!("is empty, must be {}", Self::EXPECTED)),
            text => Ok(text.into()),
        }
    }
}

impl Leaf for Name {
    const EXPECTED: &'static str = "a name in quotes, at most 256 bytes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).map_err(|why| format!("{text:?}: {why}"))
    }
}

/// The name of a domain, which compares in lower case.
pub(crate) struct Domain(pub(crate) Name);

impl Leaf for Domain {
    const EXPECTED: &'static str = "the name of a domain in quotes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let name = Name::new(text).map_err(|why| format!("{text:?}: {why}"))?;
        Ok(Self(name.folded()))
    }
}

impl Leaf for Glob {
    const EXPECTED: &'static str = "a pattern in quotes, with * ? [abc] {a,b}";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        Self::new(text::<Self>(value)?).map_err(|why| why.to_string())
    }
}

impl Leaf for Kind {
    const EXPECTED: &'static str = "a kind of event in quotes";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let kinds: Vec<&str> = sendable().map(Kind::as_str).collect();
        word(value, &kinds).and_then(|kind| match kind {
            Self::Expiry => Err("\"expiry\" is never sent: Rollcall itself makes it".to_owned()),
            kind => Ok(kind),
        })
    }
}

/// The kinds that a source can be granted.
pub(crate) fn sendable() -> impl Iterator<Item = Kind> {
    Kind::iter().filter(|kind| *kind != Kind::Expiry)
}

impl Leaf for Format {
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        word(value, Self::VARIANTS)
    }
}

impl Leaf for Level {
    const EXPECTED: &'static str = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        word(value, Self::VARIANTS)
    }
}

impl Leaf for SenderTime {
    const EXPECTED: &'static str = "\"trust\" or \"arrival\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        word(value, Self::VARIANTS)
    }
}

impl Leaf for SocketAddr {
    const EXPECTED: &'static str =
        "an address and a port in quotes: \"127.0.0.1:5514\", \"[::]:514\"";

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

/// Where times without a zone belong.
pub(crate) enum Zone {
    /// To the zone of this machine.
    Local,
    Named(TimeZone),
}

impl Leaf for Zone {
    const EXPECTED: &'static str = "\"local\", \"UTC\" or a zone such as \"Europe/Berlin\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "local" => Ok(Self::Local),
            text => TimeZone::get(text).map(Self::Named).map_err(|_| not::<Self>(text)),
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

impl Leaf for Duration {
    const EXPECTED: &'static str =
        "a time with units in quotes: \"90s\", \"15m\", \"1h30m\", \"7d\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        duration(text).ok_or_else(|| not::<Self>(text))
    }
}

/// Units of time, the largest first, with their milliseconds.
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads numbers each followed by its unit.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text.trim(), 0u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let (unit, after) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let (_, millis) = TIMES.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after.trim_start();
    }
    Some(Duration::from_millis(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl Ranged for Duration {
    fn written(&self) -> String {
        let mut rest = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let mut written = String::new();
        // A day is written as 24h: logoff times and lifetimes are spoken of in hours.
        for (unit, millis) in &TIMES[1..] {
            if rest >= *millis {
                written += &format!("{}{unit}", rest / millis);
                rest %= millis;
            }
        }
        if written.is_empty() { "0s".to_owned() } else { written }
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Bytes(pub(crate) usize);

/// Units of size (IEC 80000-13), the largest first.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Leaf for Bytes {
    const EXPECTED: &'static str = "a number of bytes, or a size in quotes: \"64 KiB\", \"8 MiB\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        if value.is_integer() {
            return usize::read(value).map(Self).map_err(|_| mismatch::<Self>(value));
        }
        let text = text::<Self>(value)?;
        let (digits, unit) = split_digits(text.trim());
        let unit = SIZES.iter().find(|(name, _)| *name == unit.trim()).map(|(_, bytes)| bytes);
        let size =
            unit.zip(digits.parse().ok()).and_then(|(unit, n): (_, usize)| n.checked_mul(*unit));
        size.map(Self).ok_or_else(|| not::<Self>(text))
    }
}

impl Ranged for Bytes {
    fn written(&self) -> String {
        let fits = |(_, bytes): &&(&str, usize)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        match SIZES.iter().find(fits) {
            Some((unit, bytes)) => format!("{} {unit}", self.0 / bytes),
            None => format!("{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: Leaf>(text: &str) -> Result<T, String> {
        T::read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn durations_have_units() {
        let seconds = |text: &str| read::<Duration>(text).map(|d| d.as_millis());
        assert_eq!(seconds("'24h'"), Ok(86_400_000));
        assert_eq!(seconds("'1h30m'"), Ok(5_400_000));
        assert_eq!(seconds("'1h 30m'"), Ok(5_400_000));
        assert_eq!(seconds("'250ms'"), Ok(250));
        for bad in ["''", "'90'", "'h'", "'1.5h'", "'-1s'", "'1w'", "'99999999999999999999d'", "90"]
        {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_may_have_units() {
        let size = |text| read::<Bytes>(text).map(|b| b.0);
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("'64 KiB'"), Ok(65_536));
        assert_eq!(size("'8MiB'"), Ok(8 << 20));
        for bad in
            ["'64 KB'", "'KiB'", "-1", "'99999999999999999999 B'", "1.5", "'17179869184 GiB'"]
        {
            assert!(size(bad).is_err(), "{bad}");
        }
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
    fn client_ids_are_what_an_srx_takes() {
        assert!(ClientId::new("srx-1_branch.example@net").is_some());
        assert!(ClientId::new(&"x".repeat(64)).is_some());
        for bad in ["", "a b", "a:b", "a\"b", "ä", &"x".repeat(65)] {
            assert!(ClientId::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn nobody_may_send_an_expiry() {
        assert_eq!(read::<Kind>("'vpn_up'"), Ok(Kind::VpnUp));
        assert!(read::<Kind>("'expiry'").is_err());
        assert!(read::<Kind>("'vpnup'").unwrap_err().contains("vpn_up"));
    }

    proptest! {
        #[test]
        fn durations_read_what_they_write(millis in 0u64..1 << 50) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&time.written()), Some(time));
        }

        #[test]
        fn sizes_read_what_they_write(size in 0usize..1 << 50) {
            prop_assert_eq!(read::<Bytes>(&format!("'{}'", Bytes(size).written())), Ok(Bytes(size)));
        }

        #[test]
        fn any_text_is_a_duration_or_not(text: String) {
            let _ = duration(&text);
        }
    }
}
