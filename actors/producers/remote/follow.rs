//! Repeats the connections of a producer, with a pause between them that depends on the failure.

use std::convert::Infallible;
use std::time::Duration;

use rollcall_runtime::backoff::Backoff;
use rollcall_runtime::telemetry::TelemetryEvent;

use super::telemetry::{CredentialsRefused, CredentialsReleased, FollowStarted};
use super::{FailureClass, RemoteAccount, RemoteError};

/// The first and the longest delay between two connections.
const DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Reads a remote system over one connection after the other.
pub(crate) trait RemoteReader {
    /// Why a connection ends.
    type Error: RemoteError;

    /// Connects, authenticates and reads until the connection fails.
    async fn read(&mut self) -> Self::Error;

    /// Whether the last connection delivered data. The backoff then starts again.
    fn has_progressed(&self) -> bool;

    /// Reports `failure` in the status, the log and the metrics.
    fn failed(&mut self, failure: &Self::Error);
}

/// Reads with `reader`, which authenticates as `account`, until the future is dropped. `producer`
/// names it in the log and the metrics.
pub(crate) async fn follow(
    reader: &mut impl RemoteReader,
    account: &RemoteAccount,
    producer: &str,
) -> Infallible {
    let (first, longest) = DELAYS;
    let mut backoff = Backoff::new(first, longest);
    FollowStarted { producer }.emit();
    loop {
        let failure = reader.read().await;
        reader.failed(&failure);
        if reader.has_progressed() {
            backoff.reset();
        }
        match failure.class() {
            FailureClass::Transient => tokio::time::sleep(backoff.next_delay()).await,
            FailureClass::Renewal => tokio::time::sleep(backoff.delay_after(1)).await,
            FailureClass::CredentialsRefused => {
                CredentialsRefused { producer }.emit();
                account.released().await;
                CredentialsReleased { producer }.emit();
            }
        }
    }
}
