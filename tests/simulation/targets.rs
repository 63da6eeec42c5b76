//! Push targets: each gets its content by the delivery state machine of the push actors, over a
//! connection that loses responses and repeats requests late, with an actor that is replaced.

use rollcall_identity::delivery::{
    Delivery, DeliveryFailure, DeliveryScope, DeliveryState, FilterChange, OutgoingBatch,
    PageOutcome, ResumeOutcome, SendOutcome, StoredPosition, TargetPosition,
};
use rollcall_identity::{ChangeLog, Cursor, Revision, Table, Timestamp};

use super::consumers::{compare, read};
use super::faults::Fault;
use super::receivers::{Edge, Elsewhere, Receiver};
use super::truth::Kept as Checked;
use crate::harness::SeededRng;

/// A target, with its state in the server.
pub(super) struct Target {
    name: &'static str,
    pub(super) receiver: Receiver,
    delivery: Delivery,
    /// The requests in flight.
    on_way: Vec<OutgoingBatch>,
    /// Abandoned requests that are still in flight, with their session.
    late: Vec<(OutgoingBatch, u64)>,
    /// A sequence of batches without a position query in between.
    turn: u64,
    /// The content of the disk.
    kept: Option<Cursor>,
    /// Whether it had everything that was visible at the last check.
    rests: bool,
    /// The number of publications by then.
    seen: u64,
    /// Whether its content is to be compared.
    is_checked: bool,
    /// A proxy in front of it that rejects every request.
    proxy: Proxy,
}

/// The receiver of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Passes,
    Refuses,
}

/// The source of a target, and the number of publications.
pub(super) struct LogView<'a> {
    /// None while the query actor is replaced.
    pub(super) log: Option<&'a ChangeLog>,
    pub(super) visible: u64,
    pub(super) now: Timestamp,
}

impl Target {
    /// A Secure Edge target that accepts `width` batches in parallel.
    pub(super) fn edge(width: usize) -> Self {
        Self::new("Secure Edge", Receiver::Edge(Edge::new(width)))
    }

    /// A firewall in ClearPass mode.
    pub(super) fn clear_pass() -> Self {
        Self::new("firewall in ClearPass mode", Receiver::ClearPass(Default::default()))
    }

    fn new(name: &'static str, receiver: Receiver) -> Self {
        let delivery = Delivery::new(receiver.opening());
        let (on_way, late) = (Vec::new(), Vec::new());
        let (rests, is_checked) = (false, false);
        let (turn, kept, seen) = (0, None, 0);
        let proxy = Proxy::Passes;
        Self { name, receiver, delivery, on_way, late, turn, kept, rests, seen, is_checked, proxy }
    }

    /// Its actor or the whole server is replaced: only the state on disk is known. Requests in flight
    /// arrive, are lost, or arrive late.
    pub(super) fn replace_actor(&mut self, chance: &mut SeededRng) {
        for launch in std::mem::take(&mut self.on_way) {
            match chance.below(4) {
                _ if self.proxy == Proxy::Refuses => {}
                0 => self.late.push((launch, self.turn)),
                1 => {}
                _ => drop(self.receiver.take(&launch, self.turn)),
            }
        }
        self.delivery = Delivery::new(self.receiver.opening());
        // A session identifier is never reused.
        self.turn += 1;
        (self.rests, self.seen) = (false, 0);
    }

    /// It loses its content; the daily consistency check detects it.
    pub(super) fn lose_content(&mut self) {
        self.receiver.lose_content();
        self.is_checked = true;
    }

    /// One step of the actor. Returns whether it did anything; it is idle until something becomes visible.
    pub(super) fn step(
        &mut self,
        view: &LogView<'_>,
        (chance, fault): (&mut SeededRng, Option<Fault>),
    ) -> bool {
        if !self.late.is_empty() && chance.once_in(4) {
            let at = chance.below(self.late.len() as u64) as usize;
            let (launch, turn) = self.late.remove(at);
            let _ = self.receiver.take(&launch, turn);
        }
        match self.delivery.state() {
            DeliveryState::Probing => self.find(chance),
            DeliveryState::StartResync => self.begin(chance),
            DeliveryState::FinishResync => self.end(view.visible, (chance, fault)),
            DeliveryState::Resyncing | DeliveryState::Following => {
                return self.continue_delivery(view, (chance, fault));
            }
        }
        true
    }

    fn find(&mut self, chance: &mut SeededRng) {
        if chance.once_in(6) {
            return self.delivery.on_failure(DeliveryFailure::Other);
        }
        let filter = FilterChange::Unchanged;
        let kept = self.kept.map(|cursor| StoredPosition {
            cursor,
            scope: DeliveryScope::Filtered,
            filter,
        });
        let place = self.receiver.place();
        let found = self.delivery.on_position(place, kept, self.receiver.width());
        assert_ne!(found, ResumeOutcome::Reconcile, "its scope is never another");
        if place == TargetPosition::Unsupported {
            // The next start must know that a full resync was in progress.
            self.kept = self.kept.or(self.delivery.restart_cursor());
        }
        self.turn += 1;
    }

    fn begin(&mut self, chance: &mut SeededRng) {
        self.turn += 1;
        self.receiver.begin(self.turn);
        match chance.once_in(6) {
            true => self.delivery.on_failure(DeliveryFailure::Other),
            false => self.delivery.resync_started(self.receiver.width()),
        }
    }

    fn continue_delivery(
        &mut self,
        view: &LogView<'_>,
        (chance, fault): (&mut SeededRng, Option<Fault>),
    ) -> bool {
        if self.rests {
            if self.seen == view.visible && !self.is_checked {
                return false;
            }
            self.rests = false;
        }
        if self.on_way.is_empty() && self.delivery.poll() {
            self.seen = view.visible;
        }
        self.launch(fault);
        if self.delivery.wants_page() && (self.on_way.is_empty() || chance.once_in(2)) {
            self.read(view, chance);
            self.launch(fault);
        } else if !self.on_way.is_empty() {
            let at = chance.below(self.on_way.len() as u64) as usize;
            let launch = self.on_way.remove(at);
            self.arrive(&launch, (chance, fault));
        }
        let is_told = self.on_way.is_empty() && self.delivery.finish_reading();
        if is_told && self.delivery.state() == DeliveryState::Following {
            self.complete_resync(chance);
        }
        true
    }

    fn launch(&mut self, fault: Option<Fault>) {
        while let Some(launch) = self.delivery.next_batch() {
            if fault == Some(Fault::DeliveredBeforeAck) {
                let _ = self.delivery.on_outcome(&launch, SendOutcome::Accepted);
                self.late.push((launch, self.turn));
            } else {
                self.on_way.push(launch);
            }
        }
    }

    /// Reads the next page while batches may be in flight. The query actor may be in replacement.
    fn read(&mut self, view: &LogView<'_>, chance: &mut SeededRng) {
        let Some(log) = view.log.filter(|_| !chance.once_in(10)) else {
            return self.fail(DeliveryFailure::Other);
        };
        let page = read(log, self.delivery.read_after(), view.now);
        if self.delivery.push_page(page) == PageOutcome::CursorExpired {
            self.settle();
            self.delivery.request_resync();
            self.turn += 1;
        }
    }

    /// A request in flight is accepted and answered, or not, or exceeds the limit.
    fn arrive(&mut self, launch: &OutgoingBatch, (chance, fault): (&mut SeededRng, Option<Fault>)) {
        let (landing, failure) = match chance.below(14) {
            _ if self.proxy == Proxy::Refuses => (refused(), DeliveryFailure::Other),
            0 => {
                let _ = self.receiver.take(launch, self.turn);
                (SendOutcome::Unknown, DeliveryFailure::Other)
            }
            1 => {
                self.late.push((launch.clone(), self.turn));
                (SendOutcome::Unknown, DeliveryFailure::Other)
            }
            2 if launch.changes.len() > 1 => (refused(), DeliveryFailure::Other),
            3 => {
                self.proxy = Proxy::Refuses;
                (refused(), DeliveryFailure::Other)
            }
            4 => (SendOutcome::NotApplied, DeliveryFailure::Other),
            _ => match self.receiver.take(launch, self.turn) {
                Ok(()) => (SendOutcome::Accepted, DeliveryFailure::Other),
                Err(Elsewhere) => (SendOutcome::NotApplied, DeliveryFailure::PositionMismatch),
            },
        };
        let is_lost = landing == SendOutcome::Unknown && fault == Some(Fault::LateChangesSkipped);
        let landing = if is_lost { SendOutcome::NotApplied } else { landing };
        match self.delivery.on_outcome(launch, landing) {
            Ok(left_out) => assert_eq!(left_out, None, "who refuses whatever comes is ill"),
            Err(_) => {
                self.fail(failure);
                // It never does so in the middle of a batch.
                if chance.once_in(2) {
                    self.proxy = Proxy::Passes;
                }
            }
        }
    }

    /// Requests in flight no longer count, whatever happens to them.
    fn fail(&mut self, failure: DeliveryFailure) {
        self.settle();
        self.delivery.on_failure(failure);
    }

    fn settle(&mut self) {
        for launch in std::mem::take(&mut self.on_way) {
            let landing = match self.proxy {
                Proxy::Refuses => refused(),
                Proxy::Passes => match self.receiver.take(&launch, self.turn) {
                    Ok(()) => SendOutcome::Accepted,
                    Err(Elsewhere) => SendOutcome::NotApplied,
                },
            };
            let _ = self.delivery.on_outcome(&launch, landing);
        }
    }

    /// Finishes a full resync, unless only the confirmation of its end was lost.
    fn end(&mut self, visible: u64, (chance, fault): (&mut SeededRng, Option<Fault>)) {
        let Some(end) = self.delivery.resync_end() else { return };
        if self.receiver.place() != TargetPosition::At(end) {
            let taken = self.receiver.end(self.turn, end);
            if taken.is_err() || chance.once_in(6) {
                let failure = if taken.is_err() {
                    DeliveryFailure::PositionMismatch
                } else {
                    DeliveryFailure::Other
                };
                return self.delivery.on_failure(failure);
            }
        }
        self.delivery.resync_finished();
        self.turn += 1;
        if fault == Some(Fault::LostWakeUpAtSnapshot) {
            (self.seen, self.rests) = (visible, true);
        }
    }

    fn complete_resync(&mut self, chance: &mut SeededRng) {
        self.delivery.on_idle();
        if chance.once_in(2) {
            self.kept = self.delivery.restart_cursor();
        }
        if self.delivery.needs_replay() {
            // It is over when nothing can arrive any more.
            if self.late.is_empty() {
                self.delivery.replay();
            }
            return;
        }
        if chance.once_in(4) && self.delivery.advance_position() {
            return;
        }
        self.rests = true;
        if std::mem::take(&mut self.is_checked) {
            self.compare();
        }
    }

    /// A comparison finds a difference. A target that cannot be compared gets a full
    /// resync on request.
    fn compare(&mut self) {
        match self.receiver.place() {
            TargetPosition::Unsupported => {
                self.delivery.request_resync();
                self.kept = self.delivery.restart_cursor();
            }
            TargetPosition::At(at) if Some(at) == self.delivery.acked() => return,
            TargetPosition::At(_) | TargetPosition::Empty => {
                self.delivery.on_failure(DeliveryFailure::PositionMismatch);
            }
        }
        self.rests = false;
    }

    /// Its newest position.
    pub(super) fn newest_position(&self) -> Revision {
        self.receiver.newest_position()
    }

    /// Whether late copies are in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.late.is_empty()
    }

    pub(super) fn check(&self, table: &Table, now: Timestamp) -> Checked {
        compare(self.name, &self.receiver.holds(), table, now)
    }
}

fn refused() -> SendOutcome {
    SendOutcome::Rejected("too large".to_owned())
}
