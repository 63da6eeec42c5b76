//! The rules that decisions depend on: authority of sources, ignored users, session lifetime.

use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use ipnet::IpNet;

use crate::{Address, Authority, Glob, Globs, Name, Producer};

/// Events to ignore, whatever their source. Ends are not ignored: a user who logged in before the
/// rule existed can still log out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRules {
    /// Globs over `user` and `user@domain`.
    pub users: Globs,
    /// Globs over domains.
    pub domains: Vec<Glob>,
    /// IPv4 and IPv6 networks.
    pub networks: Vec<IpNet>,
}

/// When an address is treated as shared: too many users log in, and it gets no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedAddressRule {
    /// The maximum number of users per minute and address, at most
    /// [`SharedAddressRule::MAX_USERS`]; 0 disables the rule.
    pub max_users_per_minute: usize,
    /// How long a shared address must be without logins before it gets sessions again.
    pub quiet_period: Duration,
    /// Networks that are exempt from the rule.
    pub exempt_networks: Vec<IpNet>,
}

impl Default for SharedAddressRule {
    /// 10 users, and 15 minutes.
    fn default() -> Self {
        Self {
            max_users_per_minute: 10,
            quiet_period: Duration::from_secs(15 * 60),
            exempt_networks: Vec::new(),
        }
    }
}

impl SharedAddressRule {
    /// The highest configurable number of users, because so many are remembered per address.
    pub const MAX_USERS: usize = 50;

    /// Whether the rule applies to `address`.
    pub(crate) fn applies_to(&self, address: Address) -> bool {
        let ip = address.ip();
        self.max_users_per_minute > 0
            && !self.exempt_networks.iter().any(|network| network.contains(&ip))
    }
}

/// Everything that a decision depends on besides the event and the state of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The authority of each source, by producer and client name.
    pub authorities: HashMap<(Name, Name), Authority>,
    /// Events to ignore.
    pub ignore: IgnoreRules,
    /// The addresses of the machine that Rollcall runs on, which never have a session. Set at run
    /// time, not by the configuration.
    pub own_addresses: Vec<Address>,
    /// Aliases of domains, all in lower case: `corp` is `corp.example.com`.
    pub domain_aliases: HashMap<Name, Name>,
    /// The maximum age of an event that begins, extends or changes a session. Ends have no maximum
    /// age.
    pub max_age: Duration,
    /// How far in the future an event may be.
    pub max_clock_skew: Duration,
    /// How long a session lasts after the last confirmation of the user.
    pub logoff_time: Duration,
    /// The same, by kind of producer.
    pub logoff_time_by_producer: HashMap<Producer, Duration>,
    /// How long sources that may not begin sessions can extend a session after its last proof: the
    /// last event of a source that may.
    pub max_lifetime: Duration,
    /// The maximum number of sessions of all sources together. Beyond it, no session begins.
    pub max_sessions: usize,
    /// A null user never replaces a valid user.
    pub preserve_valid_user: bool,
    /// When an address is treated as shared.
    pub shared_addresses: SharedAddressRule,
    /// How long a user must be inactive before a weaker [`Proof`](crate::Proof) of another user
    /// takes the address over.
    pub weaker_proof_delay: Duration,
}

/// A Windows computer in a domain confirms its user at this interval at most: it fetches the user's
/// policies from a domain controller every 90 minutes plus a random 0 to 30, and authenticates for
/// it (Microsoft, "Group Policy refresh interval for users").
const GROUP_POLICY_REFRESH: Duration = Duration::from_secs(2 * 3600);

impl Default for Rules {
    /// The JIMS logoff time of 24 hours, a maximum lifetime of 7 days, a maximum age of 15 minutes,
    /// and a maximum skew of 5 minutes.
    fn default() -> Self {
        Self {
            authorities: HashMap::new(),
            ignore: IgnoreRules::default(),
            own_addresses: Vec::new(),
            domain_aliases: HashMap::new(),
            max_age: Duration::from_secs(15 * 60),
            max_clock_skew: Duration::from_secs(5 * 60),
            logoff_time: Duration::from_secs(24 * 3600),
            logoff_time_by_producer: HashMap::new(),
            max_lifetime: Duration::from_secs(7 * 24 * 3600),
            max_sessions: 5_000_000,
            preserve_valid_user: true,
            shared_addresses: SharedAddressRule::default(),
            weaker_proof_delay: GROUP_POLICY_REFRESH,
        }
    }
}

impl Rules {
    /// The authority of the client `client` of the producer `producer`, if configured.
    pub fn authority(&self, producer: &Name, client: &Name) -> Option<&Authority> {
        self.authorities.get(&Source(producer, client))
    }

    /// How long ended sessions and refusals must be retained: no accepted login is older, and
    /// administrators can ask for a full logoff time why a user lost an address.
    pub fn retention(&self) -> Duration {
        let ages = self.authorities.values().filter_map(|authority| authority.max_age);
        let own = self.max_age.max(self.logoff_time).max(self.shared_addresses.quiet_period);
        ages.fold(own, Duration::max)
    }

    /// How long a session lasts after an event from this kind of producer.
    pub fn logoff_time_of(&self, producer: Producer) -> Duration {
        self.logoff_time_by_producer.get(&producer).copied().unwrap_or(self.logoff_time)
    }
}

/// A borrowed key of [`Rules::authorities`], which avoids copying two names per event.
#[derive(Hash)]
pub(crate) struct Source<'a>(pub(crate) &'a Name, pub(crate) &'a Name);

impl Equivalent<(Name, Name)> for Source<'_> {
    fn equivalent(&self, (producer, client): &(Name, Name)) -> bool {
        self.0 == producer && self.1 == client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn an_authority_is_found_by_both_names() {
        let mut rules = Rules::default();
        let key = (name("syslog"), name("branch-fw"));
        rules.authorities.insert(key, Authority::unrestricted([Kind::Login]));
        assert!(rules.authority(&name("syslog"), &name("branch-fw")).is_some());
        assert!(rules.authority(&name("branch-fw"), &name("syslog")).is_none());
        assert!(rules.authority(&name("syslog"), &name("other-fw")).is_none());
    }
}
