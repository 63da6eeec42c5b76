//! Selects the sessions that an enforcement point receives, by domain and network.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{Address, Cause, Change, Effect, Glob, Name, Session, Timestamp};

/// The sessions that a consumer receives. The default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Domains, as names or globs; empty means all. Sessions without a known domain, and devices
    /// without a user, match only an empty list.
    pub domains: Vec<Glob>,
    /// IPv4 and IPv6 networks; empty means all.
    pub include: Vec<IpNet>,
    /// Networks that are excluded, even if included above.
    pub exclude: Vec<IpNet>,
    /// A second filter that must match too; see [`Filter::both`].
    pub also: Option<Box<Filter>>,
}

impl Filter {
    /// The intersection of both filters: an enforcement point's configured filter and the one in
    /// its request. Merging the lists would admit more than either.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        let rest = match self.also {
            Some(rest) => rest.both(other),
            None => other,
        };
        Self { also: Some(Box::new(rest)), ..self }
    }

    /// Whether the consumer receives the session.
    pub fn admits(&self, session: &Session) -> bool {
        self.admits_address(session.address) && self.admits_domain(session.domain())
    }

    /// Whether the consumer receives any session of this address.
    pub fn admits_address(&self, address: Address) -> bool {
        let ip = address.ip();
        (self.include.is_empty() || self.include.iter().any(|network| network.contains(&ip)))
            && !self.exclude.iter().any(|network| network.contains(&ip))
            && self.also.as_ref().is_none_or(|and| and.admits_address(address))
    }

    /// Reduces a change for a consumer that may hold sessions of an earlier filter: a session that
    /// is not admitted becomes a logout without a name, at `now`.
    pub fn redact(&self, change: &mut Change, now: Timestamp) {
        let admitted = |session: &Arc<Session>| self.admits(session);
        let had_session = change.after.is_some();
        change.after = change.after.take().filter(admitted);
        change.before = change.before.take().filter(admitted);
        if had_session && change.after.is_none() {
            change.effect = Effect::Ended;
            // The hidden login may be older than the login that the firewall holds, and a firewall
            // may ignore a logout that precedes its login.
            change.cause = Cause { at: now, ..change.cause.clone() };
        }
    }

    /// Whether users of this domain are admitted; `None` is an unknown domain.
    pub fn admits_domain(&self, domain: Option<&Name>) -> bool {
        let named = |domain: &Name| self.domains.iter().any(|glob| glob.matches(domain.as_str()));
        (self.domains.is_empty() || domain.is_some_and(named))
            && self.also.as_ref().is_none_or(|and| and.admits_domain(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(globs: &[&str]) -> Filter {
        let domains = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
        Filter { domains, ..Filter::default() }
    }

    fn networks(include: &[&str], exclude: &[&str]) -> Filter {
        let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Filter { include: parsed(include), exclude: parsed(exclude), ..Filter::default() }
    }

    fn admits_address(filter: &Filter, text: &str) -> bool {
        filter.admits_address(text.parse().unwrap())
    }

    fn admits_domain(filter: &Filter, text: &str) -> bool {
        filter.admits_domain(Some(&Name::new(text).unwrap()))
    }

    #[test]
    fn the_default_admits_everything() {
        let all = Filter::default();
        assert!(admits_address(&all, "10.0.0.7") && admits_address(&all, "2001:db8::7"));
        assert!(admits_domain(&all, "corp") && all.admits_domain(None));
    }

    #[test]
    fn domains_are_globs_and_an_unknown_domain_is_none_of_them() {
        let filter = domains(&["corp", "*.example.com"]);
        assert!(admits_domain(&filter, "corp") && admits_domain(&filter, "a.example.com"));
        assert!(!admits_domain(&filter, "corporate") && !filter.admits_domain(None));
    }

    #[test]
    fn an_excluded_network_is_out_although_included() {
        let filter = networks(&["10.0.0.0/8", "2001:db8::/32"], &["10.1.0.0/16"]);
        assert!(admits_address(&filter, "10.2.0.1") && admits_address(&filter, "2001:db8::1"));
        assert!(!admits_address(&filter, "10.1.0.1"));
        assert!(!admits_address(&filter, "192.0.2.1") && !admits_address(&filter, "2001:db9::1"));
    }

    #[test]
    fn both_is_never_wider_than_either() {
        let both = domains(&["corp", "lab"]).both(domains(&["lab", "home"]));
        let both = both.both(networks(&["10.0.0.0/8"], &[]));
        assert!(admits_domain(&both, "lab"));
        assert!(!admits_domain(&both, "corp") && !admits_domain(&both, "home"));
        assert!(admits_address(&both, "10.0.0.1") && !admits_address(&both, "192.0.2.1"));
    }
}
