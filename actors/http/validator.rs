//! What the web interface of an SRX (J-Web) asks while an administrator writes a policy: whether a
//! user, group or device exists, and which there are. Answered from the directory as it is known.
//!
//! ```text
//! known source? ─► body ─► token_path ─► secret right? ─► token
//!     403          408     query_path ─► token? ─► question ─► directory ─► answer
//!                  413     anything else ─► 404, and a line in the log with the secrets left out
//! ```

mod answering;
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

use crate::admission::{Admission, Applicant, Refused, Register, Strange, TOKEN_BODY};
use crate::listener::{Routes, body};
use crate::telemetry::{Responded, Validated};
use rollcall_engine::directory::SharedDirectory;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Everything that the routes need.
pub struct Validator {
    roster: ArcSwap<Roster>,
    admission: Admission,
    directory: SharedDirectory,
    strange: Strange,
    clock: Clock,
}

/// The settings in force, by what they are asked for.
struct Roster {
    settings: config::Validator,
    by_id: HashMap<String, Arc<Client>>,
}

/// A firewall whose web interface may ask.
struct Client {
    name: Name,
    secret: SecretHash,
    addresses: Vec<IpNet>,
}

/// One request, as far as it is known before its body is read.
struct Visit {
    roster: Arc<Roster>,
    source: IpAddr,
    now: Timestamp,
}

impl Visit {
    fn whom(&self) -> (&Roster, IpAddr, Timestamp) {
        (&self.roster, self.source, self.now)
    }
}

impl Validator {
    /// Answers those in the settings from the directory.
    pub fn new(settings: &config::Validator, directory: SharedDirectory, clock: Clock) -> Self {
        let roster = ArcSwap::from_pointee(Roster::new(settings));
        let (admission, strange) = (Admission::new(clock.clone()), Strange::default());
        Self { roster, admission, directory, strange, clock }
    }

    /// Puts other settings in force, from the next request on. Whoever keeps its secret keeps its
    /// tokens.
    pub fn govern(&self, settings: &config::Validator) {
        let roster = Arc::new(Roster::new(settings));
        self.roster.store(Arc::clone(&roster));
        self.admission.govern(&*roster);
    }

    /// What the listener answers.
    pub fn routes(self: &Arc<Self>) -> Routes {
        let desk = Arc::clone(self);
        Arc::new(move |config| {
            let desk = web::Data::from(Arc::clone(&desk));
            config.app_data(desk).default_service(web::to(answer));
        })
    }

    async fn visit(&self, http: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let peer = http.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        let (roster, source) = (self.roster.load_full(), peer.to_canonical());
        let visit = Visit { roster, source, now: self.clock.now() };
        if !visit.roster.by_id.values().any(|client| client.may_come_from(source)) {
            return refuse(None, Refused::source());
        }
        let settings = &visit.roster.settings;
        let is_token = below(http.path(), &settings.token_path)
            .is_some_and(|rest| rest.trim_matches('/').is_empty());
        let limit = if is_token { TOKEN_BODY } else { settings.limits.body };
        let body = match body::read(payload, limit, settings.limits.body_timeout).await {
            Ok(body) => body,
            Err(unread) => return refuse(None, unread.into()),
        };
        let said = said(http, &body);
        if is_token {
            return self.admission.login(&said, visit.whom()).await;
        }
        match below(http.path(), &settings.query_path) {
            Some(path) => self.served(&said, path, &visit).await,
            None => {
                self.strange.seen(&said, visit.source, visit.now);
                refuse(None, Refused::route())
            }
        }
    }

    /// Answers somebody with a token, whose path below the prefix is `path`.
    async fn served(&self, whole: &RequestParts<'_>, path: &str, visit: &Visit) -> HttpResponse {
        let client = match self.admission.holder(whole, visit.whom()) {
            Ok(client) => client,
            Err(refused) => return refuse(None, refused),
        };
        match validator::read(&RequestParts { path, ..*whole }) {
            Ok(question) => self.tell(question, &client).await,
            Err(bad) => {
                let refused = Refused::from(bad);
                if refused.is_route() {
                    self.strange.seen(whole, visit.source, visit.now);
                }
                refuse(Some(&client), refused)
            }
        }
    }

    /// Looks it up, on a thread where others do not wait for it: a list looks at every object.
    async fn tell(&self, question: ValidatorQuery, client: &Client) -> HttpResponse {
        let (book, kind) = (self.directory.clone(), question.kind().into());
        let told = web::block(move || answering::answer(&book.read(), &question)).await;
        match told.unwrap_or_else(|_| Err(Refused::unavailable("the server is stopping"))) {
            Ok(answering::ValidatorReply { outcome, body }) => {
                Validated { client: client.name.as_str(), kind, outcome }.emit();
                let mut response = HttpResponse::Ok();
                response.content_type("application/json");
                response.insert_header((CACHE_CONTROL, "no-store"));
                response.body(body)
            }
            Err(refused) => refuse(Some(client), refused),
        }
    }
}

async fn answer(
    http: HttpRequest,
    payload: web::Payload,
    desk: web::Data<Validator>,
) -> HttpResponse {
    let answer = desk.visit(&http, payload).await;
    Responded { listener: "validator", status: answer.status().as_u16() }.emit();
    answer
}

fn refuse(client: Option<&Client>, refused: Refused) -> HttpResponse {
    let client = client.map_or("unknown", |client| client.name.as_str());
    Validated { client, kind: "none", outcome: refused.reason }.emit();
    refused.answer()
}

/// What follows `prefix` in `path`.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The request, apart from how it travelled.
fn said<'a>(http: &'a HttpRequest, body: &'a [u8]) -> RequestParts<'a> {
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

impl Roster {
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

impl Register for Roster {
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

impl Applicant for Client {
    fn secret(&self) -> &SecretHash {
        &self.secret
    }

    fn may_come_from(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&source))
    }

    /// Whatever is on the way may log it.
    fn may_show_in_query(&self) -> bool {
        false
    }
}
