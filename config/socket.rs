//! Conflicts between the addresses of listeners.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The transport protocol of a listener. UDP and TCP have separate port spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportProtocol {
    /// Datagrams.
    Udp,
    /// Streams, with or without TLS.
    Tcp,
}

/// Whether two sockets of one transport protocol cannot be bound at the same time.
///
/// `[::]` also accepts IPv4 connections, which is the default of Linux (`net.ipv6.bindv6only = 0`).
/// Port 0 never conflicts, because the kernel selects a free port.
pub(crate) fn overlap(left: SocketAddr, right: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(v4) if v4.is_unspecified() => narrow.is_ipv4(),
        wide => wide == narrow,
    };
    let (a, b) = (left.ip().to_canonical(), right.ip().to_canonical());
    left.port() == right.port() && left.port() != 0 && (covers(a, b) || covers(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_conflicts_with_every_address_of_its_port() {
        let conflict = |left: &str, right: &str| {
            let (left, right) = (left.parse().unwrap(), right.parse().unwrap());
            assert_eq!(overlap(left, right), overlap(right, left));
            overlap(left, right)
        };
        assert!(conflict("127.0.0.1:514", "127.0.0.1:514"));
        assert!(conflict("0.0.0.0:514", "127.0.0.1:514"));
        assert!(conflict("[::]:514", "127.0.0.1:514"));
        assert!(conflict("[::]:514", "0.0.0.0:514"));
        assert!(conflict("[::ffff:10.0.0.1]:514", "10.0.0.1:514"));
        assert!(!conflict("0.0.0.0:514", "[::1]:514"));
        assert!(!conflict("127.0.0.1:514", "127.0.0.1:515"));
        assert!(!conflict("127.0.0.1:514", "10.0.0.1:514"));
        assert!(!conflict("127.0.0.1:0", "127.0.0.1:0"));
    }
}
