//! A domain controller at one of its addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use rollcall_config as config;

/// A domain controller at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DirectoryServer {
    /// Its name, by which its certificate and its tickets are checked.
    pub(super) host: String,
    /// Where it is.
    pub(super) address: IpAddr,
    /// Its place among the servers, from 0: another is better while this is not 0.
    pub(super) rank: usize,
}

impl DirectoryServer {
    /// Where its LDAP is.
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
