//! Single values as they are written: words, numbers, names, and in files of their own times, sizes
//! and addresses.

mod address;
mod measure;

use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use rollcall_identity::directory::BaseDn;
use rollcall_identity::logon::ServerRole;
use rollcall_identity::{Glob, Kind, Name};
use rollcall_wire::event_log::call::Delivery;
use strum::{IntoEnumIterator, VariantNames};
use toml::de::DeValue;

use crate::nearest::nearest;
use crate::{
    Auth, Bind, Changes, DirectoryTransport, Format, JournalKind, Level, Mapper, SenderTime,
    Sessions,
};

pub use address::CertificatePin;
pub(crate) use address::{BaseUrl, ClientId, Host, Label, UrlPath};
pub(crate) use measure::Bytes;

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

pub(crate) fn text<'v, T: Leaf>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
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
fn word<T: Leaf + FromStr>(value: &DeValue<'_>, words: &[&str]) -> Result<T, String> {
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

impl Leaf for BaseDn {
    const EXPECTED: &'static str =
        "a distinguished name in quotes, such as OU=VPN,DC=corp,DC=example,DC=com";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).map_err(|_| not::<Self>(text))
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
    Kind::iter().filter(|kind| kind.is_sent())
}

/// Closed sets of words that are read by their own spelling.
macro_rules! words {
    ($($set:ty: $expected:literal,)*) => {
        $(impl Leaf for $set {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                word(value, Self::VARIANTS)
            }
        })*
    };
}

words! {
    JournalKind: "\"disk\" or \"memory\"",
    Format: "\"text\" or \"json\"",
    Level: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    SenderTime: "\"trust\" or \"arrival\"",
    DirectoryTransport: "\"ldaps\", \"starttls\" or \"ldap\"",
    Bind: "\"simple\", \"spnego\", \"ntlm\" or \"kerberos\"",
    Auth: "\"kerberos\", \"spnego\" or \"ntlm\"",
    Mapper: "\"anonymous\" or \"sealed\"",
    Changes: "\"usn\" or \"dirsync\"",
    Sessions: "\"keep\" or \"end\"",
}

impl Leaf for Delivery {
    const EXPECTED: &'static str = "\"pull\" or \"push\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        word(value, Self::VARIANTS)
    }
}

impl Leaf for ServerRole {
    const EXPECTED: &'static str = "\"domain_controller\" or \"exchange\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let roles: Vec<&str> = Self::iter().map(Into::into).collect();
        word(value, &roles)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Leaf>(text: &str) -> Result<T, String> {
        T::read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn nobody_may_send_an_expiry() {
        assert_eq!(read::<Kind>("'vpn_up'"), Ok(Kind::VpnUp));
        assert!(read::<Kind>("'expiry'").is_err());
        assert!(read::<Kind>("'vpnup'").unwrap_err().contains("vpn_up"));
    }
}
