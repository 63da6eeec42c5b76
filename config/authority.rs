//! The authority of a source: the kinds of event, networks, domains and details that it may report.

use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::{Authority, Glob, Grant, Kind, RoleGrant};
use strum::IntoEnumIterator;
use toml::Value;
use toml::de::DeValue;

use crate::scalar::{Domain, FromToml, keyword};
use crate::table_reader::TableReader;

/// The valid values of `max_age`. A day covers pushes that a client retries; a longer time would
/// let a replayed event of last week create a session.
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// The default for a sender that is not authenticated: it can extend and end sessions.
pub(crate) const UNAUTHENTICATED: [Kind; 4] =
    [Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::Refresh];

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

/// The default quota of sessions of a source that authenticates itself: more than the users of a
/// large site.
pub(crate) const MAX_SESSIONS: usize = 1_000_000;

/// The default quota of a sender that is identified by its address, which can be forged. Enough for a
/// large VPN gateway, and little of the memory.
pub(crate) const MAX_UNAUTHENTICATED_SESSIONS: usize = 50_000;

/// The keys that say where and with which details the kinds of `allow` are granted.
const RESTRICTIONS: [&str; 5] =
    ["allow_networks", "allow_domains", "allow_roles", "allow_device", "allow_posture"];

/// Reads the authority of a source that sends events: the grant of the table itself, those of
/// `grants`, `max_age` and `max_sessions`. The default of `allow` is `kinds`.
pub(crate) fn from_table(
    table: &TableReader<'_>,
    kinds: Vec<Kind>,
    max_sessions: usize,
) -> Authority {
    if kinds.is_empty() && !table.has("allow") && RESTRICTIONS.iter().any(|key| table.has(key)) {
        table.error_at("allow", "is missing: list the kinds of event that the table grants");
    }
    let mut grants = vec![Grant { kinds: table.list_or("allow", kinds), ..grant(table) }];
    grants.extend(table.subtables("grants", |table| {
        if !table.has("allow") {
            table.error_at("allow", "is missing: list the kinds of event that this grant covers");
        }
        Some(Grant { kinds: table.list("allow").unwrap_or_default(), ..grant(table) })
    }));
    grants.retain(|grant| !grant.kinds.is_empty());
    Authority { grants, max_age: max_age(table), max_sessions: quota(table, max_sessions) }
}

/// Reads the authority of servers whose logs are read. Windows names the computer of a logon and
/// proves it by the computer's account; its logs have no roles and no postures.
pub(crate) fn from_log_table(table: &TableReader<'_>, kinds: Vec<Kind>) -> Authority {
    let grant = Grant { kinds: table.list_or("allow", kinds), device: true, ..scope(table) };
    let max_sessions = quota(table, MAX_SESSIONS);
    Authority { grants: vec![grant], max_age: max_age(table), max_sessions }
}

/// Reads `max_sessions`.
fn quota(table: &TableReader<'_>, default: usize) -> Option<usize> {
    Some(table.in_range("max_sessions", default, 1..=100_000_000))
}

/// Reads the scope and the details of a grant.
fn grant(table: &TableReader<'_>) -> Grant {
    let roles: Vec<Glob> = table.list("allow_roles").unwrap_or_default();
    let all = |glob: &Glob| glob.to_string() == "*";
    Grant {
        roles: match roles.as_slice() {
            [] => RoleGrant::None,
            globs if globs.iter().any(all) => RoleGrant::All,
            _ => RoleGrant::Matching(roles),
        },
        device: table.get_or("allow_device", true),
        posture: table.get_or("allow_posture", false),
        ..scope(table)
    }
}

/// Reads `allow_networks` and `allow_domains`.
fn scope(table: &TableReader<'_>) -> Grant {
    let domains: Vec<Domain> = table.list("allow_domains").unwrap_or_default();
    Grant {
        networks: table.list("allow_networks").unwrap_or_default(),
        domains: domains.into_iter().map(|domain| domain.0).collect(),
        ..Grant::default()
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
