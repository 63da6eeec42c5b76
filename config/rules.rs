//! The rules for all sources: ages, lifetimes, whom to ignore, and the names of domains.

use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::{Glob, IgnoreRules, Name, Producer, Rules, SharedAddressRule};
use strum::IntoEnumIterator;

use crate::authority::max_age;
use crate::leaf::Domain;
use crate::section::Section;

/// JIMS takes 1 to 1440 minutes; a month is for those who know that their leases last that long.
const LOGOFF_TIME: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 3600);

/// How long a shared address must be quiet: longer than the minute in which its users came, and not
/// for ever without an operator.
const QUIET: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

/// Clocks without NTP drift by minutes; an hour of future would let a replayed line win all day.
const MAX_SKEW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// Not at all is as JIMS does, the later wins; longer than a day is longer than a ticket lives.
const WEAKER_WAITS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

/// Accounts of Windows and of Microsoft's servers that log on by themselves, often from where a
/// person works; `reference.toml` says which is which.
pub(crate) const NOBODY: [&str; 16] = [
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

/// Reads the section; the authorities of the sources come later.
pub(crate) fn read(section: &Section<'_>) -> Rules {
    let default = Rules::default();
    let mut rules = Rules {
        max_age: max_age(section, "max_age").unwrap_or(default.max_age),
        max_skew: section.within("max_skew", default.max_skew, MAX_SKEW),
        logoff_time: section.within("logoff_time", default.logoff_time, LOGOFF_TIME),
        preserve_valid_user: section.or("preserve_valid_user", default.preserve_valid_user),
        weaker_proof_delay: section.within(
            "weaker_waits",
            default.weaker_proof_delay,
            WEAKER_WAITS,
        ),
        ignore: section.section("ignore", ignore),
        sharing: section.section("sharing", sharing),
        ..default
    };
    section.section("logoff_time_by_producer", |section| {
        for (producer, key) in producers() {
            if section.has(key) {
                let time = section.within(key, rules.logoff_time, LOGOFF_TIME);
                rules.logoff_time_by_producer.insert(producer, time);
            }
        }
    });
    for (alias, Domain(domain)) in section.entries::<Domain>("domain_aliases") {
        match Name::new(&alias) {
            Ok(alias) => rules.domain_aliases.extend([(alias.folded(), domain)]),
            Err(why) => section.complain("domain_aliases", format!("{alias:?}: {why}")),
        }
    }
    for domain in rules.domain_aliases.values() {
        if rules.domain_aliases.contains_key(domain) {
            let message = format!("{domain} is an alias itself: aliases are not followed twice");
            section.complain("domain_aliases", message);
        }
    }
    rules
}

/// The kinds of producer whose events can prove somebody present.
fn producers() -> impl Iterator<Item = (Producer, &'static str)> {
    Producer::iter()
        .filter(|producer| !matches!(producer, Producer::ActiveDirectory | Producer::Cache))
        .map(|producer| (producer, producer.into()))
}

fn sharing(section: &Section<'_>) -> SharedAddressRule {
    let default = SharedAddressRule::default();
    SharedAddressRule {
        users: section.within("users_per_minute", default.users, 0..=SharedAddressRule::MAX_USERS),
        quiet: section.within("quiet", default.quiet, QUIET),
        except: section.list("except").unwrap_or_default(),
    }
}

fn ignore(section: &Section<'_>) -> IgnoreRules {
    let nobody = || NOBODY.iter().filter_map(|pattern| Glob::new(pattern).ok()).collect::<Vec<_>>();
    IgnoreRules {
        users: section.list("users").unwrap_or_else(nobody).into_iter().collect(),
        domains: section.list("domains").unwrap_or_default(),
        networks: section.list("networks").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_patterns_ignore_services_and_no_person() {
        let globs: Vec<Glob> = NOBODY.iter().map(|pattern| Glob::new(pattern).unwrap()).collect();
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
