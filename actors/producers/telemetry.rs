//! Telemetry events of producers.

use std::net::{IpAddr, SocketAddr};

use tracing::{debug, trace, warn};

use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// A producer starts. The counters that alerts read start at zero: `increase()` misses the first value of
/// a new series.
pub(crate) struct ProducerBegins<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for ProducerBegins<'_> {
    fn emit(self) {
        let producer = || [self.producer.to_owned().into()];
        rollcall_runtime::metrics::EVENTS_RECEIVED.with(producer()).increment(0);
        metrics::SYSLOG_KERNEL_DROPS.with(producer()).increment(0);
        debug!(producer = self.producer, "producer begins");
    }
}

/// The kernel dropped datagrams because the socket buffer was full. They are not part of the event
/// accounting, because their content is unknown.
pub(crate) struct KernelDropped<'a> {
    pub producer: &'a str,
    pub count: u64,
}

impl TelemetryEvent for KernelDropped<'_> {
    fn emit(self) {
        metrics::SYSLOG_KERNEL_DROPS.with([self.producer.to_owned().into()]).increment(self.count);
        warn!(producer = self.producer, count = self.count, "the kernel dropped datagrams");
    }
}

/// Datagrams of a client were thrown away because it sent more than its share of a socket that
/// overflowed. In the account with what was dropped; here by client.
pub(crate) struct OverShare<'a> {
    pub producer: &'a str,
    pub client: &'a str,
    pub count: u64,
}

impl TelemetryEvent for OverShare<'_> {
    fn emit(self) {
        let Self { producer, client, count } = self;
        metrics::SYSLOG_THROTTLED
            .with([producer.to_owned().into(), client.to_owned().into()])
            .increment(count);
        trace!(producer, client, count, "beyond its share of a socket that overflows");
    }
}

/// Lines come from an address that no client of the configuration has: the sender is new, or comes
/// by another interface than was thought. Counted with what was dropped or refused; of many, a few.
pub(crate) struct SenderUnknown<'a> {
    pub producer: &'a str,
    pub source: IpAddr,
    /// How many were not logged in the minute before.
    pub unlogged: u64,
}

impl TelemetryEvent for SenderUnknown<'_> {
    fn emit(self) {
        let Self { producer, source, unlogged } = self;
        warn!(producer, %source, unlogged, "no [[syslog.clients]] has this sender's address");
    }
}

/// A syslog stream was turned away. The peer is in the log only.
pub(crate) struct StreamRefused<'a> {
    pub producer: &'a str,
    pub peer: SocketAddr,
    pub reason: &'static str,
}

impl TelemetryEvent for StreamRefused<'_> {
    fn emit(self) {
        let Self { producer, peer, reason } = self;
        metrics::SYSLOG_CONNECTIONS_REFUSED
            .with([producer.to_owned().into(), reason.to_owned().into()])
            .increment(1);
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

impl TelemetryEvent for StreamClosed<'_> {
    fn emit(self) {
        let Self { producer, client, peer, reason } = self;
        metrics::SYSLOG_CONNECTIONS_CLOSED
            .with([producer.to_owned().into(), reason.to_owned().into()])
            .increment(1);
        debug!(producer, client, %peer, reason, "stream closed");
    }
}
