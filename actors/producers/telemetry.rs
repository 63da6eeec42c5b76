//! What happens where bytes from outside become events.

use std::net::{IpAddr, SocketAddr};

use metrics::counter;
use tracing::{debug, trace, warn};

use rollcall_runtime::telemetry::TelemetryEvent;

/// A producer begins. What alerts look at begins at zero: Prometheus sees a counter grow only from a
/// value it has seen, and would miss whatever a new counter begins with.
pub(crate) struct ProducerBegins<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for ProducerBegins<'_> {
    fn emit(self) {
        let labels = [("producer", self.producer.to_owned())];
        for name in ["rollcall_receiving_items_total", "rollcall_receiving_kernel_drops_total"] {
            counter!(name, &labels).increment(0);
        }
        debug!(producer = self.producer, "producer begins");
    }
}

/// The kernel threw datagrams away because nobody read them in time. Not in the account: nobody
/// knows what they held.
pub(crate) struct KernelDropped<'a> {
    pub producer: &'a str,
    pub count: u64,
}

impl TelemetryEvent for KernelDropped<'_> {
    fn emit(self) {
        counter!("rollcall_receiving_kernel_drops_total", "producer" => self.producer.to_owned())
            .increment(self.count);
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
        let labels = [("producer", producer.to_owned()), ("client", client.to_owned())];
        counter!("rollcall_receiving_over_share_total", &labels).increment(count);
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

impl TelemetryEvent for StreamClosed<'_> {
    fn emit(self) {
        let Self { producer, client, peer, reason } = self;
        let labels = [("producer", producer.to_owned()), ("reason", reason.to_owned())];
        counter!("rollcall_receiving_streams_closed_total", &labels).increment(1);
        debug!(producer, client, %peer, reason, "stream closed");
    }
}
