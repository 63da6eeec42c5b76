//! A domain controller at one of its addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rollcall_config as config;

/// A domain controller at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryServer {
    /// Its host name, for its certificate and its Kerberos tickets.
    pub(super) host: String,
    /// Its address.
    pub(super) address: IpAddr,
    /// Its position in the order of preference, from 0.
    pub(super) rank: usize,
}

impl DirectoryServer {
    /// The address and port of its LDAP service.
    pub(super) fn at(&self, transport: config::DirectoryTransport) -> SocketAddr {
        let port = match transport {
            config::DirectoryTransport::Ldaps => 636,
            config::DirectoryTransport::StartTls | config::DirectoryTransport::Ldap => 389,
        };
        SocketAddr::new(self.address, port)
    }
}

impl fmt::Display for DirectoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(_) => write!(f, "{}", self.host),
            Err(_) => write!(f, "{} ({})", self.host, self.address),
        }
    }
}
