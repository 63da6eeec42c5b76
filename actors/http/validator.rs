//! The validator: the web interface of an SRX (J-Web) queries it while an administrator writes a
//! policy: whether a user, group or device exists, and lists of them. The answers come from the
//! current directory.
//!
//! ```text
//! known source? ─► body ─► token_path ─► secret right? ─► token
//!     403          408     query_path ─► token? ─► query ─► directory ─► response
//!                  413     anything else ─► 404, and a redacted line in the log
//! ```

mod lookup;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use ipnet::IpNet;
use rollcall_config as config;
use rollcall_config::{Lockout, SecretHash};
use rollcall_identity::{Name, Timestamp};
use rollcall_wire::http::RequestParts;
use rollcall_wire::srx::validator::{self, ValidatorQuery};

use crate::admission::{
    Admission, ClientRegistry, CredentialSubject, Rejection, TOKEN_BODY, UnknownRequestLog,
};
use crate::listener::{Routes, body};
use crate::telemetry::{ResponseSent, ValidatorAnswered};
use rollcall_engine::directory::SharedDirectory;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The state of the routes.
pub struct Validator {
    registry: ArcSwap<Registry>,
    admission: Admission,
    directory: SharedDirectory,
    unknown_requests: UnknownRequestLog,
    clock: Clock,
}

/// The effective settings, indexed by client ID.
struct Registry {
    settings: config::Validator,
    by_id: HashMap<String, Arc<Client>>,
}

/// A firewall whose web interface may query.
struct Client {
    name: Name,
    secret: SecretHash,
    addresses: Vec<IpNet>,
}

/// What is known about a request before its body is read.
struct RequestContext {
    registry: Arc<Registry>,
    source: IpAddr,
    now: Timestamp,
}

impl RequestContext {
    fn login_context(&self) -> (&Registry, IpAddr, Timestamp) {
        (&self.registry, self.source, self.now)
    }
}

impl Validator {
    /// Answers the clients in the settings from the directory.
    pub fn new(settings: &config::Validator, directory: SharedDirectory, clock: Clock) -> Self {
        let registry = ArcSwap::from_pointee(Registry::new(settings));
        let (admission, unknown_requests) =
            (Admission::new(clock.clone()), UnknownRequestLog::default());
        Self { registry, admission, directory, unknown_requests, clock }
    }

    /// Applies other settings, from the next request on. A client with an unchanged secret keeps
    /// its tokens.
    pub fn apply_settings(&self, settings: &config::Validator) {
        let registry = Arc::new(Registry::new(settings));
        self.registry.store(Arc::clone(&registry));
        self.admission.revoke_stale(&*registry);
    }

    /// The routes of the listener.
    pub fn routes(self: &Arc<Self>) -> Routes {
        let service = Arc::clone(self);
        Arc::new(move |config| {
            let service = web::Data::from(Arc::clone(&service));
            config.app_data(service).default_service(web::to(answer));
        })
    }

    async fn handle(&self, http: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let peer = http.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        let (registry, source) = (self.registry.load_full(), peer.to_canonical());
        let context = RequestContext { registry, source, now: self.clock.now() };
        if !context.registry.by_id.values().any(|client| client.allows_source(source)) {
            return reject(None, Rejection::source());
        }
        let settings = &context.registry.settings;
        let is_token = below(http.path(), &settings.token_path)
            .is_some_and(|rest| rest.trim_matches('/').is_empty());
        let limit = if is_token { TOKEN_BODY } else { settings.limits.body_size };
        let body = match body::read(payload, limit, settings.limits.body_timeout).await {
            Ok(body) => body,
            Err(error) => return reject(None, error.into()),
        };
        let request = request_parts(http, &body);
        if is_token {
            return self.admission.login(&request, context.login_context()).await;
        }
        match below(http.path(), &settings.query_path) {
            Some(path) => self.answer_authenticated(&request, path, &context).await,
            None => {
                self.unknown_requests.record(&request, context.source, context.now);
                reject(None, Rejection::route())
            }
        }
    }

    /// Handles a request with a token. `path` is the path below the prefix.
    async fn answer_authenticated(
        &self,
        original: &RequestParts<'_>,
        path: &str,
        context: &RequestContext,
    ) -> HttpResponse {
        let client = match self.admission.authenticate(original, context.login_context()) {
            Ok(client) => client,
            Err(rejection) => return reject(None, rejection),
        };
        match validator::read(&RequestParts { path, ..*original }) {
            Ok(query) => self.look_up(query, &client).await,
            Err(error) => {
                let rejection = Rejection::from(error);
                if rejection.is_unknown_route() {
                    self.unknown_requests.record(original, context.source, context.now);
                }
                reject(Some(&client), rejection)
            }
        }
    }

    /// Looks up the answer on a blocking thread, where it delays no other request: a list scans
    /// every object.
    async fn look_up(&self, query: ValidatorQuery, client: &Client) -> HttpResponse {
        let (directory, kind) = (self.directory.clone(), query.kind().into());
        let found = web::block(move || lookup::lookup(&directory.read(), &query)).await;
        match found.unwrap_or_else(|_| Err(Rejection::unavailable("the server is stopping"))) {
            Ok(lookup::ValidatorReply { outcome, body }) => {
                ValidatorAnswered { client: client.name.as_str(), kind, outcome }.emit();
                let mut response = HttpResponse::Ok();
                response.content_type("application/json");
                response.insert_header((CACHE_CONTROL, "no-store"));
                response.body(body)
            }
            Err(rejection) => reject(Some(client), rejection),
        }
    }
}

async fn answer(
    http: HttpRequest,
    payload: web::Payload,
    service: web::Data<Validator>,
) -> HttpResponse {
    let answer = service.handle(&http, payload).await;
    ResponseSent { listener: "validator", status: answer.status().as_u16() }.emit();
    answer
}

fn reject(client: Option<&Client>, rejection: Rejection) -> HttpResponse {
    let client = client.map_or("unknown", |client| client.name.as_str());
    ValidatorAnswered { client, kind: "none", outcome: rejection.reason }.emit();
    rejection.answer()
}

/// The part of `path` after `prefix`.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
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
        body,
        ..RequestParts::default()
    }
}

impl Registry {
    fn new(settings: &config::Validator) -> Self {
        let client = |client: &config::ValidatorClient| {
            let known = Client {
                name: client.name.clone(),
                secret: client.secret.clone(),
                addresses: client.addresses.clone(),
            };
            (client.client_id.clone(), Arc::new(known))
        };
        Self { by_id: settings.clients.iter().map(client).collect(), settings: settings.clone() }
    }
}

impl ClientRegistry for Registry {
    type Client = Client;

    fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    fn token_lifetime(&self) -> std::time::Duration {
        self.settings.token_lifetime
    }

    fn lockout(&self) -> &Lockout {
        &self.settings.lockout
    }
}

impl CredentialSubject for Client {
    fn secret(&self) -> &SecretHash {
        &self.secret
    }

    fn allows_source(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&source))
    }

    /// Never: proxies can log the query.
    fn allows_query_token(&self) -> bool {
        false
    }
}
