//! Telemetry events of TLS.

use std::time::Duration;

use rollcall_identity::Timestamp;
use tracing::warn;

use crate::metrics;
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

/// A listener loaded its certificate.
pub struct CertificateLoaded<'a> {
    /// The name of the listener, or of the producer that listens.
    pub listener: &'a str,
    /// The end of the validity of the certificate.
    pub not_after: Timestamp,
    /// The current time.
    pub now: Timestamp,
}

/// How long before its end a certificate is reported: enough for a manual renewal.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 3600);

impl TelemetryEvent for CertificateLoaded<'_> {
    fn emit(self) {
        let Self { listener, not_after, now } = self;
        metrics::CERTIFICATE_EXPIRY
            .with([listener.to_owned().into()])
            .set(not_after.millis() as f64 / 1000.0);
        if not_after < now {
            warn!(listener, %not_after, "certificate has expired: clients reject it");
        } else if not_after < now + RENEWAL {
            warn!(listener, %not_after, "certificate expires soon");
        }
    }
}
