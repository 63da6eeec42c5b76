//! The domain controllers of a directory, and the first of them that lets Rollcall in.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rollcall_config as config;

use super::Failure;
use super::connection::Connection;
use super::failure::NoName;
use super::names::Names;
use super::tls::Tls;

/// A domain controller at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Its name, by which its certificate and its tickets are checked.
    pub(super) host: String,
    /// Where it is.
    pub(super) address: IpAddr,
    /// Its place among the servers, from 0: another is better while this is not 0.
    pub(super) rank: usize,
}

impl Server {
    /// Where its LDAP is.
    pub(super) fn at(&self, transport: config::DirectoryTransport) -> SocketAddr {
        let port = match transport {
            config::DirectoryTransport::Ldaps => 636,
            config::DirectoryTransport::StartTls | config::DirectoryTransport::Ldap => 389,
        };
        SocketAddr::new(self.address, port)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(_) => write!(f, "{}", self.host),
            Err(_) => write!(f, "{} ({})", self.host, self.address),
        }
    }
}

/// Connects to the first server that lets the account in, of those before `below` in their order.
///
/// # Errors
/// Why the last of them does not.
pub(super) async fn first(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    below: usize,
) -> Result<Connection, Failure> {
    let names = Names { servers: &settings.name_servers };
    let hosts = if settings.servers.is_empty() {
        names.controllers(settings.domain.as_str()).await?
    } else {
        settings.servers.clone()
    };
    let what = format!("a domain controller of {}", settings.domain);
    let mut last = Failure::Names { what, why: NoName::None };
    for (rank, host) in hosts.into_iter().take(below).enumerate() {
        let addresses = match names.addresses(&host).await {
            Ok(addresses) => addresses,
            Err(why) => {
                last = why;
                continue;
            }
        };
        for address in addresses {
            let server = Server { host: host.clone(), address, rank };
            match Connection::open(settings, tls, server).await {
                Ok(connection) => return Ok(connection),
                Err(why) => last = why,
            }
        }
    }
    Err(last)
}
