//! The authority of a source: the kinds of event, networks and domains that it may report.

use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::{Authority, Kind};
use strum::IntoEnumIterator;
use toml::Value;
use toml::de::DeValue;

use crate::scalar::{Domain, FromToml, keyword};
use crate::table_reader::TableReader;

/// The valid values of `max_age`. A day covers pushes that a client retries; a longer time would
/// let a replayed event of last week create a session.
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// The default for a sender that is not authenticated: it can extend and end sessions and report
/// devices, but not create sessions.
pub(crate) const UNAUTHENTICATED: [Kind; 5] =
    [Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::Refresh, Kind::DeviceSeen];

/// The default for a firewall that pushes events of its VPN and its captive portal.
pub(crate) const FIREWALL: [Kind; 5] =
    [Kind::VpnUp, Kind::VpnDown, Kind::Rekey, Kind::Login, Kind::Logout];

/// The kinds that a source can send.
pub(crate) fn all_kinds() -> impl Iterator<Item = Kind> {
    Kind::iter().filter(|kind| kind.is_sent())
}

impl FromToml for Kind {
    const EXPECTED: &'static str = "a kind of event in quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let kinds: Vec<&str> = all_kinds().map(Self::as_str).collect();
        keyword(value, &kinds).and_then(|kind| match kind {
            Self::Expiry => Err("\"expiry\" cannot be sent: Rollcall generates it".to_owned()),
            kind => Ok(kind),
        })
    }

    fn to_toml(&self) -> Value {
        self.as_str().into()
    }
}

/// Reads `allow`, `allow_networks`, `allow_domains` and `max_age`. The default of `allow` is
/// `kinds`.
pub(crate) fn from_table(table: &TableReader<'_>, kinds: Vec<Kind>) -> Authority {
    let domains: Vec<Domain> = table.list("allow_domains").unwrap_or_default();
    Authority {
        kinds: table.list_or("allow", kinds),
        networks: table.list("allow_networks").unwrap_or_default(),
        domains: domains.into_iter().map(|domain| domain.0).collect(),
        max_age: max_age(table),
    }
}

/// Reads `max_age`; `None` if it is absent.
pub(crate) fn max_age(table: &TableReader<'_>) -> Option<Duration> {
    table.has("max_age").then(|| table.in_range("max_age", *MAX_AGE.end(), MAX_AGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Kind, String> {
        Kind::from_toml(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn no_source_may_send_an_expiry() {
        assert_eq!(read("'vpn_up'"), Ok(Kind::VpnUp));
        assert!(read("'expiry'").is_err());
        assert!(read("'vpnup'").unwrap_err().contains("vpn_up"));
    }
}
