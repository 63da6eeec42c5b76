//! The push targets: their status, resync and verification.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, Responder};

use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use crate::problem::Problem;
use rollcall_push::{Drift, TargetStatus};

/// Lists the push targets with their acknowledged position, lag and last error.
#[utoipa::path(get, path = "/api/v1/push-targets", tag = "health", security(("token" = [])),
    responses((status = 200, description = "All push targets, by name", body = Vec<TargetStatus>)))]
pub(super) async fn list(rest: Data<Rest>) -> impl Responder {
    Json(rest.targets.status())
}

/// A scheduled operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The name of the target that receives a full resync.
    accepted: String,
}

/// Starts a full resync of a push target.
#[utoipa::path(post, path = "/api/v1/push-targets/{name}/resync", tag = "configuration",
    security(("token" = [])), params(("name" = String, Path, description = "Its configured name")),
    responses(
        (status = 202, description = "The resync is scheduled", body = Accepted),
        (status = 404, description = "There is no push target of this name", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn resync(rest: Data<Rest>, name: Path<String>) -> Result<HttpResponse, Problem> {
    rest.targets.resync(&name).await.ok_or_else(|| unknown(&name))??;
    Ok(HttpResponse::Accepted().json(Accepted { accepted: name.into_inner() }))
}

/// Compares the state of a push target with the expected state. A difference causes a full resync.
#[utoipa::path(post, path = "/api/v1/push-targets/{name}/verify", tag = "health",
    security(("token" = [])), params(("name" = String, Path, description = "Its configured name")),
    responses(
        (status = 200, description = "The result of the comparison", body = Drift),
        (status = 404, description = "There is no push target of this name", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The comparison is not possible now", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn verify(rest: Data<Rest>, name: Path<String>) -> Result<Json<Drift>, Problem> {
    let answer = tokio::time::timeout(super::VERIFY_TIMEOUT, rest.targets.check(&name)).await;
    let result =
        answer.map_err(|_| timeout_problem(&rest, &name))?.ok_or_else(|| unknown(&name))??;
    let drift =
        result.map_err(|why| unavailable(format!("it cannot be compared now: it {why}")))?;
    Ok(Json(drift))
}

/// The comparison continues in the background. Returns its current error, if there is one.
fn timeout_problem(rest: &Rest, name: &str) -> Problem {
    let (limit, found) =
        (super::VERIFY_TIMEOUT.as_secs(), "the result will be shown in /api/v1/push-targets");
    match rest.targets.error(name) {
        Some(why) => unavailable(format!("it cannot be compared now: it {why}")),
        None => unavailable(format!("the comparison did not complete within {limit} s; {found}")),
    }
}

fn unavailable(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no push target {name:?}"))
}
