//! How many connections there are, in all and from each address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use rollcall_config::HttpLimits;
use strum::IntoStaticStr;

/// Counts who is in.
#[derive(Debug)]
pub(super) struct Gate {
    total: usize,
    of_each: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    total: usize,
    of_each: HashMap<IpAddr, usize>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Crowded {
    /// The listener has as many connections as it may.
    Total,
    /// The source address has.
    Address,
}

/// One connection that was let in; its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    gate: Arc<Gate>,
    source: IpAddr,
}

impl Gate {
    pub(super) fn new(limits: &HttpLimits) -> Self {
        Self {
            total: limits.connections,
            of_each: limits.connections_per_address,
            guests: Mutex::default(),
        }
    }

    /// Lets a connection from `ip` in.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Guest, Crowded> {
        let source = source(ip);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.total >= self.total {
            return Err(Crowded::Total);
        }
        let of_source = guests.of_each.entry(source).or_insert(0);
        if *of_source >= self.of_each {
            return Err(Crowded::Address);
        }
        *of_source += 1;
        guests.total += 1;
        Ok(Guest { gate: Arc::clone(self), source })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut guests = self.gate.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.total -= 1;
        if let Some(of_source) = guests.of_each.get_mut(&self.source) {
            *of_source -= 1;
            if *of_source == 0 {
                guests.of_each.remove(&self.source);
            }
        }
    }
}

/// Who counts as one: an IPv4 address, or the /64 of an IPv6 address, all of which one machine can
/// have (RFC 4291 section 2.5.4).
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
    fn each_address_and_all_together_have_their_limit() {
        let gate = Gate { total: 3, of_each: 2, guests: Mutex::default() };
        let gate = Arc::new(gate);
        let admit = |ip: &str| gate.admit(ip.parse().unwrap());
        let first = admit("10.0.0.1").unwrap();
        let _second = admit("::ffff:10.0.0.1").unwrap();
        assert_eq!(admit("10.0.0.1").unwrap_err(), Crowded::Address);
        let _other = admit("2001:db8::1").unwrap();
        assert_eq!(admit("10.0.0.2").unwrap_err(), Crowded::Total);
        drop(first);
        let _third = admit("2001:db8::ffff").unwrap();
        assert_eq!(admit("2001:db8::2").unwrap_err(), Crowded::Total);
    }

    #[test]
    fn nobody_is_remembered_who_has_left() {
        let gate = Arc::new(Gate { total: 9, of_each: 9, guests: Mutex::default() });
        drop((gate.admit("10.0.0.1".parse().unwrap()), gate.admit("::1".parse().unwrap())));
        let guests = gate.guests.lock().unwrap();
        assert_eq!((guests.total, guests.of_each.len()), (0, 0));
    }
}
