//! What every HTTP listener has: encryption, limits, and an address that nobody else has.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::file;
use crate::section::Section;

/// How the connections of an HTTP listener are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// A certificate made at the first start and kept in the data folder, for the host's own name,
    /// `localhost` and the addresses that are listened on.
    SelfMade {
        /// More names and addresses for the certificate's SAN.
        names: Vec<String>,
    },
    /// A certificate from files, both PEM.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Plain HTTP: on loopback, or because `insecure = true` was written.
    Plain,
}

impl Tls {
    /// Reads a `tls` section: files, or else a self-made certificate.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let names = section.list("names").unwrap_or_default();
        match (certificate_file(section, "certificate"), key_file(section, "key")) {
            (Some(certificate), Some(key)) => {
                if !names.is_empty() {
                    section.complain("names", "are of a self-made certificate; files have theirs");
                }
                return Self::Files { certificate, key };
            }
            (Some(_), None) => section.complain("key", "is missing: the certificate has a key"),
            (None, Some(_)) => section.complain("certificate", "is missing: the key has one"),
            (None, None) => {}
        }
        Self::SelfMade { names }
    }
}

/// The file of a certificate, which must be readable.
pub(crate) fn certificate_file(section: &Section<'_>, key: &'static str) -> Option<PathBuf> {
    let path = section.resolve(section.get::<PathBuf>(key)?);
    if let Err(why) = file::text(&path) {
        section.complain(key, why);
    }
    Some(path)
}

/// The file of a private key, which must be readable, and by nobody else.
pub(crate) fn key_file(section: &Section<'_>, key: &'static str) -> Option<PathBuf> {
    let path = section.resolve(section.get::<PathBuf>(key)?);
    if let Err(why) = file::secret_text(&path) {
        section.complain(key, why);
    }
    Some(path)
}

/// What one HTTP listener grants its clients, so that no client costs another its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest request body, in bytes.
    pub body: usize,
    /// The longest request line and headers together, in bytes.
    pub head: usize,
    /// How long a client may take to send the head.
    pub head_timeout: Duration,
    /// How long it may take to send the body after it.
    pub body_timeout: Duration,
    /// Connections of all clients at once.
    pub connections: usize,
    /// Connections of one source address at once.
    pub connections_per_address: usize,
}

impl HttpLimits {
    /// The defaults of a listener that serves `connections` at once.
    ///
    /// An SRX opens up to 20 connections for IP queries beside its batch query, and a cluster may
    /// come from one address: 64 for each.
    pub(crate) fn with_connections(connections: usize) -> Self {
        Self {
            body: 1 << 20,
            head: 16 << 10,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            connections,
            connections_per_address: 64,
        }
    }

    pub(crate) fn read(section: &Section<'_>, default: &Self) -> Self {
        let patience = Duration::from_secs(1)..=Duration::from_secs(300);
        let per_address = default.connections_per_address;
        Self {
            body: section.bytes("body", default.body, 4 << 10..=16 << 20),
            head: section.bytes("head", default.head, 1 << 10..=64 << 10),
            head_timeout: section.within("head_timeout", default.head_timeout, patience.clone()),
            body_timeout: section.within("body_timeout", default.body_timeout, patience),
            connections: section.within("connections", default.connections, 1..=65_536),
            connections_per_address: section.within(
                "connections_per_address",
                per_address,
                1..=65_536,
            ),
        }
    }
}

/// Datagrams and streams have ports of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Whether two sockets of one transport cannot both listen. `[::]` takes the IPv4 addresses too,
/// as Linux has it unless `net.ipv6.bindv6only` is set. Port 0 is any free one.
pub(crate) fn overlap(left: SocketAddr, right: SocketAddr) -> bool {
    let takes = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(v4) if v4.is_unspecified() => narrow.is_ipv4(),
        wide => wide == narrow,
    };
    let (ours, theirs) = (left.ip().to_canonical(), right.ip().to_canonical());
    left.port() == right.port() && left.port() != 0 && (takes(ours, theirs) || takes(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_take_the_addresses_of_their_port() {
        let meet = |left: &str, right: &str| {
            let (left, right) = (left.parse().unwrap(), right.parse().unwrap());
            assert_eq!(overlap(left, right), overlap(right, left));
            overlap(left, right)
        };
        assert!(meet("127.0.0.1:514", "127.0.0.1:514"));
        assert!(meet("0.0.0.0:514", "127.0.0.1:514"));
        assert!(meet("[::]:514", "127.0.0.1:514"));
        assert!(meet("[::]:514", "0.0.0.0:514"));
        assert!(meet("[::ffff:10.0.0.1]:514", "10.0.0.1:514"));
        assert!(!meet("0.0.0.0:514", "[::1]:514"));
        assert!(!meet("127.0.0.1:514", "127.0.0.1:515"));
        assert!(!meet("127.0.0.1:514", "10.0.0.1:514"));
        assert!(!meet("127.0.0.1:0", "127.0.0.1:0"));
    }
}
