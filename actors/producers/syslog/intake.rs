//! From the bytes of a message to what is harvested: events, or a reason why there are none.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rollcall_identity::Timestamp;
use rollcall_wire::syslog::{FrameError, LineOutcome, SenderClock};

use super::clients::{Client, Clients};
use crate::telemetry::{OverShare, SenderUnknown};
use crate::{Harvest, Outlet, Pending, Stop};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::log_rate_limit::LogRateLimit;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The reader of one socket or connection.
pub(super) struct Intake {
    pub(super) clients: Arc<Clients>,
    strangers: Arc<LogRateLimit>,
    pub(super) clock: Clock,
    pub(super) outlet: Outlet,
    stop: Stop,
    harvest: Harvest,
    clocks: Vec<SenderClock>,
    under_way: VecDeque<Pending>,
}

/// How many messages are read before what they gave is handed over: one commit, one message to
/// each actor on the way. Fewer cost more than the decisions; more would make the first one wait.
pub(super) const BATCH: usize = 512;

/// How many batches of one socket or connection may be under way: while one is decided the next is
/// read, and while what is committed reaches the disk the next is written.
const UNDER_WAY: usize = 64;

impl super::Syslog {
    /// A reader for one more socket or connection.
    pub(super) fn intake(&self, outlet: &Outlet, stop: &Stop) -> Intake {
        Intake {
            clients: Arc::clone(&self.clients),
            strangers: Arc::clone(&self.strangers),
            clock: self.clock.clone(),
            outlet: outlet.clone(),
            stop: stop.clone(),
            harvest: Harvest::default(),
            clocks: self.clients.clocks(),
            under_way: VecDeque::new(),
        }
    }
}

impl Intake {
    /// Reads one message of `client` that arrived at `seen`.
    pub(super) fn take(&mut self, client: &Client, message: &[u8], seen: Timestamp) {
        if !client.may_send(seen) {
            return self.harvest.lost("rate_limited", None);
        }
        let clock = &mut self.clocks[client.place];
        let (before, events) = (self.harvest.events.len(), &mut self.harvest.events);
        let read = catch_unwind(AssertUnwindSafe(|| {
            client.reader.read_line(message, (seen, clock), events)
        }));
        // A bug of ours, of which the panic hook has told: one line, not the socket.
        let Ok(outcome) = read else {
            self.harvest.events.truncate(before);
            return self.harvest.lost("reader_panicked", None);
        };
        match outcome {
            LineOutcome::Matched { .. } => {}
            LineOutcome::Unmatched => self.harvest.lost("unmatched", None),
            LineOutcome::Problem { template, problem } => {
                let template = template.and_then(|place| client.reader.templates().nth(place));
                self.harvest.lost(problem.as_str(), template.map(|template| template.name()));
            }
        }
    }

    /// Notes a message that arrived at `seen` from an address of no client.
    pub(super) fn stranger(&mut self, source: IpAddr, seen: Timestamp) {
        if let Some(unlogged) = self.strangers.admit(seen) {
            let (producer, source) = (self.outlet.producer(), source.to_canonical());
            SenderUnknown { producer, source, unlogged }.emit();
        }
        self.harvest.lost("sender_unknown", None);
    }

    /// Notes a stretch of a stream that is no message.
    pub(super) fn broken(&mut self, problem: FrameError) {
        self.harvest.lost(problem.into(), None);
    }

    /// Notes a datagram beyond its client's share of a socket that overflows.
    pub(super) fn over_share(&mut self) {
        self.harvest.lost("over_share", None);
    }

    /// Tells whose those were: so many of the client at `place`.
    pub(super) fn tell_over_share(&self, place: usize, count: u64) {
        if let Some(client) = self.clients.by_place(place) {
            let (producer, client) = (self.outlet.producer(), client.name.as_str());
            OverShare { producer, client, count }.emit();
        }
    }

    /// Notes a datagram that was longer than the limit.
    pub(super) fn too_long(&mut self) {
        self.broken(FrameError::TooLong);
    }

    /// Hands over what was harvested since the last time. Waits while the journal takes nothing, and
    /// while too much is under way: what is not read stays with the kernel, and a sender by stream
    /// feels it.
    pub(super) async fn pass_on(&mut self) {
        if !self.harvest.events.is_empty() {
            self.outlet.wait_for_journal(&self.stop).await;
        }
        if let Some(pending) = self.outlet.hand_over(&mut self.harvest).await {
            self.under_way.push_back(pending);
        }
        while self.under_way.len() >= UNDER_WAY {
            self.await_oldest().await;
        }
    }

    /// Waits until everything that was handed over is visible, or accounted for as lost.
    pub(super) async fn settle(&mut self) {
        self.pass_on().await;
        while !self.under_way.is_empty() {
            self.await_oldest().await;
        }
    }

    async fn await_oldest(&mut self) {
        if let Some(oldest) = self.under_way.pop_front() {
            // A refusal is accounted for by the batch itself.
            let _ = oldest.receipt().await;
        }
    }
}
