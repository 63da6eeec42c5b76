//! Change notification: a search that stays open, so that a change is asked for before the interval
//! is over. It only hurries; what changed is read by the reader.

use std::convert::Infallible;
use std::time::Duration;

use rollcall_wire::active_directory::{change_notification, notification};
use tokio::sync::Notify;

use super::{ActiveDirectory, DirectoryError, servers};
use crate::active_directory::telemetry::{ChangeNotificationActive, ChangeNotificationUnavailable};
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a controller may say nothing before the search is begun anew: a connection that a
/// firewall has forgotten looks like a domain where nothing happens.
const SILENCE: Duration = Duration::from_secs(900);

/// How long it waits after a failure. The interval goes on meanwhile.
const PAUSE: Duration = Duration::from_secs(60);

/// Rings `bell` whenever something in the domain changes.
pub(super) async fn watch(
    directory: &ActiveDirectory,
    producer: &str,
    bell: &Notify,
) -> Infallible {
    loop {
        if !directory.settings.notify {
            std::future::pending::<()>().await;
        }
        match listen(directory, producer, bell).await {
            // It is begun anew at once.
            DirectoryError::Silent(_) => {}
            why => {
                ChangeNotificationUnavailable { producer, why: &why }.emit();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn listen(directory: &ActiveDirectory, producer: &str, bell: &Notify) -> DirectoryError {
    let listening = async {
        let mut connection =
            servers::first(&directory.settings, &directory.tls, usize::MAX, None).await?;
        let asked = change_notification(&connection.root.domain);
        let mut open = connection.begin(&asked, &[notification()], SILENCE).await?;
        ChangeNotificationActive { producer }.emit();
        // What changed while nobody listened is asked for.
        bell.notify_one();
        loop {
            connection.hear(&mut open).await?;
            bell.notify_one();
        }
    };
    let heard: Result<Infallible, DirectoryError> = listening.await;
    match heard {
        Ok(never) => match never {},
        Err(why) => why,
    }
}
