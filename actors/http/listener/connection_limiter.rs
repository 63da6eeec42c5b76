//! Limits the number of connections, in total and per address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use rollcall_config::HttpLimits;
use strum::IntoStaticStr;

/// Counts the open connections.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    total: usize,
    per_address: usize,
    counts: Mutex<ConnectionCounts>,
}

#[derive(Debug, Default)]
struct ConnectionCounts {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// The limit that refuses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum LimitReached {
    /// The limit of the listener.
    Total,
    /// The limit of the source address.
    Address,
}

/// The permit of one connection; dropping it releases the slot.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    gate: Arc<ConnectionLimiter>,
    source: IpAddr,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: &HttpLimits) -> Self {
        Self {
            total: limits.connections,
            per_address: limits.connections_per_address,
            counts: Mutex::default(),
        }
    }

    /// Acquires a permit for a connection from `ip`.
    pub(super) fn acquire(self: &Arc<Self>, ip: IpAddr) -> Result<ConnectionPermit, LimitReached> {
        let source = source(ip);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.total >= self.total {
            return Err(LimitReached::Total);
        }
        let count = counts.per_address.entry(source).or_insert(0);
        if *count >= self.per_address {
            return Err(LimitReached::Address);
        }
        *count += 1;
        counts.total += 1;
        Ok(ConnectionPermit { gate: Arc::clone(self), source })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total -= 1;
        if let Some(count) = counts.per_address.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.per_address.remove(&self.source);
            }
        }
    }
}

/// The address that a connection counts for: an IPv4 address, or the /64 of an IPv6 address,
/// because one machine can have all addresses of a /64 (RFC 4291 section 2.5.4).
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_per_address_and_in_total() {
        let gate = ConnectionLimiter { total: 3, per_address: 2, counts: Mutex::default() };
        let gate = Arc::new(gate);
        let acquire = |ip: &str| gate.acquire(ip.parse().unwrap());
        let first = acquire("10.0.0.1").unwrap();
        let _second = acquire("::ffff:10.0.0.1").unwrap();
        assert_eq!(acquire("10.0.0.1").unwrap_err(), LimitReached::Address);
        let _other = acquire("2001:db8::1").unwrap();
        assert_eq!(acquire("10.0.0.2").unwrap_err(), LimitReached::Total);
        drop(first);
        let _third = acquire("2001:db8::ffff").unwrap();
        assert_eq!(acquire("2001:db8::2").unwrap_err(), LimitReached::Total);
    }

    #[test]
    fn closed_connections_leave_no_entry() {
        let gate =
            Arc::new(ConnectionLimiter { total: 9, per_address: 9, counts: Mutex::default() });
        drop((gate.acquire("10.0.0.1".parse().unwrap()), gate.acquire("::1".parse().unwrap())));
        let counts = gate.counts.lock().unwrap();
        assert_eq!((counts.total, counts.per_address.len()), (0, 0));
    }
}
