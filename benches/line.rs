//! The lines that are sent: Junos VPN tunnels that come up, each for another user and address, and
//! flow logs that tell nothing about users.

use std::net::Ipv4Addr;
use std::time::SystemTime;

/// How many distinct tunnels there are before the first comes again.
pub const DISTINCT: u32 = 9 * 1_000_000;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A VPN tunnel came up: one event.
    Vpn,
    /// A session of the flow module: no template knows it.
    Flow,
}

/// One line whose changing parts are overwritten in place: making it must cost far less than
/// reading it. Numbers are of fixed width, so that nothing moves.
#[derive(Debug, Clone)]
pub struct Line {
    text: Vec<u8>,
    /// Where the seven digits of the user stand.
    user: Vec<usize>,
    /// Where the 14 bytes of the assigned address stand.
    address: Vec<usize>,
    /// The time that it says, in seconds since 1970.
    second: u64,
}

const USER: &[u8] = b"0000000";
const ADDRESS: &[u8] = b"10.100.100.100";

/// As a vSRX writes it (published by Juniper staff), with an AAA user.
const VPN: &str = "fw1 iked[17437]: IKE_VPN_UP_ALARM_USER: VPN ra-vpn from 81.93.249.121 is up. \
Local-ip: 89.187.136.172, gateway name: ra-gw, vpn name: ra-vpn, tunnel-id: 500027, local \
tunnel-if: st0.0, remote tunnel-ip: 80.92.248.120, Local IKE-ID: p4.jnpr.cz, Remote IKE-ID: \
ra@example.net, AAA username: user0000000, VR id: root, Traffic-selector: ts1, Traffic-selector \
local ID: ipv4(0,0-65535,0.0.0.0-255.255.255.255) , Traffic-selector remote ID: \
ipv4(0,0-65535,10.100.100.100-10.100.100.100) , SA Type: dynamic";

/// As Junos writes it in its default format; by far the most frequent line of a busy firewall.
const FLOW: &str = "fw1 RT_FLOW: RT_FLOW_SESSION_CREATE: session created \
10.100.100.100/52311->93.184.216.34/443 0x0 junos-https 89.187.136.172/11873->93.184.216.34/443 \
0x0 source rule nat-out N/A N/A 6 allow-web trust untrust 150323 user0000000(Staff) reth1.100 \
UNKNOWN UNKNOWN UNKNOWN N/A N/A -1 N/A N/A N/A Off root 0 N/A N/A";

impl Line {
    /// A line of this sort, of this second.
    pub fn new(sort: Sort) -> Self {
        let body = match sort {
            Sort::Vpn => VPN,
            Sort::Flow => FLOW,
        };
        let text = format!("<30>Nov 21 19:59:58 {body}").into_bytes();
        let all = |part: &[u8]| memchr::memmem::find_iter(&text, part).collect();
        let (user, address) = (all(USER), all(ADDRESS));
        let mut line = Self { text, user, address, second: 0 };
        line.renew();
        line
    }

    /// The line of tunnel `index`, which is taken modulo [`DISTINCT`].
    pub fn of(&mut self, index: u32) -> &[u8] {
        let index = index % DISTINCT;
        for at in &self.user {
            digits(&mut self.text[*at..at + USER.len()], index);
        }
        let [first, rest] = [index / 1_000_000, index % 1_000_000];
        for at in &self.address {
            let octets = &mut self.text[*at..at + ADDRESS.len()];
            digits(&mut octets[..2], 10 + first);
            digits(&mut octets[4..6], rest / 10_000);
            digits(&mut octets[8..10], rest / 100 % 100);
            digits(&mut octets[12..14], rest % 100);
        }
        &self.text
    }

    /// Writes the present time into the line, in UTC. To be called now and then: an event may be no
    /// older than a quarter of an hour.
    pub fn renew(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            let written = jiff::Timestamp::try_from(now).expect("the clock is within jiff's years");
            let written = written.strftime("%b %e %H:%M:%S").to_string();
            self.text[4..19].copy_from_slice(written.as_bytes());
        }
    }
}

/// The address of tunnel `index`.
pub fn address(index: u32) -> Ipv4Addr {
    let index = index % DISTINCT;
    let part = |number: u32| u8::try_from(100 + number % 100).expect("at most 199");
    let first = u8::try_from(10 + index / 1_000_000).expect("at most 18");
    Ipv4Addr::new(first, part(index / 10_000), part(index / 100), part(index))
}

/// The user of tunnel `index`.
pub fn user(index: u32) -> String {
    format!("user{:07}", index % DISTINCT)
}

fn digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use rollcall_wire::syslog::{SenderClock, SyslogMessage};

    #[test]
    fn a_line_is_about_its_tunnel() {
        let mut line = Line::new(Sort::Vpn);
        for index in [0, 7, 123_456, 999_999, 1_000_000, DISTINCT - 1, DISTINCT] {
            let text = String::from_utf8(line.of(index).to_vec()).unwrap();
            let address = address(index);
            assert!(text.contains(&format!("remote ID: ipv4(0,0-65535,{address}-{address})")));
            assert!(text.contains(&format!("AAA username: {}, VR", user(index))), "{text}");
        }
    }

    #[test]
    fn a_line_says_when_it_was_renewed() {
        let now =
            rollcall_identity::Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        for sort in [Sort::Vpn, Sort::Flow] {
            let mut line = Line::new(sort);
            let mut clock = SenderClock::new(TimeZone::UTC);
            let (at, _) = SyslogMessage::read(line.of(0), now, &mut clock).at.unwrap();
            assert!((at.millis() - now.millis()).abs() < 5000, "{at}");
        }
    }
}
