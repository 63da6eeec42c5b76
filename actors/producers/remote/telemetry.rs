//! Telemetry of connections to remote systems.

use rollcall_runtime::telemetry::TelemetryEvent;
use tracing::{info, warn};

use crate::metrics;

/// A producer starts. Its gauge starts at zero, so that the first refusal is visible.
pub(crate) struct FollowStarted<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for FollowStarted<'_> {
    fn emit(self) {
        metrics::CREDENTIALS_REFUSED.with([self.producer.to_owned().into()]).set(0);
    }
}

/// The account of a producer was refused. The producer pauses.
pub(crate) struct CredentialsRefused<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for CredentialsRefused<'_> {
    fn emit(self) {
        metrics::CREDENTIALS_REFUSED.with([self.producer.to_owned().into()]).set(1);
    }
}

/// The pause after a refusal has ended; the producer connects again.
pub(crate) struct CredentialsReleased<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for CredentialsReleased<'_> {
    fn emit(self) {
        let Self { producer } = self;
        metrics::CREDENTIALS_REFUSED.with([producer.to_owned().into()]).set(0);
        info!(producer, "refused account is tried again");
    }
}

/// A server refused an account. No connection uses it until the pause ends.
pub(crate) struct AccountPaused<'a> {
    pub account: &'a str,
    pub reason: &'a str,
    pub pause: std::time::Duration,
}

impl TelemetryEvent for AccountPaused<'_> {
    fn emit(self) {
        let Self { account, reason, pause } = self;
        warn!(
            account,
            reason,
            ?pause,
            "account refused; it is not tried again until the pause ends, \
               its secret file changes, or the configuration is reloaded"
        );
    }
}
