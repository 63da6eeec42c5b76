//! The listener that firewalls ask and push to, and the firewalls that may.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::directory::GroupFilter;
use rollcall_identity::{Authority, Glob, Name};
use rollcall_wire::ptim::MissingTime;
use rollcall_wire::srx::Dialect;

use crate::authority::{self, FIREWALL};
use crate::leaf::{Domain, UrlPath};
use crate::listener::Transport;
use crate::producers::ptim::{Doorway, Login, untimed};
use crate::section::Section;
use crate::{HttpLimits, SecretHash, Tls, dialect, groups};

/// The enforcement listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Where it listens; empty switches it off.
    pub listen: Vec<SocketAddr>,
    /// How its connections are protected.
    pub tls: Tls,
    /// Where a client secret buys a token: the SRX's `token-api`, with the slash before it.
    pub token_path: String,
    /// Under which path all questions and pushes are: the SRX's `query-api`, with the slash before.
    pub query_path: String,
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// Its limits.
    pub limits: HttpLimits,
    /// What follows wrong secrets.
    pub lockout: Lockout,
    /// The firewalls, those of the configuration first, then those of the clients file.
    pub points: Vec<Point>,
}

/// How failed logins of one client id from one address are slowed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// How many failures are free.
    pub failures: u32,
    /// The wait after the next failure; each further one doubles it.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

/// An enforcement point: a firewall, or a cluster of two, that asks who is behind addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its name in the log, the metrics and the answers of REST.
    pub name: Name,
    /// From where it may connect.
    pub addresses: Vec<IpNet>,
    /// The SRX's `client-id`, 1 to 64 characters.
    pub client_id: String,
    /// What its `client-secret` must hash to.
    pub secret: SecretHash,
    /// How it asks and is answered.
    pub dialect: Dialect,
    /// Which groups of the directory it hears of.
    pub groups: GroupFilter,
    /// The domains whose users it hears of; empty means all.
    pub domains: Vec<Glob>,
    /// The networks it hears of; empty means all.
    pub include: Vec<IpNet>,
    /// The networks it never hears of.
    pub exclude: Vec<IpNet>,
    /// What its pushes (PTIM, captive portal) may speak for; `None` when it may push nothing.
    pub push: Option<Authority>,
    /// The domain of pushed users that are written without one.
    pub push_domain: Option<Name>,
    /// What becomes of its pushes that do not say their time.
    pub push_untimed: MissingTime,
}

/// The SRX's own default port is 443; 8443 needs no privilege. Known source addresses, a secret and
/// TLS stand before every answer, and firewalls are not on loopback: every IPv4 address listens.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);

/// Connections at once. 500 firewalls with their batch query and a few IP queries each.
const CONNECTIONS: usize = 2048;

/// A token is good for an hour unless told otherwise: after a changed secret an old one dies soon.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// How long it may be.
pub(crate) const TOKEN_LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

impl Default for Lockout {
    fn default() -> Self {
        Self { failures: 5, first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Lockout {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let wait = Duration::from_millis(100)..=Duration::from_secs(3600);
        let lockout = Self {
            failures: section.within("failures", default.failures, 1..=1000),
            first: section.within("first", default.first, wait.clone()),
            longest: section.within("longest", default.longest, wait),
        };
        if lockout.first > lockout.longest {
            section.complain("longest", "is shorter than first");
        }
        lockout
    }
}

impl Enforcement {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let listen = section.list("listen").unwrap_or_else(|| vec![LISTEN]);
        section.listens(Transport::Tcp, "listen", &listen);
        let insecure = section.or("insecure", false);
        let tls = section.section("tls", Tls::read);
        if insecure && section.has("tls") {
            section.complain("insecure", "is plain HTTP: there is a tls section beside it");
        }
        let path = |key, default: &str| {
            section.get::<UrlPath>(key).map_or_else(|| default.to_owned(), |path| path.0)
        };
        let token_path = path("token_path", "/oauth_token/oauth");
        let query_path = path("query_path", "/user_query/v2");
        if token_path == query_path {
            section.complain("token_path", "is the query_path too");
        }
        Self {
            listen,
            tls: if insecure { Tls::Plain } else { tls },
            token_path,
            query_path,
            token_lifetime: section.within("token_lifetime", TOKEN_LIFETIME, TOKEN_LIFETIMES),
            limits: section.section("limits", |limits| {
                HttpLimits::read(limits, &HttpLimits::with_connections(CONNECTIONS))
            }),
            lockout: section.section("lockout", Lockout::read),
            points: section.sections("points", Point::read),
        }
    }
}

impl Point {
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let Login { name, addresses, client_id, secret } =
            Login::read(section, Doorway::Enforcement);
        let dialect = section.section("dialect", dialect::read);
        let groups = section.section("groups", groups::read);
        let (domains, include, exclude) = section.section("filter", |filter| {
            let domains: Vec<Glob> = filter.list("domains").unwrap_or_default();
            let include: Vec<IpNet> = filter.list("include").unwrap_or_default();
            let exclude: Vec<IpNet> = filter.list("exclude").unwrap_or_default();
            (domains, include, exclude)
        });
        let (push, push_domain, push_untimed) = section.section("push", |push| {
            let domain = push.get::<Domain>("domain").map(|domain| domain.0);
            (authority::read(push, FIREWALL.to_vec()), domain, untimed(push))
        });
        Some(Self {
            name: name?,
            addresses,
            client_id: client_id?,
            secret: secret?,
            dialect,
            groups,
            domains,
            include,
            exclude,
            push: (!push.kinds.is_empty()).then_some(push),
            push_domain,
            push_untimed,
        })
    }
}
