//! What a source may speak for, as it is written beside the source.

use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::{Authority, Kind};

use crate::leaf::{Domain, sendable};
use crate::section::Section;

/// How old an event may be at most to change a session: a day of retried pushes, and no replay of
/// last week's.
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What an unauthenticated sender may do: keep alive and end what is there, name devices.
pub(crate) const REFRESH_AND_END: [Kind; 5] =
    [Kind::Logout, Kind::VpnDown, Kind::Rekey, Kind::Refresh, Kind::DeviceSeen];

/// What a firewall pushes of its VPN and its captive portal.
pub(crate) const FIREWALL: [Kind; 5] =
    [Kind::VpnUp, Kind::VpnDown, Kind::Rekey, Kind::Login, Kind::Logout];

/// Every kind that a source can send.
pub(crate) fn everything() -> Vec<Kind> {
    sendable().collect()
}

/// Reads `may`, `for_networks`, `for_domains` and `max_age`; without `may`, `kinds` are granted.
pub(crate) fn read(section: &Section<'_>, kinds: Vec<Kind>) -> Authority {
    let domains: Vec<Domain> = section.list("for_domains").unwrap_or_default();
    Authority {
        kinds: section.list("may").unwrap_or(kinds),
        networks: section.list("for_networks").unwrap_or_default(),
        domains: domains.into_iter().map(|domain| domain.0).collect(),
        max_age: max_age(section, "max_age"),
    }
}

/// An age of events within [`MAX_AGE`], when one is written.
pub(crate) fn max_age(section: &Section<'_>, key: &'static str) -> Option<Duration> {
    section.has(key).then(|| section.within(key, *MAX_AGE.end(), MAX_AGE))
}
