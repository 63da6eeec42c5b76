//! Everything noteworthy that happens, one struct each, whose `emit` writes the log line and the
//! counter together; and the catalogue of all metrics.
//!
//! Labels come from closed sets (actors, configured clients and templates, enums): never a user,
//! a host or an address that came from outside.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use rollcall_identity::{Origin, Verdict};
use strum::IntoEnumIterator;
use tracing::{debug, error, info, trace, warn};

use crate::meter::{End, Stage};

/// Something noteworthy.
pub trait Happening {
    /// Logs and counts it.
    fn emit(self);
}

/// An actor was started, for the `term`th time.
pub(crate) struct ActorStarted<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub term: u64,
}

impl Happening for ActorStarted<'_> {
    fn emit(self) {
        info!(actor = self.actor, kind = self.kind, term = self.term, "actor started");
    }
}

/// An actor ended and will be replaced after a pause. Its restarts are counted by its meter.
pub(crate) struct ActorEnded<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub end: End,
    pub error: Option<&'a str>,
    pub pause: Duration,
}

impl Happening for ActorEnded<'_> {
    fn emit(self) {
        let Self { actor, kind, end, error, pause } = self;
        let error = error.unwrap_or("none");
        match end {
            End::Panic => error!(actor, kind, ?end, ?pause, error, "actor ended, will be replaced"),
            End::Error | End::Stop | End::Freeze => {
                warn!(actor, kind, ?end, ?pause, error, "actor ended, will be replaced");
            }
        }
    }
}

/// An actor held its thread for too long; it is left there and replaced on another.
pub(crate) struct ActorAbandoned<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub silent: Duration,
}

impl Happening for ActorAbandoned<'_> {
    fn emit(self) {
        error!(actor = self.actor, kind = self.kind, silent = ?self.silent, "actor is frozen");
    }
}

/// Items came in: events, or lines and bodies out of which no event could be made. The left side of
/// the account: received = applied + deduplicated + refused + dropped.
pub struct Received<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// How many.
    pub count: u64,
}

impl Happening for Received<'_> {
    fn emit(self) {
        counter!("rollcall_receiving_items_total", "producer" => self.producer.to_owned())
            .increment(self.count);
    }
}

/// Items ended before the cache could decide about them.
pub struct Dropped<'a> {
    /// The configured name of the producer.
    pub producer: &'a str,
    /// Why: a word of a closed set, such as `sender_unknown` or a problem of a template.
    pub reason: &'static str,
    /// The template or dialect that was tried, or `none`.
    pub form: &'a str,
    /// How many.
    pub count: u64,
}

impl Happening for Dropped<'_> {
    fn emit(self) {
        let Self { producer, reason, form, count } = self;
        counter!(
            "rollcall_receiving_dropped_total",
            "producer" => producer.to_owned(), "reason" => reason, "form" => form.to_owned()
        )
        .increment(count);
        trace!(producer, reason, form, count, "dropped");
    }
}

/// The kernel threw datagrams away because nobody read them in time. Not in the account: nobody
/// knows what they held.
pub(crate) struct KernelDropped<'a> {
    pub producer: &'a str,
    pub count: u64,
}

impl Happening for KernelDropped<'_> {
    fn emit(self) {
        counter!("rollcall_receiving_kernel_drops_total", "producer" => self.producer.to_owned())
            .increment(self.count);
        warn!(producer = self.producer, count = self.count, "the kernel dropped datagrams");
    }
}

/// A syslog stream was turned away. The peer is in the log only.
pub(crate) struct StreamRefused<'a> {
    pub producer: &'a str,
    pub peer: SocketAddr,
    pub reason: &'static str,
}

impl Happening for StreamRefused<'_> {
    fn emit(self) {
        let Self { producer, peer, reason } = self;
        let labels = [("producer", producer.to_owned()), ("reason", reason.to_owned())];
        counter!("rollcall_receiving_streams_refused_total", &labels).increment(1);
        debug!(producer, %peer, reason, "stream refused");
    }
}

/// A syslog stream ended.
pub(crate) struct StreamClosed<'a> {
    pub producer: &'a str,
    pub client: &'a str,
    pub peer: SocketAddr,
    pub reason: &'static str,
}

impl Happening for StreamClosed<'_> {
    fn emit(self) {
        let Self { producer, client, peer, reason } = self;
        let labels = [("producer", producer.to_owned()), ("reason", reason.to_owned())];
        counter!("rollcall_receiving_streams_closed_total", &labels).increment(1);
        debug!(producer, client, %peer, reason, "stream closed");
    }
}

/// The cache decided about events of one origin.
pub(crate) struct Decided<'a> {
    pub origin: &'a Origin,
    pub verdict: Verdict,
    pub count: u64,
}

impl Happening for Decided<'_> {
    fn emit(self) {
        let Self { origin, verdict, count } = self;
        counter!(
            "rollcall_deciding_events_total",
            "producer" => origin.producer.to_string(),
            "outcome" => verdict.outcome(), "reason" => verdict.reason()
        )
        .increment(count);
        trace!(client = %origin.client, ?verdict, count, "decided");
    }
}

/// The size of the table after a batch.
pub(crate) struct TableGrew {
    pub sessions: usize,
    pub revision: u64,
}

impl Happening for TableGrew {
    fn emit(self) {
        gauge!("rollcall_deciding_sessions").set(self.sessions as f64);
        gauge!("rollcall_deciding_revision").set(self.revision as f64);
    }
}

/// Events are visible to those who ask: from the moment they were received until now.
pub(crate) struct Visible {
    pub delay: Duration,
    pub count: usize,
}

impl Happening for Visible {
    fn emit(self) {
        histogram!("rollcall_answering_event_to_visible_seconds")
            .record_many(self.delay.as_secs_f64(), self.count);
    }
}

/// The journal could not take events.
pub(crate) struct JournalRefused<'a> {
    pub error: &'a str,
}

impl Happening for JournalRefused<'_> {
    fn emit(self) {
        counter!("rollcall_deciding_journal_errors_total").increment(1);
        error!(error = self.error, "the journal refused events");
    }
}

/// The cache or the query actor was replaced, and the other had nothing to take over: both ended
/// at once. Sessions are lost.
pub(crate) struct NothingToRestore {
    pub actor: &'static str,
}

impl Happening for NothingToRestore {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_failed_total").increment(1);
        error!(actor = self.actor, "nothing to take over from: sessions are lost");
    }
}

/// The cache was replaced and took its sessions from the query actor.
pub(crate) struct TableRestored {
    pub sessions: usize,
}

impl Happening for TableRestored {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions = self.sessions, "the cache was replaced; its sessions were kept");
    }
}

/// The query actor was replaced and took its sessions from the cache.
pub(crate) struct LogRestored {
    pub sessions: usize,
}

impl Happening for LogRestored {
    fn emit(self) {
        counter!("rollcall_answering_restorations_total").increment(1);
        warn!(sessions = self.sessions, "the query actor was replaced; its sessions were kept");
    }
}

/// An HTTP request was responded to.
pub(crate) struct Responded {
    pub listener: &'static str,
    pub status: u16,
}

impl Happening for Responded {
    fn emit(self) {
        let Self { listener, status } = self;
        counter!(
            "rollcall_answering_http_requests_total",
            "listener" => listener, "code" => status.to_string()
        )
        .increment(1);
        trace!(listener, status, "answered");
    }
}

/// Somebody began to read the live stream.
pub(crate) struct ReaderCame;

impl Happening for ReaderCame {
    fn emit(self) {
        gauge!("rollcall_answering_streams").increment(1.0);
        trace!("a reader of the live stream came");
    }
}

/// A reader of the live stream went away.
pub(crate) struct ReaderWent;

impl Happening for ReaderWent {
    fn emit(self) {
        gauge!("rollcall_answering_streams").decrement(1.0);
        trace!("a reader of the live stream went");
    }
}

/// A connection was closed before a byte of it was read.
pub(crate) struct ConnectionRefused {
    pub listener: &'static str,
    pub reason: &'static str,
}

impl Happening for ConnectionRefused {
    fn emit(self) {
        let Self { listener, reason } = self;
        counter!(
            "rollcall_answering_connections_refused_total",
            "listener" => listener, "reason" => reason
        )
        .increment(1);
        debug!(listener, reason, "connection refused");
    }
}

/// Somebody asked for an access token.
pub(crate) struct TokenAsked {
    pub outcome: &'static str,
    pub source: IpAddr,
}

impl Happening for TokenAsked {
    fn emit(self) {
        let Self { outcome, source } = self;
        counter!("rollcall_answering_tokens_total", "outcome" => outcome).increment(1);
        match outcome {
            "granted" => debug!(%source, "token granted"),
            // Each of these cost a check of the secret, which bounds how many there are.
            "invalid_client" | "unauthorized_client" => warn!(%source, outcome, "token refused"),
            _ => debug!(%source, outcome, "token refused"),
        }
    }
}

/// A question of an enforcement point was answered.
pub(crate) struct Answered<'a> {
    pub point: &'a str,
    pub kind: &'static str,
    pub reports: usize,
    pub took: Duration,
}

impl Happening for Answered<'_> {
    fn emit(self) {
        let Self { point, kind, reports, took } = self;
        let label = point.to_owned();
        counter!("rollcall_answering_queries_total", "point" => label.clone(), "kind" => kind)
            .increment(1);
        counter!("rollcall_answering_reports_total", "point" => label).increment(reports as u64);
        histogram!("rollcall_answering_query_seconds", "kind" => kind).record(took);
        trace!(point, kind, reports, ?took, "answered");
    }
}

/// A request of an enforcement point, or of somebody unknown, was refused.
pub(crate) struct QueryRefused<'a> {
    pub point: &'a str,
    pub reason: &'static str,
    pub detail: &'a str,
}

impl Happening for QueryRefused<'_> {
    fn emit(self) {
        let Self { point, reason, detail } = self;
        counter!(
            "rollcall_answering_query_errors_total",
            "point" => point.to_owned(), "reason" => reason
        )
        .increment(1);
        debug!(point, reason, detail, "request refused");
    }
}

/// An enforcement point began from nothing: for the first time, or because its cookie is too old,
/// of another life of the journal, or of another server.
pub(crate) struct Resynced<'a> {
    pub point: &'a str,
}

impl Happening for Resynced<'_> {
    fn emit(self) {
        counter!("rollcall_answering_resyncs_total", "point" => self.point.to_owned()).increment(1);
        info!(point = self.point, "enforcement point begins from nothing");
    }
}

/// How far an enforcement point is behind.
pub(crate) struct Lagging<'a> {
    pub point: &'a str,
    pub changes: u64,
}

impl Happening for Lagging<'_> {
    fn emit(self) {
        gauge!("rollcall_answering_lag_changes", "point" => self.point.to_owned())
            .set(self.changes as f64);
    }
}

/// A request for something that is not there, with its secrets left out; without its text when
/// there were too many to log.
pub(crate) struct UnknownRoute<'a> {
    pub request: Option<&'a str>,
    pub source: IpAddr,
    pub unlogged: u64,
}

impl Happening for UnknownRoute<'_> {
    fn emit(self) {
        counter!("rollcall_answering_unknown_routes_total").increment(1);
        if let Some(request) = self.request {
            let (source, unlogged) = (self.source, self.unlogged);
            warn!(%source, unlogged, request, "nothing answers this request");
        }
    }
}

/// What kind of thing a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

/// One metric, as documented.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The full name.
    pub name: String,
    /// What it is.
    pub instrument: Instrument,
    /// Its unit.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

use Instrument::{Counter, Gauge, Histogram};

type Row = (&'static str, Instrument, Unit, &'static [&'static str], &'static str);

/// The metrics that every actor has; `<stage>` is where it stands.
const MAILBOX: &[Row] = &[
    ("messages_total", Counter, Unit::Count, &["actor", "kind"], "Messages handled"),
    ("handling_seconds", Histogram, Unit::Seconds, &["actor", "kind"], "Time to handle a message"),
    ("mailbox_depth", Gauge, Unit::Count, &["actor", "kind"], "Messages waiting or in work"),
    ("mailbox_capacity", Gauge, Unit::Count, &["actor", "kind"], "Places in the mailbox"),
    (
        "mailbox_wait_seconds",
        Histogram,
        Unit::Seconds,
        &["actor", "kind"],
        "Time that a sender waited for a place in a full mailbox",
    ),
    (
        "messages_refused_total",
        Counter,
        Unit::Count,
        &["actor", "kind"],
        "Messages turned away because nobody was behind the mailbox, or lost with their actor",
    ),
    (
        "restarts_total",
        Counter,
        Unit::Count,
        &["actor", "kind", "cause"],
        "How often the actor was replaced, by panic, error, stop or freeze",
    ),
    (
        "last_activity_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        &["actor", "kind"],
        "When the actor last handled a message, as a Unix time",
    ),
];

/// The metrics of particular stages.
const PARTICULAR: &[Row] = &[
    (
        "rollcall_receiving_items_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Events received, and lines and bodies out of which no event could be made",
    ),
    (
        "rollcall_receiving_dropped_total",
        Counter,
        Unit::Count,
        &["producer", "reason", "form"],
        "Items that ended before a decision, by reason and by template or dialect",
    ),
    (
        "rollcall_receiving_kernel_drops_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Datagrams that the kernel dropped because nobody read them in time",
    ),
    (
        "rollcall_receiving_streams_refused_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections turned away: unknown sender, too many, TLS",
    ),
    (
        "rollcall_receiving_streams_closed_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections that ended, and why",
    ),
    (
        "rollcall_deciding_events_total",
        Counter,
        Unit::Count,
        &["producer", "outcome", "reason"],
        "Events decided: applied, deduplicated or refused, and by which rule",
    ),
    ("rollcall_deciding_sessions", Gauge, Unit::Count, &[], "Addresses with a user or a device"),
    ("rollcall_deciding_revision", Gauge, Unit::Count, &[], "The newest revision"),
    (
        "rollcall_deciding_journal_errors_total",
        Counter,
        Unit::Count,
        &[],
        "Batches that the journal could not take",
    ),
    (
        "rollcall_deciding_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the cache was replaced and took its sessions over",
    ),
    (
        "rollcall_deciding_restorations_failed_total",
        Counter,
        Unit::Count,
        &[],
        "How often cache and query actor ended at once, and sessions were lost",
    ),
    (
        "rollcall_answering_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the query actor was replaced and took its sessions over",
    ),
    (
        "rollcall_answering_event_to_visible_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "From the arrival of an event to the moment when every answer knows of it",
    ),
    (
        "rollcall_answering_http_requests_total",
        Counter,
        Unit::Count,
        &["listener", "code"],
        "HTTP requests answered, by listener and status",
    ),
    ("rollcall_answering_streams", Gauge, Unit::Count, &[], "Readers of the live stream"),
    (
        "process_cpu_seconds_total",
        Gauge,
        Unit::Seconds,
        &[],
        "Processor time of all threads; it only grows",
    ),
    (
        "process_start_time_seconds",
        Gauge,
        Unit::Seconds,
        &[],
        "When the process began, as a Unix time",
    ),
    ("process_resident_memory_bytes", Gauge, Unit::Bytes, &[], "Memory in RAM"),
    ("process_virtual_memory_bytes", Gauge, Unit::Bytes, &[], "Address space"),
    ("process_threads", Gauge, Unit::Count, &[], "Threads"),
    ("process_open_fds", Gauge, Unit::Count, &[], "Open file descriptors"),
    ("process_max_fds", Gauge, Unit::Count, &[], "How many file descriptors may be open"),
    (
        "rollcall_answering_connections_refused_total",
        Counter,
        Unit::Count,
        &["listener", "reason"],
        "Connections over the limit of their listener (total) or of their source (address)",
    ),
    (
        "rollcall_answering_tokens_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Requests for access tokens: granted, locked_out, busy, or an error of RFC 6749",
    ),
    (
        "rollcall_answering_queries_total",
        Counter,
        Unit::Count,
        &["point", "kind"],
        "Questions of enforcement points that were answered: batch, ip or user",
    ),
    (
        "rollcall_answering_reports_total",
        Counter,
        Unit::Count,
        &["point"],
        "Reports in those answers",
    ),
    (
        "rollcall_answering_query_seconds",
        Histogram,
        Unit::Seconds,
        &["kind"],
        "From a question that is read whole to its answer",
    ),
    (
        "rollcall_answering_query_errors_total",
        Counter,
        Unit::Count,
        &["point", "reason"],
        "Requests on the enforcement listener that were refused; point unknown without a token",
    ),
    (
        "rollcall_answering_resyncs_total",
        Counter,
        Unit::Count,
        &["point"],
        "How often an enforcement point began from nothing",
    ),
    (
        "rollcall_answering_lag_changes",
        Gauge,
        Unit::Count,
        &["point"],
        "Revisions between the newest and the last cookie of an enforcement point",
    ),
    (
        "rollcall_answering_unknown_routes_total",
        Counter,
        Unit::Count,
        &[],
        "Requests of known sources for something that is not there",
    ),
];

/// Every metric that Rollcall exposes.
pub fn catalogue() -> Vec<Metric> {
    let of_mailboxes = Stage::iter().flat_map(|stage| {
        MAILBOX.iter().map(move |&(noun, instrument, unit, labels, help)| Metric {
            name: format!("rollcall_{}_{noun}", stage.as_str()),
            instrument,
            unit,
            labels,
            help,
        })
    });
    let particular = PARTICULAR.iter().map(|&(name, instrument, unit, labels, help)| Metric {
        name: name.to_owned(),
        instrument,
        unit,
        labels,
        help,
    });
    of_mailboxes.chain(particular).collect()
}

/// Gives the recorder the help texts of all metrics.
pub fn describe() {
    for Metric { name, instrument, unit, help, .. } in catalogue() {
        match instrument {
            Counter => describe_counter!(name, unit, help),
            Gauge => describe_gauge!(name, unit, help),
            Histogram => describe_histogram!(name, unit, help),
        }
    }
}
