//! The `rules` table: event ages, session lifetimes, ignored events, shared addresses, domain aliases.

use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::{Glob, IgnoreRules, Name, Producer, Rules, SharedAddressRule};
use strum::IntoEnumIterator;

use crate::authority::max_age;
use crate::scalar::{Domain, FromToml};
use crate::table_reader::TableReader;

/// JIMS accepts 1 to 1440 minutes. Up to 30 days are accepted for networks with long leases.
const LOGOFF_TIME: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

/// The minimum is the shortest logoff time. The maximum is that of a certificate-based VPN tunnel
/// that is rekeyed for a year.
const MAX_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);

/// The minimum is the minute in which the users are counted. After the maximum of a day, a shared
/// address recovers without an operator.
const QUIET_PERIOD: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

/// Clocks without NTP drift by minutes. With more than an hour, a replayed line with a future time
/// would override all later events.
const MAX_CLOCK_SKEW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// With 0 the latest event decides, as in JIMS. A Kerberos ticket is valid for less than a day, so
/// that a longer delay has no use.
const WEAKER_PROOF_DELAY: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 3600);

/// Service accounts of Windows and of Microsoft servers that log on without a person, often at the
/// address of a person. `reference.toml` explains each pattern.
pub(crate) const SERVICE_ACCOUNTS: [&str; 16] = [
    "HealthMailbox*",
    "SystemMailbox*",
    "DiscoverySearchMailbox*",
    "FederatedEmail.*",
    "Migration.8f3e7716*",
    "MSOL_*",
    "AAD_*",
    "krbtgt*",
    "ANONYMOUS LOGON",
    "LOCAL SERVICE",
    "NETWORK SERVICE",
    "SYSTEM",
    "IUSR",
    "DWM-*",
    "UMFD-*",
    "Window Manager*",
];

/// Reads the table. The authorities of the sources are added by the caller.
pub(crate) fn from_table(table: &TableReader<'_>) -> Rules {
    let default = Rules::default();
    table.set_effective("max_age", default.max_age.to_toml());
    let mut rules = Rules {
        max_age: max_age(table).unwrap_or(default.max_age),
        max_clock_skew: table.in_range("max_clock_skew", default.max_clock_skew, MAX_CLOCK_SKEW),
        logoff_time: table.in_range("logoff_time", default.logoff_time, LOGOFF_TIME),
        max_lifetime: table.in_range("max_lifetime", default.max_lifetime, MAX_LIFETIME),
        max_sessions: table.in_range("max_sessions", default.max_sessions, 1..=100_000_000),
        preserve_valid_user: table.get_or("preserve_valid_user", default.preserve_valid_user),
        weaker_proof_delay: table.in_range(
            "weaker_proof_delay",
            default.weaker_proof_delay,
            WEAKER_PROOF_DELAY,
        ),
        ignore: table.subtable("ignore", ignore),
        shared_addresses: table.subtable("shared_addresses", shared_addresses),
        ..default
    };
    table.subtable("logoff_time_by_producer", |table| {
        for (producer, key) in producers() {
            if table.has(key) {
                let time = table.in_range(key, rules.logoff_time, LOGOFF_TIME);
                rules.logoff_time_by_producer.insert(producer, time);
            }
        }
    });
    for (alias, Domain(domain)) in table.entries::<Domain>("domain_aliases") {
        match Name::new(&alias) {
            Ok(alias) => rules.domain_aliases.extend([(alias.folded(), domain)]),
            Err(error) => table.error_at("domain_aliases", format!("{alias:?}: {error}")),
        }
    }
    for domain in rules.domain_aliases.values() {
        if rules.domain_aliases.contains_key(domain) {
            let message = format!(
                "maps to {domain}, which is an alias itself; aliases are not resolved recursively"
            );
            table.error_at("domain_aliases", message);
        }
    }
    rules
}

/// The kinds of producer whose events can begin a session.
fn producers() -> impl Iterator<Item = (Producer, &'static str)> {
    Producer::iter()
        .filter(|producer| !matches!(producer, Producer::ActiveDirectory | Producer::Cache))
        .map(|producer| (producer, producer.into()))
}

fn shared_addresses(table: &TableReader<'_>) -> SharedAddressRule {
    let default = SharedAddressRule::default();
    SharedAddressRule {
        max_users_per_minute: table.in_range(
            "max_users_per_minute",
            default.max_users_per_minute,
            0..=SharedAddressRule::MAX_USERS,
        ),
        quiet_period: table.in_range("quiet_period", default.quiet_period, QUIET_PERIOD),
        exempt_networks: table.list_or("exempt_networks", Vec::new()),
    }
}

fn ignore(table: &TableReader<'_>) -> IgnoreRules {
    let service_accounts = SERVICE_ACCOUNTS.iter().filter_map(|pattern| Glob::new(pattern).ok());
    IgnoreRules {
        users: table.list_or("users", service_accounts.collect()).into_iter().collect(),
        domains: table.list_or("domains", Vec::new()),
        networks: table.list_or("networks", Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_patterns_match_service_accounts_and_no_person() {
        let globs: Vec<Glob> =
            SERVICE_ACCOUNTS.iter().map(|pattern| Glob::new(pattern).unwrap()).collect();
        let ignored = |name| globs.iter().any(|glob| glob.matches(name));
        for service in ["HealthMailbox0a1b2c3", "umfd-3", "system", "krbtgt_12345", "MSOL_0123abcd"]
        {
            assert!(ignored(service), "{service}");
        }
        for person in ["alice", "systemic", "msolomon", "dwmiller", "iusrael", "aadler"] {
            assert!(!ignored(person), "{person}");
        }
    }
}
