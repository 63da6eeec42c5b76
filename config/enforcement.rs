//! The listener that firewalls ask and push to, and the firewalls that may.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::{Authority, Name};

use crate::{Dialect, HttpLimits, SecretHash, Tls};

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
    /// The domains whose users it hears of, in lower case; empty means all.
    pub domains: Vec<Name>,
    /// The networks it hears of; empty means all.
    pub include: Vec<IpNet>,
    /// The networks it never hears of.
    pub exclude: Vec<IpNet>,
    /// What its pushes (PTIM, captive portal) may speak for; `None` when it may push nothing.
    pub push: Option<Authority>,
    /// The domain of pushed users that are written without one.
    pub push_domain: Option<Name>,
}
