//! The status of each configured directory.

use std::collections::BTreeMap;

use actix_web::Responder;
use actix_web::web::{Data, Json};
use rollcall_identity::{Name, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use rollcall_producers::active_directory::{DirectoryState, DirectoryStatus, LastSync};

/// A configured directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Directory)]
pub(super) struct DirectoryShape {
    /// Its configured name.
    #[schema(value_type = String, example = "corp")]
    name: Name,
    /// `connecting`, `reading`, `current`, `failing`, or `credentials_refused`. In the last two states,
    /// the data that was read before stays in use.
    #[schema(value_type = String)]
    state: DirectoryState,
    /// The start of the state.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The domain controller that is connected, or was last.
    server: Option<String>,
    /// The DNS name of its domain, once it has been read.
    #[schema(value_type = Option<String>)]
    domain: Option<Name>,
    /// The last full synchronization.
    whole: Option<Reading>,
    /// The last poll for changes.
    changes: Option<Reading>,
    /// The number of objects with unusable values since the last full synchronization, by kind.
    problems: BTreeMap<&'static str, u64>,
    /// The seconds by which the clock of the controller is ahead; negative if it is behind.
    clock_ahead_seconds: Option<i64>,
    /// The last error, while the directory cannot be read.
    error: Option<String>,
}

/// A completed synchronization.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reading {
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The number of objects that were read.
    objects: usize,
    /// The duration in seconds.
    seconds: f64,
}

/// Lists the configured directories with their status.
#[utoipa::path(get, path = "/api/v1/directories", tag = "directory", security(("token" = [])),
    responses((status = 200, description = "All directories, ordered by name", body = Vec<DirectoryShape>)))]
pub(super) async fn list(rest: Data<Rest>) -> impl Responder {
    let all = rest.directories.status();
    Json(all.into_iter().map(DirectoryShape::from).collect::<Vec<_>>())
}

impl From<(Name, DirectoryStatus)> for DirectoryShape {
    fn from((name, status): (Name, DirectoryStatus)) -> Self {
        let problems = status.problems.iter();
        Self {
            name,
            state: status.state,
            since: status.since,
            server: status.server,
            domain: status.domain.map(|names| names.dns),
            whole: status.whole.map(Reading::from),
            changes: status.changes.map(Reading::from),
            problems: problems.map(|(problem, count)| ((*problem).into(), *count)).collect(),
            clock_ahead_seconds: status.skew,
            error: status.error,
        }
    }
}

impl From<LastSync> for Reading {
    fn from(LastSync { at, objects, millis }: LastSync) -> Self {
        Self { at, objects, seconds: std::time::Duration::from_millis(millis).as_secs_f64() }
    }
}
