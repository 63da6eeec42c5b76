//! What firewalls ask and push: tokens, batch, address and user queries, VPN and captive-portal
//! events. It runs in the listener's threads, and holds nothing that a restart could lose but
//! tokens.
//!
//! ```text
//! known source? ─► body ─► token_path ─────────► secret right? ─► token
//!     403          408     query_path ─► token? ─┬─► question ─► query actor ─► answer in its dialect
//!                  413     /api/v1/events  401   └─► push ─► ptim producer ─► receipt
//!                          anything else ─► 404, and a line in the log with the secrets left out
//! ```
//!
//! An actor that is not there makes a 503, never an empty answer: a firewall keeps what it knows.

mod ask;
mod cookie;
mod list_hash;
mod points;
mod push;
mod tally;
mod voices;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use rollcall_identity::Timestamp;
use rollcall_wire::http::RequestParts;
use rollcall_wire::ptim;

use crate::admission::{Refused, Strange, TOKEN_BODY};
use crate::listener::{Routes, body};
use crate::telemetry::{QueryRefused, Responded};
use rollcall_engine::Engine;
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::query::{AddressLookup, Query};
use rollcall_producers::ptim::PushSink;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

pub use points::Points;
pub use tally::{PointStatus, Role};

use points::{Client, Roster};
use push::Form;

/// Everything that the routes need.
pub struct Enforcement {
    points: Arc<Points>,
    query: Mailbox<Query>,
    view: AddressLookup,
    pushes: PushSink,
    directory: SharedDirectory,
    strange: Strange,
}

/// Which conversation a path belongs to.
enum Place<'a> {
    Token,
    /// Questions and pushes of firewalls, with the path behind the prefix.
    Api(&'a str),
    /// Rollcall's own JSON for events.
    Events,
    Nowhere,
}

/// One request, as far as it is known before its body is read.
struct Visit {
    roster: Arc<Roster>,
    source: IpAddr,
    now: Timestamp,
}

impl Visit {
    /// What a login depends on besides the request.
    fn whom(&self) -> (&Roster, IpAddr, Timestamp) {
        (&self.roster, self.source, self.now)
    }
}

impl Enforcement {
    /// Answers for `points` from what `engine` knows, and hands what is pushed to `pushes`.
    pub fn new(points: Arc<Points>, engine: &Engine, pushes: PushSink) -> Self {
        let (query, view) = (engine.query.clone(), engine.lookup.clone());
        let (directory, strange) = (engine.directory.clone(), Strange::default());
        Self { points, query, view, pushes, directory, strange }
    }

    /// What the listener answers. Paths are compared when a request comes, so that a reload may
    /// change them.
    pub fn routes(self) -> Routes {
        let desk = Arc::new(self);
        Arc::new(move |config| {
            let desk = web::Data::from(Arc::clone(&desk));
            config.app_data(desk).default_service(web::to(answer));
        })
    }

    async fn visit(&self, http: &HttpRequest, payload: web::Payload) -> HttpResponse {
        let peer = http.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        let (roster, now) = (self.points.roster(), self.points.now());
        let visit = Visit { roster, source: peer.to_canonical(), now };
        if !visit.roster.knows(visit.source) {
            return refuse(None, Refused::source());
        }
        let settings = &visit.roster.settings;
        let place = place(http.path(), &settings.token_path, &settings.query_path);
        let limit = match place {
            Place::Token => TOKEN_BODY,
            _ => settings.limits.body,
        };
        let body = match body::read(payload, limit, settings.limits.body_timeout).await {
            Ok(body) => body,
            Err(unread) => return refuse(None, unread.into()),
        };
        let said = said(http, &body);
        match place {
            Place::Token => self.points.admission.login(&said, visit.whom()).await,
            Place::Api(below) => self.served(&said, below, &visit, None).await,
            Place::Events => self.served(&said, said.path, &visit, Some(Form::Json)).await,
            Place::Nowhere => {
                self.strange.seen(&said, visit.source, visit.now);
                refuse(None, Refused::route())
            }
        }
    }

    /// Answers somebody with a token: a push in this form, or whatever the request, read with the
    /// path `below` the prefix, shows to be.
    async fn served(
        &self,
        whole: &RequestParts<'_>,
        below: &str,
        visit: &Visit,
        form: Option<Form>,
    ) -> HttpResponse {
        let said = &RequestParts { path: below, ..*whole };
        let client = match self.points.admission.holder(said, visit.whom()) {
            Ok(client) => client,
            Err(refused) => return refuse(None, refused),
        };
        client.tally.seen(visit.source, visit.now);
        let form = form.or_else(|| ptim::is_push(said).then_some(Form::Ptim));
        let answer = match form {
            Some(form) => self.push(said, visit, &client, form).await,
            None => self.ask(said, visit, &client).await,
        };
        answer.unwrap_or_else(|refused| {
            if refused.is_route() {
                self.strange.seen(whole, visit.source, visit.now);
            }
            client.tally.erred(&refused.detail, visit.now);
            refuse(Some(&client), refused)
        })
    }
}

async fn answer(
    http: HttpRequest,
    payload: web::Payload,
    desk: web::Data<Enforcement>,
) -> HttpResponse {
    let answer = desk.visit(&http, payload).await;
    Responded { listener: "enforcement", status: answer.status().as_u16() }.emit();
    answer
}

fn refuse(client: Option<&Client>, refused: Refused) -> HttpResponse {
    let point = client.map_or("unknown", |client| client.name.as_str());
    QueryRefused { point, reason: refused.reason, detail: &refused.detail }.emit();
    refused.answer()
}

fn place<'a>(path: &'a str, token_path: &str, query_path: &str) -> Place<'a> {
    let below = |prefix: &str| {
        let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    };
    if below(token_path).is_some_and(|rest| rest.trim_matches('/').is_empty()) {
        return Place::Token;
    }
    if let Some(rest) = below(query_path) {
        return Place::Api(rest);
    }
    // The candidates that have a path of their own, whatever the prefix is.
    let others = ["/user_query/v1", "/user_query/v2", "/api/userfw/v1/post-entry"];
    if others.into_iter().any(|other| below(other).is_some()) {
        return Place::Api(path);
    }
    if below("/api/v1/events") == Some("") { Place::Events } else { Place::Nowhere }
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
        cookie_header: header(&COOKIE),
        x_cookie_header: header(&HeaderName::from_static("x-cookie")),
        body,
    }
}

#[cfg(test)]
mod tests;
