//! The way of one push target, walked: pages are read for it, said, and waited for. What it is told next,
//! and what follows when it does not take that, is decided in [`Delivery`].

mod consistency_check;
mod send;
mod wait;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rollcall_identity::delivery::{
    Delivery, DeliveryFailure, DeliveryMode, DeliveryScope, DeliveryState, FilterChange,
    PageOutcome, ResumeOutcome, StoredPosition, TargetPosition,
};
use rollcall_identity::{Cursor, Filter, Page, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::consistency_check::PageSuspects;
use self::send::Returned;
use self::wait::WakeReason;
use super::dialect::{PushSession, WorkerPool};
use super::error::PushError;
use super::target::{State, TargetHandle};
use crate::status::ComparisonStatus;
use crate::telemetry::{FullResyncStarted, PushFailed, PushRecovered, TombstonesExpired};
use rollcall_engine::messages::ReadChanges;
use rollcall_engine::query::Query;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a request may still take when the house closes.
const GRACE: Duration = Duration::from_secs(1);

/// How long the place of a target may stay where it is while nothing that becomes true is for it: far
/// shorter than ends are remembered, so that it never has to be told everything for that.
const MOVING: Duration = Duration::from_secs(60);

/// Something that somebody wants of a target.
pub enum Command {
    /// Compare what it holds with what it should hold.
    Check(oneshot::Sender<ComparisonStatus>),
    /// Tell it everything anew.
    Synchronise,
}

/// Whom a course reads from and is told by.
pub(super) struct Inputs {
    pub(super) query: Mailbox<Query>,
    pub(super) newest: watch::Receiver<Revision>,
    pub(super) wishes: mpsc::Receiver<Command>,
    pub(super) closing: watch::Receiver<bool>,
}

/// The way of one target.
pub(super) struct DeliveryLoop {
    target: Arc<TargetHandle>,
    workers: WorkerPool,
    inputs: Inputs,
    filter: Arc<Filter>,
    rate: Option<u32>,
    delivery: Delivery,
    turn: PushSession,
    on_way: FuturesUnordered<BoxFuture<'static, Result<Returned, PushError>>>,
    /// Whether somebody wishes that it is told everything anew.
    renew: bool,
    /// How many failures in a row were said.
    failures: u32,
    /// What was kept last, and when.
    kept: Option<(Cursor, Instant)>,
    /// When its place is moved, where that is behind.
    next_move: Instant,
    /// When nothing that was lost can arrive any more.
    next_repeat: Instant,
    next_check: Instant,
    suspects: Option<PageSuspects>,
    /// Pages of sessions of which it refused one.
    unheld: BTreeSet<usize>,
    asking: Vec<oneshot::Sender<ComparisonStatus>>,
}

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// At once, or as fast as so many reports allow.
    On(usize),
    /// When something new became true.
    Rest,
}

impl DeliveryLoop {
    pub(super) fn new(target: Arc<TargetHandle>, workers: WorkerPool, inputs: Inputs) -> Self {
        let filter = Arc::new(target.target.filter());
        let now = Clock::instant();
        let next_check = now + target.check_every();
        // Whoever told it before this may have been cut off in the middle of a request.
        let next_repeat = now + target.target.timeout;
        Self {
            target,
            workers,
            inputs,
            filter,
            rate: None,
            delivery: Delivery::new(DeliveryMode::Replace),
            turn: PushSession::News(name()),
            on_way: FuturesUnordered::new(),
            renew: false,
            failures: 0,
            kept: None,
            next_move: now + MOVING,
            next_repeat,
            next_check,
            suspects: None,
            unheld: BTreeSet::new(),
            asking: Vec::new(),
        }
    }

    /// Tells the target everything, until the house closes.
    ///
    /// # Errors
    /// When the thread that speaks is gone; then another actor must take its place.
    pub(super) async fn run(mut self) -> Result<(), PushError> {
        self.delivery = Delivery::new(self.workers.ask(|dialect| dialect.opening()).await?);
        self.rate = self.workers.ask(|dialect| dialect.rate()).await?;
        loop {
            let mut closing = self.inputs.closing.clone();
            let too_late = async move {
                let _ = closing.wait_for(|closing| *closing).await;
                tokio::time::sleep(GRACE).await;
            };
            let stepped = tokio::select! {
                stepped = self.attempt() => stepped,
                // What is on its way may still arrive: then it is told twice.
                () = too_late => return Ok(()),
            };
            let woken = match stepped {
                Ok(pace) => {
                    self.goes_well();
                    match pace {
                        Pace::Rest => self.rest().await,
                        Pace::On(told) => self.pause(time_of(told, self.rate)).await,
                    }
                }
                Err(PushError::WorkerGone) => return Err(PushError::WorkerGone),
                Err(error) => {
                    let pause = self.failed(&error);
                    self.pause(pause).await
                }
            };
            match woken {
                WakeReason::Up => {}
                WakeReason::Closing => {
                    // What is on its way may still arrive, and is told once more if it does not.
                    let _ = tokio::time::timeout(GRACE, self.settle()).await;
                    self.keep_if(
                        self.kept.map(|(cursor, _)| cursor) != self.delivery.restart_cursor(),
                    )
                    .await;
                    return Ok(());
                }
                WakeReason::Wished(Command::Synchronise) => {
                    self.renew = true;
                    // Whoever wishes that has cleared it, where it cannot clear itself.
                    self.target.holds_nobody_gone();
                }
                WakeReason::Wished(Command::Check(answer)) => {
                    self.asking.push(answer);
                    self.next_check = Clock::instant();
                }
            }
        }
    }

    /// One step on the way. When that fails, nothing is on its way any more.
    async fn attempt(&mut self) -> Result<Pace, PushError> {
        match self.step().await {
            Err(PushError::WorkerGone) => Err(PushError::WorkerGone),
            Err(error) => {
                self.settle().await?;
                Err(error)
            }
            stepped => stepped,
        }
    }

    /// One step on the way.
    async fn step(&mut self) -> Result<Pace, PushError> {
        if std::mem::take(&mut self.renew) {
            self.anew("requested").await?;
        }
        match self.delivery.state() {
            DeliveryState::Probing => self.find().await,
            DeliveryState::StartResync => self.begin().await,
            DeliveryState::FinishResync => self.end().await,
            DeliveryState::Resyncing | DeliveryState::Following => self.go_on().await,
        }
    }

    /// Asks the target where it is, and the first time looks up what was kept of it.
    async fn find(&mut self) -> Result<Pace, PushError> {
        let (place, width) = self.workers.ask(|dialect| dialect.place()).await??;
        let kept = match self.delivery.cursor() {
            Some(_) => None,
            None => self.target.load(&mut self.workers).await?.map(|kept| {
                let is_same = kept.scope == self.target.scope();
                let scope = if is_same { FilterChange::Unchanged } else { FilterChange::Changed };
                StoredPosition { cursor: kept.cursor, scope: kept.hears, filter: scope }
            }),
        };
        let found = self.delivery.on_position(place, kept, width);
        self.turn = PushSession::News(name());
        match found {
            ResumeOutcome::FromTarget => {}
            // Before the first is gone, so that the next life knows that there was one.
            ResumeOutcome::FromStored => self.keep_if(self.kept.is_none()).await,
            ResumeOutcome::Reconcile => {
                self.start_resync("scope");
                // Before the first is gone: the filter may be changed back in the middle.
                self.keep_if(true).await;
            }
            ResumeOutcome::FullResync(reason) => self.start_resync(reason),
        }
        Ok(Pace::On(0))
    }

    /// The target is told everything anew, for this reason.
    async fn anew(&mut self, reason: &'static str) -> Result<(), PushError> {
        self.settle().await?;
        self.delivery.request_resync();
        self.turn = PushSession::News(name());
        self.start_resync(reason);
        // Whoever cannot be asked where it is would go on from where it was, after a restart.
        self.keep_if(true).await;
        Ok(())
    }

    fn start_resync(&mut self, reason: &'static str) {
        self.suspects = None;
        self.unheld.clear();
        self.target.start_resync();
        FullResyncStarted { target: self.target.name(), reason }.emit();
    }

    async fn begin(&mut self) -> Result<Pace, PushError> {
        let own = name();
        self.turn = PushSession::Synchronisation(Arc::clone(&own));
        let width = self.workers.ask(move |dialect| dialect.begin(&own)).await??;
        self.delivery.resync_started(width);
        Ok(Pace::On(0))
    }

    /// Ends a synchronisation that has told everything, unless the target has ended it already and only
    /// its answer was lost.
    async fn end(&mut self) -> Result<Pace, PushError> {
        if let (PushSession::Synchronisation(own), Some(end)) =
            (self.turn.clone(), self.delivery.resync_end())
        {
            let (place, _) = self.workers.ask(|dialect| dialect.place()).await??;
            if place != TargetPosition::At(end) {
                self.workers.ask(move |dialect| dialect.end(&own, &end)).await??;
            }
        }
        self.delivery.resync_finished();
        self.turn = PushSession::News(name());
        self.keep_if(true).await;
        Ok(Pace::On(0))
    }

    /// Reads what is next, and tells it.
    async fn go_on(&mut self) -> Result<Pace, PushError> {
        if self.delivery.poll() {
            self.inputs.newest.mark_unchanged();
        }
        loop {
            // The next page is read while these are told.
            self.launch()?;
            if !self.delivery.wants_page() {
                break;
            }
            let page = self.read(self.delivery.read_after(), self.target.page()).await?;
            match self.delivery.push_page(page) {
                PageOutcome::Queued => {}
                PageOutcome::TombstonesExpired => {
                    self.start_resync("too_long_away");
                    self.target.may_hold_gone();
                    TombstonesExpired { target: self.target.name() }.emit();
                }
                PageOutcome::CursorExpired => {
                    self.anew("too_long_away").await?;
                    return Ok(Pace::On(0));
                }
            }
        }
        let told = self.tell().await?;
        let is_told = self.delivery.finish_reading();
        if self.on_way.is_empty() {
            self.keep_now_and_then().await;
        }
        if is_told && self.delivery.state() == DeliveryState::Following {
            self.all_is_told(told).await
        } else {
            Ok(Pace::On(told))
        }
    }

    /// Does what is to be done once everything is told, `told` reports of it just now.
    async fn all_is_told(&mut self, told: usize) -> Result<Pace, PushError> {
        if self.delivery.on_idle() {
            self.keep_if(true).await;
        }
        self.target.rests(self.delivery.cursor());
        let now = Clock::instant();
        if self.delivery.needs_replay() && now >= self.next_repeat {
            self.delivery.replay();
        } else if now >= self.next_check {
            self.check().await?;
        } else if now >= self.next_move && self.delivery.advance_position() {
            self.next_move = now + MOVING;
        } else if told == 0 {
            return Ok(Pace::Rest);
        }
        Ok(Pace::On(told))
    }

    async fn read(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page, PushError> {
        let hears = self.delivery.scope();
        let filter = match hears {
            DeliveryScope::Filtered => Arc::clone(&self.filter),
            DeliveryScope::FilteredWithRemovals => Arc::default(),
        };
        let mut page =
            self.inputs.query.send(ReadChanges { cursor, since: None, filter, limit }).await?;
        if hears == DeliveryScope::FilteredWithRemovals {
            let now = self.target.now();
            page.changes.iter_mut().for_each(|change| self.filter.redact(change, now));
        }
        Ok(page)
    }

    /// Notes a failure, and says how long to wait.
    fn failed(&mut self, error: &PushError) -> Duration {
        self.suspects = None;
        self.next_repeat = Clock::instant() + self.target.target.timeout;
        self.delivery.on_failure(match error {
            PushError::PositionMismatch(_) => DeliveryFailure::PositionMismatch,
            _ => DeliveryFailure::Other,
        });
        self.failures = self.delivery.failures();
        for asking in self.asking.drain(..) {
            // Whoever asked may have gone.
            let _ = asking.send(Err(error.to_string()));
        }
        let pause = self.target.pause(self.failures).max(error.retry_after());
        self.target.failed(error, pause);
        PushFailed { target: self.target.name(), error, pause, failures: self.failures }.emit();
        pause
    }

    /// Notes a step that went well. A failure is not over by it while nothing was taken.
    fn goes_well(&mut self) {
        if self.delivery.failures() > 0 {
            return;
        }
        if self.failures > 0 {
            PushRecovered { target: self.target.name(), failures: self.failures }.emit();
            self.failures = 0;
        }
        let state = match self.delivery.state() {
            DeliveryState::Resyncing | DeliveryState::FinishResync | DeliveryState::StartResync => {
                State::Synchronising
            }
            DeliveryState::Probing | DeliveryState::Following => State::Following,
        };
        self.target.is(state, self.delivery.cursor());
    }
}

/// The name of a turn, that no other had.
fn name() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// How long so many reports take at a rate a second.
fn time_of(told: usize, rate: Option<u32>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(told as f64 / f64::from(rate)))
}
