//! Which sessions an enforcement point wants to hear of: by domain and by network.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{Address, Cause, Change, Effect, Glob, Name, Session, Timestamp};

/// What a consumer is told of. The default is everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Domains, as names or globs; empty means all. Sessions whose domain is not known, and
    /// devices without a user, are told of only when this is empty.
    pub domains: Vec<Glob>,
    /// Networks, IPv4 and IPv6; empty means all.
    pub include: Vec<IpNet>,
    /// Networks that are left out even where they are included.
    pub exclude: Vec<IpNet>,
    /// A second filter that must admit as well; see [`Filter::both`].
    pub also: Option<Box<Filter>>,
}

impl Filter {
    /// What both admit: an enforcement point's configured filter and the one in its request. Not
    /// one filter with longer lists, for those would admit more.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        let rest = match self.also {
            Some(rest) => rest.both(other),
            None => other,
        };
        Self { also: Some(Box::new(rest)), ..self }
    }

    /// Whether the session is told of.
    pub fn admits(&self, session: &Session) -> bool {
        self.admits_address(session.address) && self.admits_domain(session.domain())
    }

    /// Whether anything at all is told of this address.
    pub fn admits_address(&self, address: Address) -> bool {
        let ip = address.ip();
        (self.include.is_empty() || self.include.iter().any(|network| network.contains(&ip)))
            && !self.exclude.iter().any(|network| network.contains(&ip))
            && self.also.as_ref().is_none_or(|and| and.admits_address(address))
    }

    /// Makes of a change what a consumer may hear that keeps what another filter once let it have:
    /// a logout without a name, at `now`, of whoever is not admitted.
    pub fn redact(&self, change: &mut Change, now: Timestamp) {
        let admitted = |session: &Arc<Session>| self.admits(session);
        let came = change.after.is_some();
        change.after = change.after.take().filter(admitted);
        change.before = change.before.take().filter(admitted);
        if came && change.after.is_none() {
            change.effect = Effect::Ended;
            // The time of a login that is not told may be before the one that the firewall holds,
            // and a logout from before its login is nothing that a firewall has to heed.
            change.cause = Cause { at: now, ..change.cause.clone() };
        }
    }

    /// Whether users of this domain are told of; `None` is a domain that is not known.
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
