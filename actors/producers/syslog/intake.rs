//! From the bytes of a message to what is harvested: events, or a reason why there are none.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use rollcall_identity::{Name, Timestamp};
use rollcall_wire::syslog::{FrameProblem, Message, Outcome, SenderClock};

use super::clients::{Client, Clients};
use crate::cache::{Receipt, Refused};
use crate::clock::Clock;
use crate::happenings::{Happening, SenderUnknown};
use crate::producers::{Harvest, Outlet, Pending};
use crate::sampling::Sample;

/// The reader of one socket or connection.
pub(super) struct Intake {
    pub(super) clients: Arc<Clients>,
    strangers: Arc<Sample>,
    pub(super) clock: Clock,
    pub(super) outlet: Outlet,
    harvest: Harvest,
    clocks: HashMap<Name, SenderClock>,
}

/// How many messages are read before what they gave is handed over: one commit, one message to
/// each actor on the way. Fewer cost more than the decisions; more would make the first one wait.
pub(super) const BATCH: usize = 256;

impl super::Syslog {
    /// A reader for one more socket or connection.
    pub(super) fn intake(&self, outlet: &Outlet) -> Intake {
        Intake {
            clients: Arc::clone(&self.clients),
            strangers: Arc::clone(&self.strangers),
            clock: self.clock.clone(),
            outlet: outlet.clone(),
            harvest: Harvest::default(),
            clocks: HashMap::new(),
        }
    }
}

impl Intake {
    /// Reads one message of `client` that arrived at `seen`.
    pub(super) fn take(&mut self, client: &Client, message: &[u8], seen: Timestamp) {
        if !client.may_send(seen) {
            return self.harvest.lost("rate_limited", None);
        }
        let clock = match self.clocks.get_mut(&client.name) {
            Some(clock) => clock,
            None => self
                .clocks
                .entry(client.name.clone())
                .or_insert_with(|| SenderClock::new(client.zone.clone())),
        };
        let message = Message::read(message, seen, clock);
        match client.reader.read(&message, seen, &mut self.harvest.events) {
            Outcome::Matched { .. } => {}
            Outcome::Unmatched => self.harvest.lost("unmatched", None),
            Outcome::Problem { template, problem } => {
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
    pub(super) fn broken(&mut self, problem: FrameProblem) {
        self.harvest.lost(problem.into(), None);
    }

    /// Notes a datagram that was longer than the limit.
    pub(super) fn too_long(&mut self) {
        self.broken(FrameProblem::TooLong);
    }

    /// Hands over what was harvested since the last time.
    pub(super) async fn hand_over(&mut self) -> Option<Pending> {
        self.outlet.hand_over(&mut self.harvest).await
    }

    /// Hands over and waits until it is visible.
    pub(super) async fn settle(&mut self) -> Option<Result<Receipt, Refused>> {
        Some(self.hand_over().await?.receipt().await)
    }
}
