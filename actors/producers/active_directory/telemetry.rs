//! Telemetry of directories.

use std::fmt::Display;
use std::time::Duration;

use rollcall_identity::Timestamp;
use rollcall_wire::active_directory::ObjectProblem;
use tracing::{debug, info, warn};

use crate::active_directory::{DirectoryError, FullResyncReason};
use crate::remote::RemoteError;
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// A connection to a domain controller is authenticated.
pub(crate) struct DirectoryConnected<'a, S> {
    pub producer: &'a str,
    pub server: &'a S,
}

impl<S: Display> TelemetryEvent for DirectoryConnected<'_, S> {
    fn emit(self) {
        let Self { producer, server } = self;
        metrics::DIRECTORY_CONNECTED.with([producer.to_owned().into()]).set(1);
        info!(producer, %server, "directory connected");
    }
}

/// A connection failed. The data that was read before stays in use.
pub(crate) struct DirectoryFailed<'a> {
    pub producer: &'a str,
    pub why: &'a DirectoryError,
}

impl TelemetryEvent for DirectoryFailed<'_> {
    fn emit(self) {
        let Self { producer, why } = self;
        metrics::DIRECTORY_CONNECTED.with([producer.to_owned().into()]).set(0);
        let stage: &'static str = why.stage().into();
        metrics::DIRECTORY_FAILURES
            .with([producer.to_owned().into(), stage.to_owned().into()])
            .increment(1);
        warn!(producer, stage, %why, "directory failed");
    }
}

/// The controller sends change notifications.
pub(crate) struct ChangeNotificationActive<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for ChangeNotificationActive<'_> {
    fn emit(self) {
        let Self { producer } = self;
        metrics::DIRECTORY_CHANGE_NOTIFICATION.with([producer.to_owned().into()]).set(1);
        debug!(producer, "directory change notification active");
    }
}

/// The controller sends no change notifications. It is polled.
pub(crate) struct ChangeNotificationUnavailable<'a> {
    pub producer: &'a str,
    pub why: &'a DirectoryError,
}

impl TelemetryEvent for ChangeNotificationUnavailable<'_> {
    fn emit(self) {
        let Self { producer, why } = self;
        metrics::DIRECTORY_CHANGE_NOTIFICATION.with([producer.to_owned().into()]).set(0);
        debug!(producer, %why, "directory change notification unavailable");
    }
}

/// The kind of a synchronization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum SyncKind {
    /// A full synchronization.
    Full,
    /// A poll for changes.
    Changes,
}

/// A synchronization is complete, and its result is in use.
pub(crate) struct DirectoryRead<'a> {
    pub producer: &'a str,
    pub way: SyncKind,
    pub objects: usize,
    pub searches: u64,
    pub took: Duration,
    pub at: Timestamp,
}

impl TelemetryEvent for DirectoryRead<'_> {
    fn emit(self) {
        let Self { producer, way, objects, searches, took, at } = self;
        let name: &'static str = way.into();
        metrics::DIRECTORY_OBJECTS
            .with([producer.to_owned().into(), name.to_owned().into()])
            .increment(objects as u64);
        metrics::DIRECTORY_SEARCHES
            .with([producer.to_owned().into(), name.to_owned().into()])
            .increment(searches);
        metrics::DIRECTORY_READ_SECONDS
            .with([producer.to_owned().into(), name.to_owned().into()])
            .record(took.as_secs_f64());
        metrics::DIRECTORY_CURRENT_TIMESTAMP_SECONDS
            .with([producer.to_owned().into()])
            .set(at.millis() as f64 / 1000.0);
        match way {
            SyncKind::Full => info!(producer, objects, ?took, "directory read"),
            SyncKind::Changes => debug!(producer, objects, ?took, "directory polled"),
        }
    }
}

/// A full synchronization begins.
pub(crate) struct DirectoryFullResync<'a> {
    pub producer: &'a str,
    pub why: FullResyncReason,
}

impl TelemetryEvent for DirectoryFullResync<'_> {
    fn emit(self) {
        let Self { producer, why } = self;
        let name: &'static str = why.into();
        metrics::DIRECTORY_FULL_RESYNCS
            .with([producer.to_owned().into(), name.to_owned().into()])
            .increment(1);
        match why {
            FullResyncReason::Restored | FullResyncReason::UsnRollback => {
                warn!(producer, why = name, "directory went back: full synchronization");
            }
            _ => info!(producer, why = name, "full synchronization of the directory"),
        }
    }
}

/// Values of objects are unusable.
pub(crate) struct ObjectUnreadable<'a> {
    pub producer: &'a str,
    pub problem: ObjectProblem,
    pub count: u64,
}

impl TelemetryEvent for ObjectUnreadable<'_> {
    fn emit(self) {
        let Self { producer, problem, count } = self;
        let problem: &'static str = problem.into();
        metrics::DIRECTORY_PROBLEMS
            .with([producer.to_owned().into(), problem.to_owned().into()])
            .increment(count);
        debug!(producer, problem, count, "directory objects have unusable values");
    }
}
