//! Health: liveness, readiness, and the status of each part of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpResponse, Responder};
use futures_util::future::join3;
use rollcall_identity::{Name, Timestamp};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::account::Account;
use super::event_logs::EventLogDto;
use super::{ReloadReport, Rest};
use crate::enforcement::PointStatus;
use crate::problem::Problem;
use rollcall_producers::event_log::EventLogs;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::mailbox::MailboxClosed;
use rollcall_runtime::prometheus::Process;
use rollcall_runtime::supervisor::{ActorState, ActorStatus, ListActors, Ping};

/// Reports that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "The process is alive", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// How long an actor may take to answer before the server counts as not ready. A cache that applies
/// the largest batch answers in a few milliseconds.
const ANSWER: Duration = Duration::from_secs(1);

/// The response of a ready server that runs without a configuration file.
const EVALUATION_READY: &str = "ready\nevaluation: true\n";

/// Reports whether queries are answered and events are accepted. The line `evaluation: true` follows
/// if the server runs without a configuration file.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "Ready", body = String),
    (status = 503, description = "Not ready, with the reasons", body = Problem,
     content_type = "application/problem+json")))]
pub(super) async fn readyz(rest: Data<Rest>) -> Result<&'static str, Problem> {
    let (cache, query, supervisor) = join3(
        answers("cache", rest.cache.send(Ping)),
        answers("query", rest.query.send(Ping)),
        answers("supervisor", rest.supervisor.send(Ping)),
    )
    .await;
    let draining = rest.draining.borrow().then(|| "the server is stopping".to_owned());
    let journal_error = rest.journal_error.borrow().as_ref().map(ToString::to_string);
    let reasons = [cache, query, supervisor, journal_error, draining];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() {
        return Ok(if rest.is_evaluation { EVALUATION_READY } else { "ready\n" });
    }
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not ready");
    Err(problem.with_reasons(reasons))
}

/// The reason if the answer does not arrive.
async fn answers<T>(
    actor: &str,
    answer: impl Future<Output = Result<T, MailboxClosed>>,
) -> Option<String> {
    match timeout(ANSWER, answer).await {
        Ok(Ok(_)) => None,
        Ok(Err(closed)) => Some(closed.to_string()),
        Err(_) => Some(format!("{actor} does not answer within {} s", ANSWER.as_secs())),
    }
}

/// The status of an actor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Actor {
    /// The name.
    #[schema(example = "cache")]
    actor: String,
    /// The kind.
    kind: &'static str,
    /// The stage: `receiving`, `deciding`, `answering`, `pushing` or `supervising`.
    #[schema(value_type = String)]
    stage: Stage,
    /// `running`, or `backing_off` before it is replaced.
    #[schema(value_type = String)]
    state: ActorState,
    /// The start of this state.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// The number of restarts, by cause.
    restarts: BTreeMap<&'static str, u64>,
    /// The error of its last exit.
    last_error: Option<String>,
    /// The number of queued and running messages.
    mailbox_depth: u64,
    /// The maximum of `mailbox_depth`.
    mailbox_capacity: usize,
    /// Messages handled.
    handled: u64,
    /// Messages refused.
    refused: u64,
    /// When it last handled a message.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_activity: Option<Timestamp>,
}

impl From<ActorStatus> for Actor {
    fn from(status: ActorStatus) -> Self {
        let ActorStatus { actor, kind, stage, state, since, restarts, last_error, capacity, stats } =
            status;
        Self {
            actor,
            kind,
            stage,
            state,
            since,
            restarts,
            last_error,
            mailbox_depth: stats.depth,
            mailbox_capacity: capacity,
            handled: stats.handled,
            refused: stats.refused,
            last_activity: stats.last_activity,
        }
    }
}

/// Lists all actors, with their restarts and mailboxes.
#[utoipa::path(get, path = "/api/v1/actors", tag = "health", security(("token" = [])),
    responses((status = 200, description = "All actors, by name, and at the end the supervisor", body = Vec<Actor>)))]
pub(super) async fn actors(rest: Data<Rest>) -> Result<Json<Vec<Actor>>, Problem> {
    let status = rest.supervisor.send(ListActors).await?;
    Ok(Json(status.into_iter().map(Actor::from).collect()))
}

/// A producer: its actor and its event account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Producer {
    /// The actor.
    #[serde(flatten)]
    actor: Actor,
    /// The event account.
    account: Account,
    /// The read status; only for an event log.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_log: Option<EventLogDto>,
}

/// Lists the producers with their event accounts.
#[utoipa::path(get, path = "/api/v1/producers", tag = "health", security(("token" = [])),
    responses((status = 200, description = "All producers, by name", body = Vec<Producer>)))]
pub(super) async fn producers(rest: Data<Rest>) -> Result<Json<Vec<Producer>>, Problem> {
    all_producers(&rest).await.map(Json)
}

/// Shows one producer.
#[utoipa::path(get, path = "/api/v1/producers/{name}", tag = "health", security(("token" = [])),
    params(("name" = String, Path, description = "Its configured name")),
    responses(
        (status = 200, description = "The producer", body = Producer),
        (status = 404, description = "There is no producer of this name", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn producer(
    rest: Data<Rest>,
    name: Path<String>,
) -> Result<Json<Producer>, Problem> {
    let mut all = all_producers(&rest).await?.into_iter();
    let found = all.find(|producer| producer.actor.actor == *name);
    found.map(Json).ok_or_else(|| Problem::not_found(format!("there is no producer {name}")))
}

async fn all_producers(rest: &Rest) -> Result<Vec<Producer>, Problem> {
    let status = rest.supervisor.send(ListActors).await?;
    let mut logs = rest.producers.shared::<EventLogs>().status();
    let producer = |status: ActorStatus| {
        let account = Account::of(&status.actor);
        let log = Name::new(&status.actor).ok().and_then(|name| logs.remove(&name));
        Producer { actor: status.into(), account, event_log: log.map(EventLogDto::from) }
    };
    let receiving = status.into_iter().filter(|actor| actor.stage == Stage::Receiving);
    Ok(receiving.map(producer).collect())
}

/// Lists the enforcement points, with their queries, errors and lag.
#[utoipa::path(get, path = "/api/v1/enforcement-points", tag = "health", security(("token" = [])),
    responses((status = 200, description = "All enforcement points", body = Vec<PointStatus>)))]
pub(super) async fn enforcement_points(rest: Data<Rest>) -> impl Responder {
    Json((rest.points)())
}

/// Reloads the configuration. Either all of it is applied, or nothing changes.
#[utoipa::path(post, path = "/api/v1/reload", tag = "configuration", security(("token" = [])),
    responses(
        (status = 200, description = "The new configuration is effective", body = ReloadReport),
        (status = 422, description = "The configuration has errors, listed in the reasons; nothing was changed",
         body = Problem, content_type = "application/problem+json")))]
pub(super) async fn reload(rest: Data<Rest>) -> Result<Json<ReloadReport>, Problem> {
    (rest.reload)().await.map(Json).map_err(|reasons| {
        let detail = "the configuration has errors; the previous configuration stays effective";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with_reasons(reasons)
    })
}

/// Shows all metrics in the Prometheus text format. They contain no user, host or foreign address,
/// so no token is required, and a scrape needs no setup.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "Prometheus text format 0.0.4", body = String,
     content_type = "text/plain")))]
pub(super) async fn metrics(rest: Data<Rest>) -> HttpResponse {
    Process::read().record();
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain; version=0.0.4; charset=utf-8");
    response.body(rest.prometheus.render())
}

/// Shows the OpenAPI description of this interface.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "configuration",
    security(("token" = [])),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(super::openapi())
}
