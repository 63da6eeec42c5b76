//! The REST interface for administrators and scripts: sessions and their causes, the live stream,
//! the status of the server, and its metrics.

mod account;
mod directories;
mod directory;
mod dto;
mod event_logs;
mod health;
mod history;
mod history_dto;
mod host;
mod page_token;
mod push_targets;
mod session_filter;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;
pub mod token;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route};
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use rollcall_identity::Revision;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

pub use self::host::AllowedHosts;
pub use self::token::Token;
use crate::problem::Problem;
use crate::telemetry::ResponseSent;
use rollcall_engine::cache::Cache;
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::query::Query;
use rollcall_history::History;
use rollcall_journal::WriteErrorWatch;
use rollcall_producers::registration::ProducerContext;
use rollcall_push::PushTargets;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::supervisor::Supervisor;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a request waits for the comparison of a push target. A comparison of a million sessions
/// with its second pass takes seconds.
const VERIFY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Returns the status of the enforcement points: a JSON array with an object for each.
pub type PointsStatus = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Reloads the configuration and applies it, or returns all its errors.
pub type Reload =
    Arc<dyn Fn() -> BoxFuture<'static, Result<ReloadReport, Vec<String>>> + Send + Sync>;

/// The result of a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadReport {
    /// The sections of the configuration that changed.
    pub changed: Vec<String>,
    /// The actors that were started, replaced or stopped.
    pub restarted: Vec<String>,
    /// Changes that take effect only after a restart of the server.
    pub after_restart: Vec<String>,
}

/// The state of the routes.
#[derive(Clone)]
pub struct Rest {
    /// The query actor, which has the current sessions.
    pub query: Mailbox<Query>,
    /// The cache actor, which explains decisions.
    pub cache: Mailbox<Cache>,
    /// Past sessions; `None` if the journal is in memory.
    pub history: Option<Mailbox<History>>,
    /// The status of the actors.
    pub supervisor: Mailbox<Supervisor>,
    /// The newest revision of the query actor; a change wakes the live streams.
    pub newest: watch::Receiver<Revision>,
    /// The error of the journal while it is not writable; the server is then not ready.
    pub journal_error: WriteErrorWatch,
    /// Whether the server is draining; it is then not ready, and the live streams end.
    pub draining: watch::Receiver<bool>,
    /// The status of the enforcement points.
    pub points: PointsStatus,
    /// The users, devices and groups of the directories.
    pub directory: SharedDirectory,
    /// The producers, whose status is published by kind.
    pub producers: ProducerContext,
    /// The push targets.
    pub targets: PushTargets,
    /// Reloads the configuration.
    pub reload: Reload,
    /// The metrics.
    pub prometheus: PrometheusHandle,
    /// The token for all paths under `/api`.
    pub token: Token,
    /// The host names of the interface.
    pub hosts: AllowedHosts,
    /// Whether the server runs without a configuration file, for evaluation.
    pub is_evaluation: bool,
}

impl Rest {
    /// The routes for a listener.
    pub fn routes(self) -> Arc<dyn Fn(&mut ServiceConfig) + Send + Sync> {
        Arc::new(move |config| route(config, Data::new(self.clone())))
    }
}

fn route(config: &mut ServiceConfig, rest: Data<Rest>) {
    let api = web::scope("/api/v1")
        .wrap(from_fn(authorize))
        .service(get("/sessions", web::get().to(sessions::list)))
        .service(get("/sessions/{ip}", web::get().to(sessions::one)))
        .service(get("/sessions/{ip}/explain", web::get().to(sessions::explain)))
        .service(get("/history/addresses/{ip}", web::get().to(history::address)))
        .service(get("/history/users/{user}", web::get().to(history::user)))
        .service(get("/history/diff", web::get().to(history::difference)))
        .service(get("/stream", web::get().to(stream::stream)))
        .service(get("/producers", web::get().to(health::producers)))
        .service(get("/producers/{name}", web::get().to(health::producer)))
        .service(get("/enforcement-points", web::get().to(health::enforcement_points)))
        .service(get("/domains", web::get().to(directory::domains)))
        .service(get("/users", web::get().to(directory::users)))
        .service(get("/users/{name}/groups", web::get().to(directory::groups_of_user)))
        .service(get("/devices", web::get().to(directory::devices)))
        .service(get("/groups", web::get().to(directory::groups)))
        .service(get("/directories", web::get().to(directories::list)))
        .service(get("/push-targets", web::get().to(push_targets::list)))
        .service(only("POST", "/push-targets/{name}/resync", web::post().to(push_targets::resync)))
        .service(only("POST", "/push-targets/{name}/verify", web::post().to(push_targets::verify)))
        .service(get("/actors", web::get().to(health::actors)))
        .service(get("/openapi.json", web::get().to(health::openapi)))
        .service(only("POST", "/reload", web::post().to(health::reload)))
        .default_service(web::to(unknown));
    let all = web::scope("")
        .wrap(from_fn(host::check))
        .wrap(from_fn(count))
        .app_data(rest)
        .app_data(
            QueryConfig::default()
                .error_handler(|why, _| Problem::bad_request(why.to_string()).into()),
        )
        .app_data(
            PathConfig::default()
                .error_handler(|why, _| Problem::bad_request(why.to_string()).into()),
        )
        .service(get("/healthz", web::get().to(health::healthz)))
        .service(get("/readyz", web::get().to(health::readyz)))
        .service(get("/metrics", web::get().to(health::metrics)))
        .service(api)
        .default_service(web::to(unknown));
    config.service(all);
}

fn get(path: &str, route: Route) -> Resource {
    only("GET", path, route)
}

/// A resource that accepts one method and answers others with 405.
fn only(method: &'static str, path: &str, route: Route) -> Resource {
    let others = move || async move { Err::<&str, _>(Problem::method_not_allowed(method)) };
    web::resource(path).route(route).default_service(web::to(others))
}

async fn unknown(request: HttpRequest) -> Result<&'static str, Problem> {
    Err(Problem::not_found(format!(
        "no resource at {}; /api/v1/openapi.json lists all resources",
        request.path()
    )))
}

/// Rejects requests without the token (RFC 6750 section 2.1).
async fn authorize(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let rest = request.app_data::<Data<Rest>>().expect("the outer scope contains it");
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let detail = match token {
        Some(token) if rest.token.matches(token) => return next.call(request).await,
        Some(_) => "the token is not valid for this server",
        None => "the header Authorization: Bearer with the server token is missing",
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, detail).into())
}

/// Counts every response by its status.
async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    ResponseSent { listener: "rest", status: status.as_u16() }.emit();
    answer
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "Who is behind each IP address, and why. Errors are RFC 9457 problem details.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        sessions::list,
        sessions::one,
        sessions::explain,
        history::address,
        history::user,
        history::difference,
        stream::stream,
        health::producers,
        health::producer,
        health::enforcement_points,
        directory::domains,
        directory::users,
        directory::groups_of_user,
        directory::devices,
        directory::groups,
        directories::list,
        push_targets::list,
        push_targets::resync,
        push_targets::verify,
        health::actors,
        health::reload,
        health::openapi,
        health::healthz,
        health::readyz,
        health::metrics
    ),
    components(schemas(dto::Resync)),
    modifiers(&Bearer)
)]
struct Interface;

/// The security scheme in the description.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", token);
    }
}

/// The OpenAPI description of the interface, as JSON with a trailing newline.
pub fn openapi() -> String {
    let text = Interface::openapi().to_pretty_json();
    text.expect("the description can be written as JSON") + "\n"
}
