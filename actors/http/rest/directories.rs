//! The read status of each configured directory.

use std::collections::BTreeMap;

use actix_web::Responder;
use actix_web::web::{Data, Json};
use rollcall_identity::{Name, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use rollcall_producers::active_directory::registry::Directories;
use rollcall_producers::active_directory::{DirectoryState, DirectoryStatus, LastSync};

/// The status of a configured directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Directory)]
pub(super) struct DirectoryDto {
    /// The configured name.
    #[schema(value_type = String, example = "corp")]
    name: Name,
    /// `connecting`, `reading`, `current`, `failing`, or `credentials_refused`. In the last two
    /// states, the data that was read before stays in use.
    #[schema(value_type = String)]
    state: DirectoryState,
    /// The start of this state.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The server in use, or the last one in use.
    server: Option<String>,
    /// The DNS name of the domain, after it has been read.
    #[schema(value_type = Option<String>)]
    domain: Option<Name>,
    /// The last full read.
    last_full_sync: Option<DirectoryRead>,
    /// The last read of changes.
    last_poll: Option<DirectoryRead>,
    /// Properties that could not be read since the last full read, by kind.
    problems: BTreeMap<&'static str, u64>,
    /// The number of seconds by which the clock of the server is ahead of the clock of Rollcall.
    clock_ahead_seconds: Option<i64>,
    /// The last error.
    error: Option<String>,
}

/// A read of the directory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DirectoryRead {
    /// The time of completion.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The number of objects.
    objects: usize,
    /// The duration.
    seconds: f64,
}

/// Lists the configured directories and their status.
#[utoipa::path(get, path = "/api/v1/directories", tag = "directory", security(("token" = [])),
    responses((status = 200, description = "All directories, ordered by name", body = Vec<DirectoryDto>)))]
pub(super) async fn list(rest: Data<Rest>) -> impl Responder {
    let all = rest.producers.shared::<Directories>().status();
    Json(all.into_iter().map(DirectoryDto::from).collect::<Vec<_>>())
}

impl From<(Name, DirectoryStatus)> for DirectoryDto {
    fn from((name, status): (Name, DirectoryStatus)) -> Self {
        let problems = status.problems.iter();
        Self {
            name,
            state: status.state,
            since: status.since,
            server: status.server,
            domain: status.domain.map(|names| names.dns),
            last_full_sync: status.last_full_sync.map(DirectoryRead::from),
            last_poll: status.last_poll.map(DirectoryRead::from),
            problems: problems.map(|(problem, count)| ((*problem).into(), *count)).collect(),
            clock_ahead_seconds: status.skew,
            error: status.error,
        }
    }
}

impl From<LastSync> for DirectoryRead {
    fn from(LastSync { at, objects, millis }: LastSync) -> Self {
        Self { at, objects, seconds: std::time::Duration::from_millis(millis).as_secs_f64() }
    }
}
