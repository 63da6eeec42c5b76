//! The session filter of a request, parsed from the query string.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rollcall_identity::{Address, Filter, Glob, Name, Principal, Session};

use crate::problem::Problem;

/// The filter parameters as received. All given filters must match.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FilterParameters<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) domain: Option<&'a str>,
    pub(super) ip: Option<&'a str>,
    pub(super) cidr: Option<&'a str>,
    pub(super) producer: Option<&'a str>,
}

/// The parsed filters.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionFilter {
    /// Domains and networks: the part that the log of changes applies itself.
    pub(super) filter: Filter,
    /// The requested address.
    pub(super) address: Option<Address>,
    user: Option<Glob>,
    producer: Option<Name>,
}

impl SessionFilter {
    /// Parses the filters.
    pub(super) fn read(filters: FilterParameters<'_>) -> Result<Self, Problem> {
        let FilterParameters { user, domain, ip, cidr, producer } = filters;
        let address = ip.map(address).transpose()?;
        let networks = cidr.map(networks).transpose()?.unwrap_or_default();
        let domains = domain.map(|text| glob("domain", text)).transpose()?;
        let mut filter = Filter::default();
        filter.domains.extend(domains);
        filter.include = networks;
        if let Some(address) = address {
            let mut only = Filter::default();
            only.include.push(address.ip().into());
            filter = filter.both(only);
        }
        let user = user.map(|text| glob("user", &with_at_sign(text))).transpose()?;
        let producer = producer.map(Name::new).transpose();
        let producer = producer.map_err(|why| Problem::bad_request(format!("producer: {why}")))?;
        Ok(Self { filter, address, user, producer })
    }

    /// Whether the session matches all filters.
    pub(super) fn matches(&self, session: &Session) -> bool {
        self.filter.admits(session)
            && self.user.as_ref().is_none_or(|glob| glob_matches(glob, session.principal.as_ref()))
            && self.producer.as_ref().is_none_or(|name| session.cause.origin.producer == *name)
    }
}

/// Whether the glob matches `alice` or `alice@corp`.
fn glob_matches(glob: &Glob, principal: Option<&Principal>) -> bool {
    principal.is_some_and(|p| glob.matches(p.user.as_str()) || glob.matches(&p.to_string()))
}

/// `CORP\alice` as `alice@CORP`; other text unchanged.
fn with_at_sign(text: &str) -> String {
    match text.split_once('\\') {
        Some((domain, user)) => format!("{user}@{domain}"),
        None => text.to_owned(),
    }
}

fn glob(key: &str, text: &str) -> Result<Glob, Problem> {
    Glob::new(text).map_err(|why| Problem::bad_request(format!("{key}: {why}")))
}

/// Parses an address of a path or a query string.
pub(super) fn address(text: &str) -> Result<Address, Problem> {
    text.parse().map_err(|_| {
        Problem::bad_request(format!(
            "{text:?} is not an IP address, such as 10.0.0.7 or 2001:db8::7"
        ))
    })
}

fn networks(text: &str) -> Result<Vec<IpNet>, Problem> {
    let network = |text: &str| {
        text.trim().parse().map(canonical).map_err(|_| {
            let example = "such as 10.0.0.0/8; several are separated by commas";
            Problem::bad_request(format!("cidr: {text:?} is not a network, {example}"))
        })
    };
    text.split(',').map(network).collect()
}

/// A network of IPv4-mapped addresses as an IPv4 network, because sessions have IPv4 addresses (RFC
/// 4291 section 2.5.5.2).
fn canonical(network: IpNet) -> IpNet {
    let mapped = |v6: Ipv6Net| {
        let length = v6.prefix_len().checked_sub(96)?;
        Ipv4Net::new(v6.addr().to_ipv4_mapped()?, length).ok()
    };
    match network {
        IpNet::V6(v6) => mapped(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ipv4_mapped_networks_are_canonicalized() {
        let read = |text| networks(text).unwrap().iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(read("::ffff:10.0.0.0/104, ::ffff:a01:203/128"), ["10.0.0.0/8", "10.1.2.3/32"]);
        assert_eq!(read("10.0.0.0/8,2001:db8::/32,::/0"), ["10.0.0.0/8", "2001:db8::/32", "::/0"]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_a_problem(text in any::<String>(), near in r"[0-9a-f:./,*?\[\]\\@%]{0,24}") {
            for text in [text.as_str(), near.as_str()] {
                let filters = FilterParameters {
                    user: Some(text),
                    domain: Some(text),
                    ip: Some(text),
                    cidr: Some(text),
                    producer: Some(text),
                };
                for one in [
                    FilterParameters { user: filters.user, ..FilterParameters::default() },
                    FilterParameters { domain: filters.domain, ..FilterParameters::default() },
                    FilterParameters { ip: filters.ip, ..FilterParameters::default() },
                    FilterParameters { cidr: filters.cidr, ..FilterParameters::default() },
                    FilterParameters { producer: filters.producer, ..FilterParameters::default() },
                    filters,
                ] {
                    if let Err(problem) = SessionFilter::read(one) {
                        prop_assert!(problem.to_string().starts_with("Bad Request: "));
                    }
                }
            }
        }
    }
}
