//! Syslog lines of a Juniper SRX for the VPN tunnels of remote users.

use jiff::{SignedDuration, Timestamp};

use super::now;

/// A VPN tunnel as `iked` reports it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vpn<'a> {
    /// The authenticated user; `Not-applicable` without one.
    pub(crate) user: &'a str,
    /// The address that was assigned to the client.
    pub(crate) address: &'a str,
}

impl Vpn<'_> {
    /// The text that `iked` writes when the tunnel is up.
    pub(crate) fn up(self) -> String {
        self.line("UP", "up", "")
    }

    /// The text that `iked` writes when the tunnel is down.
    pub(crate) fn down(self) -> String {
        self.line("DOWN", "down", ", Reason: IPSec SA delete payload received from peer")
    }

    /// The published line of a vSRX with another user and another assigned address.
    fn line(self, event: &str, state: &str, reason: &str) -> String {
        let Self { user, address } = self;
        let range = if address.contains(':') { "ipv6" } else { "ipv4" };
        format!(
            "IKE_VPN_{event}_ALARM_USER: VPN ra-vpn from 81.93.249.121 is {state}. Local-ip: \
             89.187.136.172, gateway name: ra-gw, vpn name: ra-vpn, tunnel-id: 500027, local \
             tunnel-if: st0.0, remote tunnel-ip: 80.92.248.120, Local IKE-ID: p4.jnpr.cz, Remote \
             IKE-ID: ra@example.net, AAA username: {user}, VR id: root, Traffic-selector: ts1, \
             Traffic-selector local ID: ipv4(0,0-65535,0.0.0.0-255.255.255.255) , \
             Traffic-selector remote ID: {range}(0,0-65535,{address}-{address}) , SA Type: \
             dynamic{reason}"
        )
    }
}

/// A line of `iked` with an RFC 3164 header, written the duration `before` now by a device in UTC.
pub(crate) fn frame_3164(text: &str, before: SignedDuration) -> String {
    let at: Timestamp = now() - before;
    format!("<30>{} vsrx-p4 iked[17437]: {text}", at.strftime("%b %e %H:%M:%S"))
}
