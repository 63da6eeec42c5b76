//! The rules that decisions depend on: authority of sources, ignored users, session lifetime.

use std::borrow::Cow;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use hashbrown::{Equivalent, HashMap};
use ipnet::IpNet;

use crate::{Address, Authority, Name, Principal, Producer};

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

/// A case-insensitive pattern with `*`, `?`, `[abc]` and `{a,b}` that must match the whole name.
#[derive(Debug, Clone)]
pub struct Glob(GlobMatcher);

impl Glob {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// If the pattern is invalid.
    pub fn new(pattern: &str) -> Result<Self, globset::Error> {
        // Both sides are converted to lower case: case-insensitive matching is ten times slower.
        let glob = GlobBuilder::new(&pattern.to_lowercase())
            .literal_separator(false)
            .backslash_escape(false)
            .build()?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(folded(name).as_ref())
    }

    /// Whether `user@domain` can match although the user alone does not. A literal pattern or a
    /// prefix such as `svc-*` cannot.
    fn spans_domain(&self) -> bool {
        let pattern = self.0.glob().glob();
        let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
        beginning.is_empty() || beginning.contains(['@', '*', '?', '[', '{'])
    }
}

/// `name` in lower case, borrowed if it already is.
fn folded(name: &str) -> Cow<'_, str> {
    let plain = name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

impl PartialEq for Glob {
    /// Patterns are equal if their text is equal, ignoring case.
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl Eq for Glob {}

impl std::fmt::Display for Glob {
    /// The pattern, in lower case.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.glob().glob().fmt(f)
    }
}

/// Many patterns over users, matched together: every event is checked against them.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    all: Vec<Glob>,
    users: GlobSet,
    /// The patterns that `user@domain` can match although the user alone does not.
    spanning: GlobSet,
}

impl Globs {
    /// The patterns, in their original order.
    pub fn as_slice(&self) -> &[Glob] {
        &self.all
    }

    /// Whether the user, or `user@domain`, matches a pattern.
    pub fn match_principal(&self, principal: &Principal) -> bool {
        !self.users.is_empty() && self.users.is_match(principal.user.as_str())
            || !self.spanning.is_empty() && self.spanning.is_match(principal.to_string())
    }
}

impl FromIterator<Glob> for Globs {
    fn from_iter<I: IntoIterator<Item = Glob>>(globs: I) -> Self {
        let all: Vec<Glob> = globs.into_iter().collect();
        let set = |wanted: &dyn Fn(&Glob) -> bool| {
            let mut set = GlobSetBuilder::new();
            for glob in all.iter().filter(|glob| wanted(glob)) {
                set.add(glob.0.glob().clone());
            }
            set.build().expect("each of them was compiled by itself already")
        };
        let (users, spanning) = (set(&|_| true), set(&Glob::spans_domain));
        Self { all, users, spanning }
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Eq for Globs {}

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

    #[test]
    fn a_glob_matches_the_whole_name_in_any_case() {
        let glob = Glob::new("svc-*").unwrap();
        assert!(glob.matches("SVC-backup"));
        assert!(!glob.matches("not-svc-backup"));
        assert!(Glob::new("{alice,bob}").unwrap().matches("bob"));
        assert!(Glob::new("[").is_err());
    }

    #[test]
    fn a_glob_set_matches_like_its_globs() {
        let patterns = ["svc-*", "*@lab.test", "SYSTEM", "*.corp", "a?c", "{x,y}", "dwm-*"];
        let globs: Vec<Glob> = patterns.iter().map(|p| Glob::new(p).unwrap()).collect();
        let many: Globs = globs.iter().cloned().collect();
        let users = ["svc-db", "alice@lab.test", "system@corp", "bob@ad.corp", "abc", "abc@corp"];
        for user in users.iter().chain(&["x", "z", "dwm-1@corp", "dwm", "alice", "systemd"]) {
            let principal = Principal::parse(user, None).unwrap();
            let (user, full) = (principal.user.as_str(), principal.to_string());
            let each = globs.iter().any(|glob| glob.matches(user) || glob.matches(&full));
            assert_eq!(many.match_principal(&principal), each, "{full}");
        }
    }
}
