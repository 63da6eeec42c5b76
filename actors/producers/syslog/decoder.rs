//! Decodes messages to events, or counts the reason why a message was dropped, and submits batches.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rollcall_identity::Timestamp;
use rollcall_wire::syslog::{FrameError, LineOutcome, SenderClock};

use super::clients::{Client, Clients};
use crate::telemetry::{OverShare, SenderUnknown};
use crate::{EventSink, InputBatch, PendingAck, StopSignal};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::log_rate_limit::LogRateLimit;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The decoder of one socket or connection.
pub(super) struct SyslogDecoder {
    pub(super) clients: Arc<Clients>,
    unknown_senders: Arc<LogRateLimit>,
    pub(super) clock: Clock,
    pub(super) sink: EventSink,
    stop: StopSignal,
    batch: InputBatch,
    clocks: Vec<SenderClock>,
    in_flight: VecDeque<PendingAck>,
}

/// The number of messages that are decoded before their events are submitted. A batch is one commit
/// and one message to each actor. Smaller batches cost more than the decisions; larger ones delay the
/// first event.
pub(super) const BATCH: usize = 512;

/// The number of batches of one socket or connection that may be in flight: while one is decided the
/// next is read, and while one is synced to disk the next is written.
const MAX_IN_FLIGHT: usize = 64;

impl super::Syslog {
    /// A decoder for one more socket or connection.
    pub(super) fn decoder(&self, sink: &EventSink, stop: &StopSignal) -> SyslogDecoder {
        SyslogDecoder {
            clients: Arc::clone(&self.clients),
            unknown_senders: Arc::clone(&self.unknown_senders),
            clock: self.clock.clone(),
            sink: sink.clone(),
            stop: stop.clone(),
            batch: InputBatch::default(),
            clocks: self.clients.clocks(),
            in_flight: VecDeque::new(),
        }
    }
}

impl SyslogDecoder {
    /// Decodes one message of `client` that arrived at `seen`.
    pub(super) fn take(&mut self, client: &Client, message: &[u8], seen: Timestamp) {
        if !client.may_send(seen) {
            return self.batch.count_drop("rate_limited", None);
        }
        let clock = &mut self.clocks[client.place];
        let (before, events) = (self.batch.events.len(), &mut self.batch.events);
        let read = catch_unwind(AssertUnwindSafe(|| {
            client.reader.read_line(message, (seen, clock), events)
        }));
        // A bug, logged by the panic hook. It costs one line, not the socket.
        let Ok(outcome) = read else {
            self.batch.events.truncate(before);
            return self.batch.count_drop("reader_panicked", None);
        };
        match outcome {
            LineOutcome::Matched { .. } => {}
            LineOutcome::Unmatched => self.batch.count_drop("unmatched", None),
            LineOutcome::Problem { template, problem } => {
                let template = template.and_then(|place| client.reader.templates().nth(place));
                self.batch.count_drop(problem.as_str(), template.map(|template| template.name()));
            }
        }
    }

    /// Counts a message that arrived at `seen` from an address that belongs to no client.
    pub(super) fn unknown_sender(&mut self, source: IpAddr, seen: Timestamp) {
        if let Some(unlogged) = self.unknown_senders.admit(seen) {
            let (producer, source) = (self.sink.producer(), source.to_canonical());
            SenderUnknown { producer, source, unlogged }.emit();
        }
        self.batch.count_drop("sender_unknown", None);
    }

    /// Counts bytes of a stream that are not a message.
    pub(super) fn broken(&mut self, problem: FrameError) {
        self.batch.count_drop(problem.into(), None);
    }

    /// Counts a datagram above the fair share of its client while the socket overflows.
    pub(super) fn throttled(&mut self) {
        self.batch.count_drop("throttled", None);
    }

    /// Reports the throttled datagrams of the client at `place`.
    pub(super) fn report_throttled(&self, place: usize, count: u64) {
        if let Some(client) = self.clients.by_place(place) {
            let (producer, client) = (self.sink.producer(), client.name.as_str());
            OverShare { producer, client, count }.emit();
        }
    }

    /// Counts a datagram that was longer than the limit.
    pub(super) fn too_long(&mut self) {
        self.broken(FrameError::TooLong);
    }

    /// Submits the current batch. Waits while the journal is not writable and while too many batches
    /// are in flight: unread input stays in the kernel, which is the back-pressure for stream senders.
    pub(super) async fn flush(&mut self) {
        if !self.batch.events.is_empty() {
            self.sink.wait_for_journal(&self.stop).await;
        }
        if let Some(pending) = self.sink.submit(&mut self.batch).await {
            self.in_flight.push_back(pending);
        }
        while self.in_flight.len() >= MAX_IN_FLIGHT {
            self.await_oldest().await;
        }
    }

    /// Submits the current batch and waits until all batches are visible or counted as dropped.
    pub(super) async fn settle(&mut self) {
        self.flush().await;
        while !self.in_flight.is_empty() {
            self.await_oldest().await;
        }
    }

    async fn await_oldest(&mut self) {
        if let Some(oldest) = self.in_flight.pop_front() {
            // The account of a refused batch counts its events as dropped.
            let _ = oldest.receipt().await;
        }
    }
}
