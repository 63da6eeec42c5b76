//! Telemetry events of TLS.

use tracing::warn;

use crate::telemetry::TelemetryEvent;

/// The system does not report the addresses of the machine.
pub(crate) struct OwnAddressesUnknown {
    pub error: nix::Error,
}

impl TelemetryEvent for OwnAddressesUnknown {
    fn emit(self) {
        warn!(
            error = %self.error,
            "the addresses of this machine are unknown: sessions at them are not refused, and the \
             self-signed certificate does not contain them; check that the service allows AF_NETLINK"
        );
    }
}
