//! The telemetry events of the HTTP interfaces.

use std::net::IpAddr;
use std::time::Duration;

use tracing::{debug, info, trace, warn};

use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// An HTTP request was answered.
pub(crate) struct ResponseSent {
    pub listener: &'static str,
    pub status: u16,
}

impl TelemetryEvent for ResponseSent {
    fn emit(self) {
        let Self { listener, status } = self;
        metrics::HTTP_REQUESTS.with([listener.into(), status.to_string().into()]).increment(1);
        trace!(listener, status, "answered");
    }
}

/// The listeners that serve plain HTTP to the network, according to the effective settings.
pub struct InsecureListeners<'a> {
    /// The names of the listeners.
    pub listeners: &'a [&'static str],
}

impl TelemetryEvent for InsecureListeners<'_> {
    fn emit(self) {
        metrics::HTTP_INSECURE_LISTENERS.with([]).set(self.listeners.len() as f64);
        for listener in self.listeners {
            warn!(listener, "plain HTTP: secrets and user names are readable in transit");
        }
    }
}

/// A client opened the live stream.
pub(crate) struct StreamOpened;

impl TelemetryEvent for StreamOpened {
    fn emit(self) {
        metrics::SSE_CONNECTIONS.with([]).increment(1.0);
        trace!("live stream opened");
    }
}

/// A client closed the live stream.
pub(crate) struct StreamClosed;

impl TelemetryEvent for StreamClosed {
    fn emit(self) {
        metrics::SSE_CONNECTIONS.with([]).decrement(1.0);
        trace!("live stream closed");
    }
}

/// A connection was closed before any byte of it was read.
pub(crate) struct ConnectionRefused {
    pub listener: &'static str,
    pub reason: &'static str,
}

impl TelemetryEvent for ConnectionRefused {
    fn emit(self) {
        let Self { listener, reason } = self;
        metrics::HTTP_CONNECTIONS_REFUSED.with([listener.into(), reason.into()]).increment(1);
        debug!(listener, reason, "connection refused");
    }
}

/// A client requested an access token.
pub(crate) struct TokenRequested {
    pub outcome: &'static str,
    pub source: IpAddr,
    /// Set if the refusal is logged: the number of refusals in the minute before that were not.
    pub unlogged: Option<u64>,
}

impl TelemetryEvent for TokenRequested {
    fn emit(self) {
        let Self { outcome, source, unlogged } = self;
        metrics::TOKEN_REQUESTS.with([outcome.into()]).increment(1);
        match (outcome, unlogged) {
            ("granted", _) => debug!(%source, "token granted"),
            (_, Some(unlogged)) => warn!(%source, outcome, unlogged, "token refused"),
            _ => debug!(%source, outcome, "token refused"),
        }
    }
}

/// The kinds of queries of an enforcement point: batch, address, user.
pub(crate) const QUERY_KINDS: [&str; 3] = ["batch", "ip", "user"];

/// An enforcement point was configured. Its counters start at zero, so that a point without queries
/// is visible, and the first query is an increase.
pub(crate) struct PointRegistered<'a> {
    pub point: &'a str,
}

impl TelemetryEvent for PointRegistered<'_> {
    fn emit(self) {
        let point = || self.point.to_owned();
        for kind in QUERY_KINDS {
            metrics::ENFORCEMENT_QUERIES.with([point().into(), kind.into()]).increment(0);
        }
        metrics::ENFORCEMENT_REPORTS.with([point().into()]).increment(0);
        metrics::ENFORCEMENT_RESPONSE_BYTES.with([point().into()]).increment(0);
        metrics::ENFORCEMENT_RETRIES.with([point().into()]).increment(0);
        metrics::ENFORCEMENT_FULL_RESYNCS.with([point().into()]).increment(0);
        trace!(point = self.point, "enforcement point configured");
    }
}

/// A query of an enforcement point was answered.
pub(crate) struct QueryAnswered<'a> {
    pub point: &'a str,
    pub kind: &'static str,
    pub reports: usize,
    pub roles_left_out: usize,
    pub bytes: usize,
    pub took: Duration,
}

impl TelemetryEvent for QueryAnswered<'_> {
    fn emit(self) {
        let Self { point, kind, reports, roles_left_out, bytes, took } = self;
        let label = point.to_owned();
        metrics::ENFORCEMENT_QUERIES.with([label.clone().into(), kind.into()]).increment(1);
        metrics::ENFORCEMENT_REPORTS.with([label.clone().into()]).increment(reports as u64);
        metrics::ENFORCEMENT_RESPONSE_BYTES.with([label.clone().into()]).increment(bytes as u64);
        metrics::ENFORCEMENT_ROLES_OMITTED.with([label.into()]).increment(roles_left_out as u64);
        metrics::ENFORCEMENT_QUERY_SECONDS.with([kind.into()]).record(took);
        trace!(point, kind, reports, roles_left_out, ?took, "answered");
    }
}

/// A request on the validator listener was answered or refused.
pub(crate) struct ValidatorAnswered<'a> {
    pub client: &'a str,
    pub kind: &'static str,
    pub outcome: &'static str,
}

impl TelemetryEvent for ValidatorAnswered<'_> {
    fn emit(self) {
        let Self { client, kind, outcome } = self;
        metrics::VALIDATOR_REQUESTS
            .with([client.to_owned().into(), kind.into(), outcome.into()])
            .increment(1);
        trace!(client, kind, outcome, "validator request answered");
    }
}

/// A request of an enforcement point, or of an unauthenticated client, was rejected.
pub(crate) struct QueryRefused<'a> {
    pub point: &'a str,
    pub reason: &'static str,
    pub detail: &'a str,
}

impl TelemetryEvent for QueryRefused<'_> {
    fn emit(self) {
        let Self { point, reason, detail } = self;
        metrics::ENFORCEMENT_QUERY_ERRORS
            .with([point.to_owned().into(), reason.into()])
            .increment(1);
        debug!(point, reason, detail, "request refused");
    }
}

/// An enforcement point repeated a batch query with a cookie although it was issued a newer one:
/// the response did not arrive.
pub(crate) struct BatchRetried<'a> {
    pub point: &'a str,
}

impl TelemetryEvent for BatchRetried<'_> {
    fn emit(self) {
        metrics::ENFORCEMENT_RETRIES.with([self.point.to_owned().into()]).increment(1);
        debug!(point = self.point, "enforcement point repeated a batch query");
    }
}

/// An enforcement point requests a PC probe of an address. There is no PC probe, so the response
/// contains the current state.
pub(crate) struct ProbeUnsupported<'a> {
    pub point: &'a str,
}

impl TelemetryEvent for ProbeUnsupported<'_> {
    fn emit(self) {
        metrics::ENFORCEMENT_PROBES_UNSUPPORTED.with([self.point.to_owned().into()]).increment(1);
        debug!(
            point = self.point,
            "PC probe requested but not supported; answered with the current state"
        );
    }
}

/// A full resync of an enforcement point started: its first query, or its cookie is too old, of
/// another epoch, of another server, or of another filter.
pub(crate) struct FullResyncStarted<'a> {
    pub point: &'a str,
}

impl TelemetryEvent for FullResyncStarted<'_> {
    fn emit(self) {
        metrics::ENFORCEMENT_FULL_RESYNCS.with([self.point.to_owned().into()]).increment(1);
        info!(point = self.point, "full resync of an enforcement point");
    }
}

/// The lag of an enforcement point was measured.
pub(crate) struct LagMeasured<'a> {
    pub point: &'a str,
    pub changes: u64,
}

impl TelemetryEvent for LagMeasured<'_> {
    fn emit(self) {
        metrics::ENFORCEMENT_LAG_REVISIONS
            .with([self.point.to_owned().into()])
            .set(self.changes as f64);
    }
}

/// An enforcement point pushed events without a grant.
pub(crate) struct PushNotGranted<'a> {
    pub point: &'a str,
    pub detail: &'a str,
    /// The number of such pushes in the minute before that were not logged.
    pub unlogged: u64,
}

impl TelemetryEvent for PushNotGranted<'_> {
    fn emit(self) {
        let Self { point, detail, unlogged } = self;
        warn!(point, unlogged, detail, "push without a grant");
    }
}

/// A request for an unknown path, with its secrets redacted. `request` is `None` when the rate
/// limit of the log is exceeded.
pub(crate) struct UnknownRequest<'a> {
    pub request: Option<&'a str>,
    pub source: IpAddr,
    pub unlogged: u64,
}

impl TelemetryEvent for UnknownRequest<'_> {
    fn emit(self) {
        metrics::HTTP_UNKNOWN_REQUESTS.with([]).increment(1);
        if let Some(request) = self.request {
            let (source, unlogged) = (self.source, self.unlogged);
            warn!(%source, unlogged, request, "request for an unknown path");
        }
    }
}
