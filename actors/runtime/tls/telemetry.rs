//! Telemetry events of TLS.

use tracing::warn;

use crate::telemetry::TelemetryEvent;

/// The system does not tell which addresses the machine has.
pub(crate) struct OwnAddressesUnknown {
    pub error: nix::Error,
}

impl TelemetryEvent for OwnAddressesUnknown {
    fn emit(self) {
        warn!(
            error = %self.error,
            "the addresses of this machine are not known: sessions at them are not refused, and \
             the self-made certificate does not name them; does the service allow AF_NETLINK?"
        );
    }
}
