//! Name resolution: the domain controllers and KDCs of a domain, and the addresses of hosts.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::system_conf::read_system_conf;

/// The timeout for the response of a name server, over UDP and over TCP together.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a query to one name server is repeated.
const RETRIES: usize = 1;

/// Resolves names with the configured name servers, or as the machine does if there are none.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    name_servers: Vec<SocketAddr>,
}

/// A name that cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve {what}: {reason}")]
pub struct ResolveError {
    what: String,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{0}")]
    System(#[from] io::Error),
    #[error("{0}")]
    Dns(Box<NetError>),
    #[error("there is no such record")]
    NoRecord,
}

impl From<NetError> for Reason {
    fn from(error: NetError) -> Self {
        Self::Dns(Box::new(error))
    }
}

impl ResolveError {
    /// The name of `what` has no record.
    pub(crate) fn no_record(what: impl Into<String>) -> Self {
        Self { what: what.into(), reason: Reason::NoRecord }
    }

    fn new(what: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { what: what.into(), reason: reason.into() }
    }
}

impl Resolver {
    /// Resolves with `name_servers`, each with its port, in this order.
    pub(crate) fn new(name_servers: &[SocketAddr]) -> Self {
        Self { name_servers: name_servers.to_vec() }
    }

    /// The domain controllers of `domain` (MS-ADTS section 6.3.2.3), in the order in which they are
    /// to be tried.
    pub(crate) async fn domain_controllers(
        &self,
        domain: &str,
    ) -> Result<Vec<String>, ResolveError> {
        let services = self.services(&format!("_ldap._tcp.dc._msdcs.{domain}")).await?;
        Ok(services.iter().map(host).collect())
    }

    /// A KDC of `realm` (RFC 4120 section 7.2.3.2): the first whose host has an address.
    pub(crate) async fn kdc(&self, realm: &str) -> Result<SocketAddr, ResolveError> {
        let mut last = None;
        for service in self.services(&format!("_kerberos._tcp.{realm}")).await? {
            match self.addresses(&host(&service)).await {
                Ok(addresses) => return Ok(SocketAddr::new(addresses[0], service.port)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| ResolveError::no_record(format!("a KDC of {realm}"))))
    }

    /// The addresses of `host`, at least one.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let what = || format!("the address of {host}");
        let mut addresses: Vec<IpAddr> = if self.name_servers.is_empty() {
            // The resolver of the system also reads /etc/hosts and what nsswitch.conf(5) names.
            let found = tokio::net::lookup_host((host, 0)).await;
            let found = found.map_err(|error| ResolveError::new(what(), error))?;
            found.map(|address| address.ip()).collect()
        } else {
            let name = &absolute(host);
            let query = async |dns: TokioResolver| dns.lookup_ip(name.as_str()).await;
            let mut found: Vec<IpAddr> = self.query(&what(), query).await?.iter().collect();
            found.sort_by_key(IpAddr::is_ipv4);
            found
        };
        addresses.dedup();
        if addresses.is_empty() { Err(ResolveError::no_record(what())) } else { Ok(addresses) }
    }

    /// The services of `name` in the order of RFC 2782: by priority, and among equals by chance in
    /// proportion to their weights.
    async fn services(&self, name: &str) -> Result<Vec<SRV>, ResolveError> {
        let absolute = &absolute(name);
        let query = async |dns: TokioResolver| dns.srv_lookup(absolute.as_str()).await;
        let found = self.query(name, query).await?;
        let service = |data: &RData| match data {
            RData::SRV(service) => Some(service.clone()),
            _ => None,
        };
        let records = found.answers().iter();
        let mut services: Vec<SRV> = records.filter_map(|record| service(&record.data)).collect();
        if services.is_empty() {
            return Err(ResolveError::no_record(name));
        }
        services.sort_by_cached_key(|service| {
            let draw = fastrand::f64().powf(1.0 / f64::from(service.weight.max(1)));
            (service.priority, std::cmp::Reverse((draw * 1e9) as u64))
        });
        Ok(services)
    }

    /// The answer of the first name server that has one to the query for `what`. A resolver of
    /// hickory with several name servers has one timeout for all of them, which a silent first server
    /// uses up (0.26.3), so each name server has a resolver. It lives for one query: queries are rare,
    /// and a cached answer would hide a moved server.
    async fn query<T>(
        &self,
        what: &str,
        query: impl AsyncFn(TokioResolver) -> Result<T, NetError>,
    ) -> Result<T, ResolveError> {
        let servers = self.name_servers().map_err(|error| ResolveError::new(what, error))?;
        let mut last = ResolveError::no_record(what);
        for server in servers {
            let answer = match client(server) {
                Ok(client) => query(client).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => last = ResolveError::new(what, error),
            }
        }
        Err(last)
    }

    /// The configured name servers, or those of the machine (resolv.conf(5)).
    fn name_servers(&self) -> Result<Vec<NameServerConfig>, NetError> {
        match self.name_servers.as_slice() {
            [] => Ok(read_system_conf()?.0.name_servers().to_vec()),
            servers => Ok(servers.iter().copied().map(name_server).collect()),
        }
    }
}

/// A client of one name server.
fn client(server: NameServerConfig) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = RESPONSE_TIMEOUT;
    options.attempts = RETRIES;
    options.edns0 = true;
    options.try_tcp_on_error = true;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

/// The name server at `address`, over UDP and TCP.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), false, connections)
}

/// `name` with a final dot, so that no search domain is appended.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// The host of `service`, without the final dot.
fn host(service: &SRV) -> String {
    service.target.to_ascii().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
