//! The interface of the firewalls: tokens; batch, address and user queries; VPN and captive-portal
//! events. It runs in the threads of the listener. A restart loses only the tokens.
//!
//! ```text
//! known source? ─► body ─► token_path ─────────► secret right? ─► token
//!     403          408     query_path ─► token? ─┬─► query ─► query actor ─► response in the dialect
//!                  413     /api/v1/events  401   └─► push ─► ptim producer ─► receipt
//!                          anything else ─► 404, and a redacted line in the log
//! ```
//!
//! An unavailable actor causes a 503, never an empty response: the firewall keeps its entries.

mod cookie;
mod list_hash;
mod points;
mod push;
mod queries;
mod rendering;
mod stats;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use rollcall_identity::Timestamp;
use rollcall_wire::http::RequestParts;
use rollcall_wire::ptim;

use crate::admission::{Rejection, TOKEN_BODY, UnknownRequestLog};
use crate::listener::{Routes, body};
use crate::telemetry::{QueryRefused, ResponseSent};
use rollcall_engine::Engine;
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::query::{AddressLookup, Query};
use rollcall_producers::ptim::PushSink;
use rollcall_runtime::log_rate_limit::LogRateLimit;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

pub use points::Points;
pub use stats::{PointStatus, Role};

use points::{Client, Registry};
use push::PushFormat;

/// The state of the routes.
pub struct Enforcement {
    points: Arc<Points>,
    query: Mailbox<Query>,
    lookup: AddressLookup,
    pushes: PushSink,
    directory: SharedDirectory,
    unknown_requests: UnknownRequestLog,
    ungranted_pushes: LogRateLimit,
}

/// The kind of request that a path belongs to.
enum Route<'a> {
    Token,
    /// Queries and pushes of firewalls, with the path after the prefix.
    Api(&'a str),
    /// Events in Rollcall's own JSON.
    Events,
    Unknown,
}

/// What is known about a request before its body is read.
struct RequestContext {
    registry: Arc<Registry>,
    source: IpAddr,
    now: Timestamp,
}

impl RequestContext {
    /// The arguments of a login besides the request.
    fn login_context(&self) -> (&Registry, IpAddr, Timestamp) {
        (&self.registry, self.source, self.now)
    }
}

impl Enforcement {
    /// Answers queries of `points` from the state of `engine`, and submits pushed events to
    /// `pushes`.
    pub fn new(points: Arc<Points>, engine: &Engine, pushes: PushSink) -> Self {
        let (query, lookup) = (engine.query.clone(), engine.lookup.clone());
        let (directory, unknown_requests) =
            (engine.directory.clone(), UnknownRequestLog::default());
        let ungranted_pushes = LogRateLimit::default();
        Self { points, query, lookup, pushes, directory, unknown_requests, ungranted_pushes }
    }

    /// The routes of the listener. Paths are compared for each request, so that a reload can change
    /// them.
    pub fn routes(self) -> Routes {
        let service = Arc::new(self);
        Arc::new(move |config| {
            let service = web::Data::from(Arc::clone(&service));
            config.app_data(service).default_service(web::to(answer));
        })
    }

    async fn handle(&self, http: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let peer = http.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        let (registry, now) = (self.points.registry(), self.points.now());
        let context = RequestContext { registry, source: peer.to_canonical(), now };
        if !context.registry.allows_source(context.source) {
            return reject(None, Rejection::source());
        }
        let settings = &context.registry.settings;
        let route = route(http.path(), &settings.token_path, &settings.query_path);
        let limit = match route {
            Route::Token => TOKEN_BODY,
            _ => settings.limits.body_size,
        };
        let body = match body::read(payload, limit, settings.limits.body_timeout).await {
            Ok(body) => body,
            Err(error) => return reject(None, error.into()),
        };
        let request = request_parts(http, &body);
        match route {
            Route::Token => self.points.admission.login(&request, context.login_context()).await,
            Route::Api(below) => self.answer_authenticated(&request, below, &context, None).await,
            Route::Events => {
                self.answer_authenticated(&request, request.path, &context, Some(PushFormat::Json))
                    .await
            }
            Route::Unknown => {
                self.unknown_requests.record(&request, context.source, context.now);
                reject(None, Rejection::route())
            }
        }
    }

    /// Handles a request with a token: a push in `format`, or, without a format, what the request
    /// is with the path `below` the prefix.
    async fn answer_authenticated(
        &self,
        original: &RequestParts<'_>,
        below: &str,
        context: &RequestContext,
        format: Option<PushFormat>,
    ) -> HttpResponse {
        let request = &RequestParts { path: below, ..*original };
        let client = match self.points.admission.authenticate(request, context.login_context()) {
            Ok(client) => client,
            Err(rejection) => return reject(None, rejection),
        };
        client.stats.record_activity(context.source, context.now);
        let format = format.or_else(|| ptim::is_push(request).then_some(PushFormat::Ptim));
        let answer = match format {
            Some(format) => self.push(request, context, &client, format).await,
            None => self.answer_query(request, context, &client).await,
        };
        answer.unwrap_or_else(|rejection| {
            if rejection.is_unknown_route() {
                self.unknown_requests.record(original, context.source, context.now);
            }
            client.stats.record_error(&rejection.detail, context.now);
            reject(Some(&client), rejection)
        })
    }
}

async fn answer(
    http: HttpRequest,
    payload: web::Payload,
    service: web::Data<Enforcement>,
) -> HttpResponse {
    let answer = service.handle(&http, payload).await;
    ResponseSent { listener: "enforcement", status: answer.status().as_u16() }.emit();
    answer
}

fn reject(client: Option<&Client>, rejection: Rejection) -> HttpResponse {
    let point = client.map_or("unknown", |client| client.name.as_str());
    QueryRefused { point, reason: rejection.reason, detail: &rejection.detail }.emit();
    rejection.answer()
}

fn route<'a>(path: &'a str, token_path: &str, query_path: &str) -> Route<'a> {
    let below = |prefix: &str| {
        let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    };
    if below(token_path).is_some_and(|rest| rest.trim_matches('/').is_empty()) {
        return Route::Token;
    }
    if let Some(rest) = below(query_path) {
        return Route::Api(rest);
    }
    // Paths of known requests that do not depend on the configured prefix.
    let fixed_paths = ["/user_query/v1", "/user_query/v2", "/api/userfw/v1/post-entry"];
    if fixed_paths.into_iter().any(|fixed| below(fixed).is_some()) {
        return Route::Api(path);
    }
    if below("/api/v1/events") == Some("") { Route::Events } else { Route::Unknown }
}

/// The parts of the request that are independent of HTTP details.
fn request_parts<'a>(http: &'a HttpRequest, body: &'a [u8]) -> RequestParts<'a> {
    let header = |name: &HeaderName| http.headers().get(name)?.to_str().ok();
    RequestParts {
        method: http.method().as_str(),
        path: http.path(),
        query: http.query_string(),
        content_type: header(&CONTENT_TYPE),
        authorization: header(&AUTHORIZATION),
        cookie_header: header(&COOKIE),
        x_cookie_header: header(&HeaderName::from_static("x-cookie")),
        body,
    }
}

#[cfg(test)]
mod tests;
