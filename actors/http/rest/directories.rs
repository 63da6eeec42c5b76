//! How the reading of each configured directory is.

use std::collections::BTreeMap;

use actix_web::Responder;
use actix_web::web::{Data, Json};
use rollcall_identity::{Name, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use rollcall_producers::active_directory::{DirectoryState, DirectoryStatus, LastSync};

/// A directory that is configured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Directory)]
pub(super) struct DirectoryDto {
    /// Its configured name.
    #[schema(value_type = String, example = "corp")]
    name: Name,
    /// `connecting`, `reading`, `current`, or `failing`: what was known last is in force then.
    #[schema(value_type = String)]
    state: DirectoryState,
    /// Since when it is so.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// The server that answers, or did last.
    server: Option<String>,
    /// The DNS name of its domain, once that was read.
    #[schema(value_type = Option<String>)]
    domain: Option<Name>,
    /// The last time that everything was read.
    whole: Option<Reading>,
    /// The last time that it was asked what changed.
    changes: Option<Reading>,
    /// What could not be read of objects since everything was read, by kind.
    problems: BTreeMap<&'static str, u64>,
    /// By how many seconds the server's clock is ahead of this one.
    clock_ahead_seconds: Option<i64>,
    /// What went wrong last.
    error: Option<String>,
}

/// One reading.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reading {
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How many objects it brought.
    objects: usize,
    /// How long it took.
    seconds: f64,
}

/// Lists the configured directories and how they are.
#[utoipa::path(get, path = "/api/v1/directories", tag = "directory", security(("token" = [])),
    responses((status = 200, description = "All of them, by name", body = Vec<DirectoryDto>)))]
pub(super) async fn list(rest: Data<Rest>) -> impl Responder {
    let all = rest.directories.status();
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
