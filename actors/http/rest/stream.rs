//! The live stream: every change as a server-sent event (HTML Living Standard, section 9.2).
//!
//! A reader is a cursor and nothing else. It is served from the compacted log at its own speed, so
//! one that is slow or stops reading holds no memory here and misses no last state of any address.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderMap};
use actix_web::web::{Bytes, Data, Query as Parameters};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::{Either, select};
use futures_util::stream::{Stream, unfold};
use rollcall_identity::{Change, Cursor, Effect, Filter, Page, Revision};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use utoipa::IntoParams;

use super::Rest;
use super::dto::{ChangeDto, Resync};
use super::session_filter::{FilterParameters, SessionFilter};
use crate::problem::Problem;
use crate::telemetry::{StreamClosed, StreamOpened};
use rollcall_engine::messages::{GetNewestCursor, ReadChanges};
use rollcall_engine::query::Query;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Where a reader without a cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StartPosition {
    /// With what happens next.
    #[default]
    Now,
    /// With everybody who is there.
    Start,
}

/// What the stream is asked with. All filters that are given must hold.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParameters {
    /// A glob over domains.
    domain: Option<String>,
    /// An address.
    ip: Option<String>,
    /// Networks, separated by commas.
    cidr: Option<String>,
    /// Where to begin without a cursor.
    #[serde(default)]
    #[param(inline)]
    from: StartPosition,
    /// Where to go on: the `id` of the last event. The header `Last-Event-ID` goes before it.
    cursor: Option<String>,
}

/// A comment keeps the connection alive through proxies and firewalls, whose idle timeouts are 30
/// seconds at the least, and shows a reader that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many changes are written at once, about 128 KB.
const MAX_CHANGES: usize = 256;

/// How soon a browser comes back, in milliseconds.
const RETRY_MS: u64 = 2000;

/// How soon an actor that is being replaced is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Streams changes as they become true.
#[utoipa::path(get, path = "/api/v1/stream", tag = "stream",
    params(StreamParameters, ("Last-Event-ID" = Option<String>, Header,
        description = "The `id` of the last event that was read")),
    security(("token" = [])), responses(
        (status = 200, content_type = "text/event-stream", body = ChangeDto,
         description = "Events `began`, `altered`, `ended` with a Change as data; `resync` with a \
                        Resync: the client discards its state, all current sessions follow"),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn stream(
    rest: Data<Rest>,
    request: HttpRequest,
    Parameters(parameters): Parameters<StreamParameters>,
) -> Result<HttpResponse, Problem> {
    let StreamParameters { domain, ip, cidr, from, cursor } = parameters;
    let filters = FilterParameters {
        domain: domain.as_deref(),
        ip: ip.as_deref(),
        cidr: cidr.as_deref(),
        ..FilterParameters::default()
    };
    let filter = Arc::new(SessionFilter::read(filters)?.filter);
    let cursor = match (last_event_id(request.headers())?.or(cursor), from) {
        (Some(text), _) => Some(parse(&text)?),
        (None, StartPosition::Start) => None,
        (None, StartPosition::Now) => Some(rest.query.send(GetNewestCursor).await?),
    };
    let reader = Reader {
        query: rest.query.clone(),
        newest: rest.newest.clone(),
        draining: rest.draining.clone(),
        filter,
        cursor,
        started: false,
        _connection: OpenConnection::new(),
    };
    let events = unfold(reader, |mut reader| async move {
        let text = reader.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), reader))
    });
    Ok(respond(events))
}

fn respond(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx would hold the events back until its buffer is full.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::bad_request("Last-Event-ID: not a cursor"))?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn parse(text: &str) -> Result<Cursor, Problem> {
    text.parse().map_err(|why| Problem::bad_request(format!("cursor: {why}")))
}

/// One reader.
struct Reader {
    query: Mailbox<Query>,
    newest: watch::Receiver<Revision>,
    draining: watch::Receiver<bool>,
    filter: Arc<Filter>,
    cursor: Option<Cursor>,
    /// Whether it was told where it begins.
    started: bool,
    _connection: OpenConnection,
}

impl Reader {
    /// The next piece of the stream; `None` when the server drains.
    async fn next(&mut self) -> Option<String> {
        let mut draining = self.draining.clone();
        // When whoever would tell that it drains is gone, so is the server.
        let drained = std::pin::pin!(draining.wait_for(|draining| *draining));
        let chunk = std::pin::pin!(self.chunk());
        match select(drained, chunk).await {
            Either::Left(_) => None,
            Either::Right((chunk, _)) => Some(chunk),
        }
    }

    async fn chunk(&mut self) -> String {
        if !std::mem::replace(&mut self.started, true) {
            // The head of the answer and the place where it begins, at once.
            return format!("retry: {RETRY_MS}\n{}\n", self.id());
        }
        match timeout(HEARTBEAT, self.changes()).await {
            Ok(page) => write_page(&page),
            // An id without data makes no event, and moves the place to which a reader comes back
            // past everything that its filter left out.
            Err(_) => format!(": alive\n{}\n", self.id()),
        }
    }

    fn id(&self) -> String {
        self.cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default()
    }

    /// Waits for a page with something to tell.
    async fn changes(&mut self) -> Page {
        loop {
            // Marked before the reading: what comes while it goes on is not slept over.
            self.newest.mark_unchanged();
            let read = ReadChanges {
                cursor: self.cursor,
                since: None,
                filter: Arc::clone(&self.filter),
                limit: MAX_CHANGES,
            };
            let Ok(page) = self.query.send(read).await else {
                sleep(RETRY_DELAY).await;
                continue;
            };
            self.cursor = Some(page.next);
            if page.resync || !page.changes.is_empty() {
                return page;
            }
            if !page.more && self.newest.changed().await.is_err() {
                sleep(RETRY_DELAY).await;
            }
        }
    }
}

/// Writes a page as events, each with the cursor that goes on behind it.
fn write_page(page: &Page) -> String {
    let mut text = String::with_capacity(512 * page.changes.len() + 128);
    let mut id = page.next;
    if page.resync {
        // No id: a reader that comes back after this event alone must hear it again.
        event(&mut text, "resync", None, &Resync { cursor: page.next });
    }
    for (index, change) in page.changes.iter().enumerate() {
        // Behind the last one lies also what the filter left out.
        let last = index + 1 == page.changes.len();
        id.revision = if last { page.next.revision } else { change.revision };
        event(&mut text, name(change), Some(id), &ChangeDto::from(change));
    }
    text
}

fn name(change: &Change) -> &'static str {
    match change.effect {
        Effect::Began => "began",
        Effect::Altered => "altered",
        Effect::Extended => "extended",
        Effect::Ended => "ended",
    }
}

fn event(text: &mut String, name: &str, id: Option<Cursor>, data: &impl Serialize) {
    let data = serde_json::to_string(data).expect("numbers and text can be written as JSON");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    // JSON has no line breaks of its own: names are escaped.
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
}

/// Counts the reader among the open ones, for as long as it is there.
struct OpenConnection;

impl OpenConnection {
    fn new() -> Self {
        StreamOpened.emit();
        Self
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        StreamClosed.emit();
    }
}
