//! The `enforcement` table: the listener for enforcement points, and the enforcement points.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Authority, Glob, Name};
use rollcall_wire::ptim::MissingTime;
use rollcall_wire::srx::Dialect;

use crate::authority::{self, MAX_SESSIONS};
use crate::producers::ptim::missing_time;
use crate::scalar::Domain;
use crate::session_filter::SessionFilter;
use crate::socket::TransportProtocol;
use crate::table_reader::TableReader;
use crate::token_auth::{self, ClientCredentials, ClientScope};
use crate::{HttpLimits, Lockout, SecretHash, Tls, dialect, groups};

/// The settings of the enforcement listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// The listen addresses; empty disables the listener.
    pub listen: Vec<SocketAddr>,
    /// The certificate.
    pub tls: Tls,
    /// The path of the token endpoint with a leading slash: `token-api` of the SRX.
    pub token_path: String,
    /// The path prefix of all queries and pushes with a leading slash: `query-api` of the SRX.
    pub query_path: String,
    /// The lifetime of a token.
    pub token_lifetime: Duration,
    /// The limits of the listener.
    pub limits: HttpLimits,
    /// The delay of failed logins.
    pub lockout: Lockout,
    /// The enforcement points of the configuration, followed by those of the clients file.
    pub points: Vec<EnforcementPoint>,
}

/// An enforcement point: a firewall, or a cluster of two, that queries Rollcall for sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementPoint {
    /// The name in logs, metrics and the REST API.
    pub name: Name,
    /// The source addresses that it may connect from.
    pub addresses: Vec<IpNet>,
    /// The `client-id` of the SRX, 1 to 64 characters.
    pub client_id: String,
    /// The hash of its `client-secret`.
    pub secret: SecretHash,
    /// The format of its queries and responses.
    pub dialect: Dialect,
    /// The directory groups that it receives.
    pub groups: GroupFilter,
    /// The domains of the users that it receives; empty means all.
    pub domains: Vec<Glob>,
    /// The networks that it receives; empty means all.
    pub include: Vec<IpNet>,
    /// The networks that it never receives.
    pub exclude: Vec<IpNet>,
    /// The authority of its pushes (PTIM, captive portal); `None` if it may not push.
    pub push: Option<Authority>,
    /// The domain of pushed users without a domain.
    pub push_domain: Option<Name>,
    /// How pushes without a timestamp are treated.
    pub push_missing_time: MissingTime,
}

/// The default listen address. The default port of the SRX is 443; 8443 needs no privilege. All
/// IPv4 addresses are used, because firewalls connect over the network, and each request requires a
/// known source address, a secret and TLS.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);

/// The default maximum number of connections: 500 firewalls, each with its batch query and a few
/// IP queries.
const CONNECTIONS: usize = 2048;

impl Enforcement {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let listen = table.list_or("listen", vec![LISTEN]);
        table.unique_listeners(TransportProtocol::Tcp, "listen", &listen);
        let tls = Tls::with_insecure(table);
        let (token_path, query_path) = token_auth::paths(table, "/user_query/v2");
        Self {
            listen,
            tls,
            token_path,
            query_path,
            token_lifetime: token_auth::token_lifetime(table),
            limits: table.subtable("limits", |limits| {
                HttpLimits::from_table(limits, &HttpLimits::with_connections(CONNECTIONS))
            }),
            lockout: table.subtable("lockout", Lockout::from_table),
            points: table.subtables("points", EnforcementPoint::from_table),
        }
    }
}

impl EnforcementPoint {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let ClientCredentials { name, addresses, client_id, secret } =
            ClientCredentials::from_table(table, ClientScope::Enforcement);
        let dialect = table.subtable("dialect", dialect::from_table);
        let groups = table.subtable("groups", groups::from_table);
        let filter = table.subtable("filter", SessionFilter::from_table);
        let (push, push_domain, push_missing_time) = table.subtable("push", |push| {
            let domain = push.get::<Domain>("domain").map(|domain| domain.0);
            (authority::from_table(push, Vec::new(), MAX_SESSIONS), domain, missing_time(push))
        });
        Some(Self {
            name: name?,
            addresses,
            client_id: client_id?,
            secret: secret?,
            dialect,
            groups,
            domains: filter.domains,
            include: filter.include,
            exclude: filter.exclude,
            push: (!push.is_empty()).then_some(push),
            push_domain,
            push_missing_time,
        })
    }
}
