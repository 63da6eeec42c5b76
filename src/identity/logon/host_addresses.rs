//! The addresses of computers, learned from the logons of their machine accounts. NTLM logons name
//! a computer and no address, and are resolved here.

use std::mem::take;
use std::time::Duration;

use compact_str::CompactString;
use hashbrown::HashMap;

use super::UnresolvedLogon;
use super::logon_account::host;
use crate::{Address, Event, Kind, Proof, Timestamp};

/// The computers seen recently, by NetBIOS name. Memory is bounded by two generations: when the
/// recent one is full, it replaces the previous one.
#[derive(Debug, Default)]
pub struct HostAddresses {
    recent: HashMap<CompactString, Seen>,
    previous: HashMap<CompactString, Seen>,
}

/// When a computer was seen at which address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    address: Address,
    at: Timestamp,
}

impl HostAddresses {
    /// How long a computer is assumed to keep its address. While it is on, it fetches its policies
    /// from a domain controller every 90 minutes plus a random 0 to 30 (the defaults of "Set Group
    /// Policy refresh interval for computers"). After that another computer may have the address.
    pub const MAX_AGE: Duration = Duration::from_secs(2 * 3600);

    /// The capacity of one generation: 65,536 computers in total take about 8 MB.
    pub const GENERATION_CAPACITY: usize = 32_768;

    /// Records an event in which a computer itself was seen. An event that was located by a host
    /// name is ignored, because it says nothing about the computer's own address.
    pub fn record(&mut self, event: &Event) {
        let (Kind::DeviceSeen, Some(device)) = (event.kind, &event.device) else { return };
        if event.proof == Proof::HostName {
            return;
        }
        let name = folded(device.as_str());
        let seen = Seen { address: event.address, at: event.at };
        // Servers report the same computer in any order.
        if self.seen(&name).is_some_and(|known| known.at > seen.at) {
            return;
        }
        if self.recent.len() >= Self::GENERATION_CAPACITY && !self.recent.contains_key(&name) {
            self.previous = take(&mut self.recent);
        }
        self.recent.insert(name, seen);
    }

    /// The address of the named host, if it was seen within [`Self::MAX_AGE`] of the logon.
    pub fn find(&self, unresolved: &UnresolvedLogon) -> Option<Address> {
        let Seen { address, at } = self.seen(&folded(unresolved.host.as_str()))?;
        let apart = unresolved.at.since(at).max(at.since(unresolved.at));
        (apart <= Self::MAX_AGE).then_some(address)
    }

    fn seen(&self, name: &str) -> Option<Seen> {
        self.recent.get(name).or_else(|| self.previous.get(name)).copied()
    }
}

/// The first label of a name, in lower case.
fn folded(name: &str) -> CompactString {
    CompactString::from_str_to_lowercase(host(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ReadOutcome;
    use super::super::tests::{all_events, fields_of, reader, record, summary};
    use super::*;
    use crate::test_support::{address, seconds};

    /// A ticket request of the computer's own account.
    fn computer(name: &str, ip: &str, at: i64) -> Event {
        let user = format!("{name}$");
        let fields = fields_of(4768, &[("TargetUserName", &user), ("IpAddress", ip)]);
        let time = seconds(at);
        let record = super::super::LogRecord { time, ..record(4768, &fields) };
        match reader(all_events()).read(&record, time) {
            ReadOutcome::Event(event) => event,
            other => panic!("{}", summary(&other)),
        }
    }

    /// The result of an NTLM logon that names this host.
    fn named(hosts: &HostAddresses, name: &str, at: i64) -> String {
        let mut reader = reader(all_events());
        let fields = fields_of(4776, &[("Workstation", name)]);
        let time = seconds(at);
        let record = super::super::LogRecord { time, ..record(4776, &fields) };
        match reader.read(&record, time) {
            ReadOutcome::Unresolved(unresolved) => match hosts.find(&unresolved) {
                Some(address) => summary(&reader.locate(unresolved, address)),
                None => "nowhere".to_owned(),
            },
            other => summary(&other),
        }
    }

    #[test]
    fn a_named_host_resolves_to_the_address_of_its_machine_account() {
        let mut hosts = HostAddresses::default();
        hosts.record(&computer("PC1", "10.0.0.7", 1000));
        hosts.record(&computer("pc2", "10.0.0.8", 1000));
        hosts.record(&computer("PC2", "10.0.0.9", 2000));
        // Reported late: the computer has moved since.
        hosts.record(&computer("PC2", "10.0.0.8", 1500));
        let expected_user = "login of alice at 10.0.0.7 by host_name";
        let span = HostAddresses::MAX_AGE.as_secs() as i64;
        for (name, at, outcome) in [
            ("PC1", 1001, expected_user),
            ("pc1", 1001, expected_user),
            ("\\\\PC1", 1001, expected_user),
            ("PC1.corp.example.com", 1001, expected_user),
            // By the clock of another server.
            ("PC1", 990, expected_user),
            ("PC1", 1000 + span, expected_user),
            ("PC1", 1001 + span, "nowhere"),
            ("PC2", 2001, "login of alice at 10.0.0.9 by host_name"),
            ("PC3", 1001, "nowhere"),
            ("10.0.0.7", 1001, "nowhere"),
            ("", 1001, "no_address"),
            ("-", 1001, "no_address"),
            ("DC1", 1001, "server"),
        ] {
            assert_eq!(named(&hosts, name, at), outcome, "{name:?} at {at}");
        }
    }

    #[test]
    fn only_machine_account_logons_locate_a_host() {
        let mut hosts = HostAddresses::default();
        let user = Event { kind: Kind::Login, ..computer("PC1", "10.0.0.7", 1000) };
        hosts.record(&user);
        hosts.record(&Event { device: None, ..computer("PC1", "10.0.0.7", 1000) });
        assert_eq!(named(&hosts, "PC1", 1001), "nowhere");
    }

    #[test]
    fn a_computer_that_names_another_host_is_not_located_there() {
        let mut hosts = HostAddresses::default();
        hosts.record(&computer("PC1", "10.0.0.7", 1000));
        // PC2 logs on by NTLM, and names PC1 as its host.
        let mut reader = reader(all_events());
        let fields = fields_of(4776, &[("TargetUserName", "PC2$"), ("Workstation", "PC1")]);
        let record = super::super::LogRecord { time: seconds(1001), ..record(4776, &fields) };
        let ReadOutcome::Unresolved(unresolved) = reader.read(&record, seconds(1001)) else {
            panic!("4776 has no address");
        };
        let expected_user = hosts.find(&unresolved).expect("PC1 was seen");
        let ReadOutcome::Event(event) = reader.locate(unresolved, expected_user) else {
            panic!("the address can be used");
        };
        assert_eq!((event.kind, event.proof), (Kind::DeviceSeen, Proof::HostName));
        hosts.record(&event);
        assert_eq!(named(&hosts, "PC2", 1002), "nowhere");
        assert_eq!(named(&hosts, "PC1", 1002), "login of alice at 10.0.0.7 by host_name");
    }

    #[test]
    fn the_number_of_hosts_is_bounded() {
        let mut hosts = HostAddresses::default();
        let usual = computer("PC1", "10.0.0.7", 1000);
        for number in 0..3 * HostAddresses::GENERATION_CAPACITY {
            let device = Some(crate::test_support::name(&format!("pc{number}")));
            hosts.record(&Event { device, ..usual.clone() });
            assert!(
                hosts.recent.len() + hosts.previous.len() <= 2 * HostAddresses::GENERATION_CAPACITY
            );
        }
        assert_eq!(named(&hosts, "PC0", 1001), "nowhere");
        let last = format!("PC{}", 3 * HostAddresses::GENERATION_CAPACITY - 1);
        assert_eq!(named(&hosts, &last, 1001), "login of alice at 10.0.0.7 by host_name");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_newest_sighting_of_a_host_wins(
            sights in prop::collection::vec((0..4_u8, 0..8_u8, 0..20_000_i64), 0..24),
            asked in (0..4_u8, 0..30_000_i64),
        ) {
            let mut hosts = HostAddresses::default();
            for (name, place, at) in &sights {
                hosts.record(&computer(&format!("PC{name}"), &format!("10.0.0.{place}"), *at));
            }
            let (name, at) = asked;
            // Of two at the same time, the one reported later.
            let newest = sights.iter().filter(|sight| sight.0 == name).max_by_key(|sight| sight.2);
            let within = newest.filter(|sight| (at - sight.2).abs() <= HostAddresses::MAX_AGE.as_secs() as i64);
            let expected = within.map_or("nowhere".to_owned(), |(_, place, _)| {
                format!("login of alice at {} by host_name", address(&format!("10.0.0.{place}")))
            });
            prop_assert_eq!(named(&hosts, &format!("PC{name}"), at), expected);
        }
    }
}
