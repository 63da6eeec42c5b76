//! Change notification: a search that stays open and reports changes, so that they are read before the
//! next poll.

use std::convert::Infallible;
use std::time::Duration;

use rollcall_wire::active_directory::{change_notification, notification};
use tokio::sync::Notify;

use super::{ActiveDirectory, DirectoryError};
use crate::active_directory::telemetry::{ChangeNotificationActive, ChangeNotificationUnavailable};
use crate::remote::{FailureClass, RemoteError};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The maximum time without a notification before the search is renewed. A connection that a firewall
/// has dropped looks like a domain without changes.
const MAX_SILENCE: Duration = Duration::from_secs(900);

/// The pause after a failure. Polling continues meanwhile.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Notifies `wakeup` whenever an object of the domain changes.
pub(super) async fn watch(
    directory: &ActiveDirectory,
    producer: &str,
    wakeup: &Notify,
) -> Infallible {
    if !directory.controllers.settings.notify {
        std::future::pending::<()>().await;
    }
    loop {
        let failure = listen(directory, producer, wakeup).await;
        if matches!(failure, DirectoryError::Silent(_)) {
            continue;
        }
        ChangeNotificationUnavailable { producer, why: &failure }.emit();
        match failure.class() {
            FailureClass::CredentialsRefused => directory.controllers.account.released().await,
            FailureClass::Transient | FailureClass::Renewal => {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

async fn listen(directory: &ActiveDirectory, producer: &str, wakeup: &Notify) -> DirectoryError {
    let listening = async {
        let mut connection = directory.controllers.connect().await?;
        let request = change_notification(&connection.root.domain);
        let mut search = connection.begin(&request, &[notification()], MAX_SILENCE).await?;
        ChangeNotificationActive { producer }.emit();
        // Changes before the search began are polled.
        wakeup.notify_one();
        loop {
            connection.next_entry(&mut search).await?;
            wakeup.notify_one();
        }
    };
    let ended: Result<Infallible, DirectoryError> = listening.await;
    match ended {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}
