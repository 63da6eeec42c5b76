//! The live stream: every change as a server-sent event (HTML Living Standard, section 9.2).
//!
//! The state of a client is a cursor. The server reads from the compacted log at the speed of the
//! client, so that a slow or stalled client uses no memory and receives the last state of every
//! address.

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

/// The start of a stream without a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StartPosition {
    /// New changes only.
    #[default]
    Now,
    /// All current sessions, then changes.
    Start,
}

/// The parameters of the stream. All given filters must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParameters {
    /// A glob for domains.
    domain: Option<String>,
    /// An address.
    ip: Option<String>,
    /// Networks, separated by commas.
    cidr: Option<String>,
    /// The start without a cursor.
    #[serde(default)]
    #[param(inline)]
    from: StartPosition,
    /// The cursor to continue after: the `id` of the last event. The header `Last-Event-ID` takes
    /// precedence.
    cursor: Option<String>,
}

/// The interval of a comment. It keeps the connection open through proxies and firewalls, whose
/// idle timeouts are at least 30 seconds, and detects a client that has disconnected.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The maximum number of changes in one write, about 128 KB.
const MAX_CHANGES: usize = 256;

/// The reconnection time of a browser, in milliseconds.
const RETRY_MS: u64 = 2000;

/// The delay before a message to a restarting actor is retried.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Streams changes as they are applied.
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
        // nginx otherwise buffers the events until its buffer is full.
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

/// The state of one stream.
struct Reader {
    query: Mailbox<Query>,
    newest: watch::Receiver<Revision>,
    draining: watch::Receiver<bool>,
    filter: Arc<Filter>,
    cursor: Option<Cursor>,
    /// Whether the first block with the start position was written.
    started: bool,
    _connection: OpenConnection,
}

impl Reader {
    /// The next chunk of the stream; `None` when the server drains.
    async fn next(&mut self) -> Option<String> {
        let mut draining = self.draining.clone();
        // A closed channel means that the server has stopped.
        let drained = std::pin::pin!(draining.wait_for(|draining| *draining));
        let chunk = std::pin::pin!(self.chunk());
        match select(drained, chunk).await {
            Either::Left(_) => None,
            Either::Right((chunk, _)) => Some(chunk),
        }
    }

    async fn chunk(&mut self) -> String {
        if !std::mem::replace(&mut self.started, true) {
            // The head of the response and the start position are sent immediately.
            return format!("retry: {RETRY_MS}\n{}\n", self.id());
        }
        match timeout(HEARTBEAT, self.changes()).await {
            Ok(page) => write_page(&page),
            // An id without data is not an event. It advances the position at which a client
            // resumes past the changes that its filter excludes.
            Err(_) => format!(": alive\n{}\n", self.id()),
        }
    }

    fn id(&self) -> String {
        self.cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default()
    }

    /// Waits for a page with changes.
    async fn changes(&mut self) -> Page {
        loop {
            // Marked before the read, so that a change during the read wakes the loop.
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

/// Writes a page as events, each with the cursor after it.
fn write_page(page: &Page) -> String {
    let mut text = String::with_capacity(512 * page.changes.len() + 128);
    let mut id = page.next;
    if page.resync {
        // No id: a client that disconnects after this event alone must receive it again.
        event(&mut text, "resync", None, &Resync { cursor: page.next });
    }
    for (index, change) in page.changes.iter().enumerate() {
        // The cursor after the last event also covers the changes that the filter excludes.
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
    // The JSON text has no line breaks: they are escaped in strings.
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
}

/// Counts an open stream until it is dropped.
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
