//! The filter of a query: domains, included networks, excluded networks.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use rollcall_identity::{Address, Name};

use crate::http::Parameters;

use super::QueryError;

/// The filter of a query; an empty filter matches everything. The SRX statements `filter domain`,
/// `filter include-ip` and `filter exclude-ip`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryFilter {
    /// Domains in lower case, at most [`QueryFilter::DOMAINS`].
    pub domains: Vec<Name>,
    /// If not empty, only sessions in these networks match.
    pub include: Vec<IpNet>,
    /// Sessions in these networks do not match.
    pub exclude: Vec<IpNet>,
}

impl QueryFilter {
    /// The maximum number of domains; the limit of the SRX is 20 to 25.
    pub const DOMAINS: usize = 64;

    /// The maximum number of networks in a list. An address set of Junos has at most 1,024 members,
    /// and a range may need several networks.
    pub const NETWORKS: usize = 4096;

    /// Parses `domain`, `include-ip` and `exclude-ip`: repeated or comma-separated. A network is an
    /// address, `network/length`, `network/mask` or a range `first-last`.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, QueryError> {
        Ok(Self {
            domains: domains(parameters)?,
            include: networks(parameters, "include-ip")?,
            exclude: networks(parameters, "exclude-ip")?,
        })
    }
}

fn listed<'a>(parameters: &'a Parameters, name: &'static str) -> impl Iterator<Item = &'a str> {
    let values = parameters.all(match name {
        "include-ip" => &["include-ip", "include-ips", "include"],
        "exclude-ip" => &["exclude-ip", "exclude-ips", "exclude"],
        _ => &["domain", "domains", "domain-name"],
    });
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

fn domains(parameters: &Parameters) -> Result<Vec<Name>, QueryError> {
    let mut domains = Vec::new();
    for item in listed(parameters, "domain") {
        if domains.len() == QueryFilter::DOMAINS {
            return Err(QueryError::parameter("domain", "more than 64 domains"));
        }
        let name = Name::new(item)
            .map_err(|_| QueryError::parameter("domain", "not a name of a domain"))?;
        domains.push(name.folded());
    }
    Ok(domains)
}

fn networks(parameters: &Parameters, name: &'static str) -> Result<Vec<IpNet>, QueryError> {
    let mut networks = Vec::new();
    for item in listed(parameters, name) {
        let reason = "not an address, a network or a range of addresses";
        let read = read_networks(item).ok_or(QueryError::parameter(name, reason))?;
        networks.extend(read);
        if networks.len() > QueryFilter::NETWORKS {
            return Err(QueryError::parameter(name, "more than 4096 networks"));
        }
    }
    Ok(networks)
}

/// One item as the fewest networks: at most 62 for IPv4 and 254 for IPv6.
fn read_networks(item: &str) -> Option<IpSubnets> {
    let address = |text: &str| Some(text.trim().parse::<Address>().ok()?.ip());
    if let Some((first, last)) = item.split_once('-') {
        return range(address(first)?, address(last)?);
    }
    let network = match item.split_once('/') {
        None => IpNet::from(address(item)?),
        Some((ip, length)) => match length.parse() {
            Ok(length) => IpNet::new(ip.parse().ok()?, length).ok()?,
            Err(_) => IpNet::with_netmask(ip.parse().ok()?, length.parse().ok()?).ok()?,
        },
    };
    range(network.network(), network.broadcast())
}

fn range(first: IpAddr, last: IpAddr) -> Option<IpSubnets> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            Some(IpSubnets::V4(Ipv4Subnets::new(first, last, 0)))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            // Sessions have mapped addresses as IPv4 (RFC 4291 section 2.5.5.2).
            match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                (Some(first), Some(last)) => range(first.into(), last.into()),
                _ => Some(IpSubnets::V6(Ipv6Subnets::new(first, last, 0))),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestParts;
    use proptest::prelude::*;

    fn scope(query: &str) -> Result<QueryFilter, QueryError> {
        QueryFilter::read(
            &Parameters::read(&RequestParts { query, ..RequestParts::default() }).unwrap(),
        )
    }

    #[test]
    fn lists_are_repeated_or_separated() {
        let nets =
            |items: &[&str]| items.iter().map(|n| n.parse().unwrap()).collect::<Vec<IpNet>>();
        let wanted = QueryFilter {
            domains: vec![Name::new("a.example").unwrap(), Name::new("b.example").unwrap()],
            include: nets(&["10.0.0.0/8", "2001:db8::/32", "10.1.2.3/32"]),
            exclude: nets(&["10.0.0.5/32", "10.0.0.6/31", "10.0.0.8/32"]),
        };
        for query in [
            "domain=A.example,b.EXAMPLE&include-ip=10.0.0.0/8,2001:db8::/32,10.1.2.3&exclude-ip=10.0.0.5-10.0.0.8",
            "domain=a.example&domain=b.example&include_ip=10.9.9.9/8&include_ip=2001:db8::7/32\
             &include_ip=::ffff:10.1.2.3&exclude_ip=10.0.0.5%20-%2010.0.0.8",
            "domain=a.example,b.example&include-ip=::ffff:10.0.0.0/104,2001:db8::/32,\
             ::ffff:10.1.2.3/128&exclude-ip=::ffff:10.0.0.5-::ffff:10.0.0.8",
            "domains=a.example,,b.example&include=10.0.0.0/255.0.0.0,2001:db8::/32,10.1.2.3/32&exclude-ips=10.0.0.5-10.0.0.8",
        ] {
            assert_eq!(scope(query), Ok(wanted.clone()), "{query}");
        }
        assert_eq!(scope(""), Ok(QueryFilter::default()));
    }

    #[test]
    fn errors_name_the_parameter() {
        for bad in
            ["x", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/33", "1.2.3.4/255.0.255.0", "-"]
        {
            let error = scope(&format!("exclude-ip=10.0.0.1,{bad}")).unwrap_err();
            assert!(error.to_string().starts_with("exclude-ip: not an address"), "{bad}: {error}");
        }
        let many: Vec<String> = (0..65).map(|n| format!("d{n}")).collect();
        let error = scope(&format!("domain={}", many.join(","))).unwrap_err();
        assert_eq!(error.to_string(), "domain: more than 64 domains");
        let all_but_the_ends = vec!["::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"; 17].join(",");
        let error = scope(&format!("include-ip={all_but_the_ends}")).unwrap_err();
        assert_eq!(error.to_string(), "include-ip: more than 4096 networks");
    }

    proptest! {
        #[test]
        fn range_has_exactly_its_addresses(a: u32, b: u32, probe: u32) {
            let (first, last) = (a.min(b), a.max(b));
            let ip = |bits: u32| IpAddr::from(std::net::Ipv4Addr::from(bits));
            let nets: Vec<IpNet> = range(ip(first), ip(last)).unwrap().collect();
            for bits in [first, last, probe, first.wrapping_sub(1), last.wrapping_add(1)] {
                let inside = (first..=last).contains(&bits);
                prop_assert_eq!(nets.iter().any(|net| net.contains(&ip(bits))), inside);
            }
        }

        #[test]
        fn any_text_is_parsed_or_rejected(text in any::<String>()) {
            let _ = read_networks(&text);
        }
    }
}
