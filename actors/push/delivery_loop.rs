//! The delivery loop of one push target: it reads pages of changes, sends them and waits.
//! [`Delivery`] decides what is sent next and what follows a failure; the capabilities of the dialect
//! decide which operations there are.

mod consistency_check;
mod resync;
mod send;
mod wait;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rollcall_identity::delivery::{
    Delivery, DeliveryFailure, DeliveryScope, DeliveryState, FilterChange, PageOutcome,
    ResumeOutcome, StoredPosition, TargetPosition,
};
use rollcall_identity::{Address, Cursor, Filter, Page, Revision};
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use self::consistency_check::PageSuspects;
use self::send::BatchResponse;
use self::wait::WakeReason;
use super::dialect::{Dialect, PushSession, ReportedPosition};
use super::error::PushError;
use super::target::TargetHandle;
use super::worker::WorkerPool;
use crate::status::{ComparisonStatus, State};
use crate::telemetry::{PushFailed, PushRecovered, TombstonesExpired};
use rollcall_engine::messages::ReadChanges;
use rollcall_engine::query::Query;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::Mailbox;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a request may still take when the server shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// How long the position of a target may stay behind while no change is for it. This is far shorter
/// than the retention of tombstones, so that the position does not expire.
const ADVANCE_INTERVAL: Duration = Duration::from_secs(60);

/// A command of an administrator.
pub enum Command {
    /// Compare the content of the target with the expected content.
    Check(oneshot::Sender<ComparisonStatus>),
    /// Start a full resync.
    Resync,
}

/// What a delivery loop reads from and is controlled by.
pub(super) struct Inputs {
    pub(super) query: Mailbox<Query>,
    pub(super) newest: watch::Receiver<Revision>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) closing: watch::Receiver<bool>,
}

/// The delivery loop of one target.
pub(super) struct DeliveryLoop {
    target: Arc<TargetHandle>,
    workers: WorkerPool,
    inputs: Inputs,
    filter: Arc<Filter>,
    delivery: Delivery,
    session: PushSession,
    in_flight: FuturesUnordered<BoxFuture<'static, Result<BatchResponse, PushError>>>,
    /// Whether an administrator requested a full resync.
    resync_requested: bool,
    /// The number of consecutive failures that were reported.
    failures: u32,
    /// The last stored position, and when it was stored.
    stored: Option<(Cursor, Instant)>,
    /// When the position of the target is advanced, if it is behind.
    next_advance: Instant,
    /// When no request with unknown outcome can be applied any more.
    next_replay: Instant,
    /// When the content is checked; `None` if the target does not report it.
    next_check: Option<Instant>,
    /// When all sessions are sent again; `None` if the target keeps them.
    next_refresh: Option<Instant>,
    suspects: Option<PageSuspects>,
    /// Addresses of which the target refused a session.
    refused: HashSet<Address>,
    /// The administrators who wait for a check.
    check_replies: Vec<oneshot::Sender<ComparisonStatus>>,
}

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextStep {
    /// The next step, after the time that so many changes take at the maximum rate.
    Continue(usize),
    /// Wait for new changes.
    Wait,
}

impl DeliveryLoop {
    pub(super) fn new(target: Arc<TargetHandle>, workers: WorkerPool, inputs: Inputs) -> Self {
        let filter = Arc::new(target.target.filter());
        let (now, capabilities) = (Clock::instant(), *target.capabilities());
        Self {
            workers,
            inputs,
            filter,
            delivery: Delivery::new(capabilities.resync),
            session: PushSession::Incremental(unique_id()),
            in_flight: FuturesUnordered::new(),
            resync_requested: false,
            failures: 0,
            stored: None,
            next_advance: now + ADVANCE_INTERVAL,
            // The predecessor may have ended in the middle of a request.
            next_replay: now + target.target.timeout,
            next_check: capabilities.check_interval().map(|interval| now + interval),
            // The time of the last refresh is not stored, so that the first one is due at once.
            next_refresh: capabilities.refresh_interval().map(|_| now),
            suspects: None,
            refused: HashSet::new(),
            check_replies: Vec::new(),
            target,
        }
    }

    /// Delivers changes until the server shuts down.
    ///
    /// # Errors
    /// A worker thread has ended; then another actor must take over.
    pub(super) async fn run(mut self) -> Result<(), PushError> {
        loop {
            let mut closing = self.inputs.closing.clone();
            let shutdown = async move {
                let _ = closing.wait_for(|closing| *closing).await;
                tokio::time::sleep(SHUTDOWN_GRACE).await;
            };
            let step = tokio::select! {
                step = self.attempt() => step,
                // A request in flight may still be applied; the next start sends it again.
                () = shutdown => return Ok(()),
            };
            let woken = match step {
                Ok(next) => {
                    self.on_success();
                    match next {
                        NextStep::Wait => self.wait_for_changes().await,
                        NextStep::Continue(sent) => {
                            self.pause(self.target.capabilities().time_for(sent)).await
                        }
                    }
                }
                Err(PushError::WorkerGone) => return Err(PushError::WorkerGone),
                Err(error) => {
                    let backoff = self.on_failure(&error);
                    self.pause(backoff).await
                }
            };
            match woken {
                WakeReason::Ready => {}
                WakeReason::Closing => {
                    self.close().await;
                    return Ok(());
                }
                WakeReason::Command(command) => self.on_command(command),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Resync => {
                self.resync_requested = true;
                // The administrator has cleared a target that cannot discard entries.
                self.target.clear_may_hold_ended();
            }
            Command::Check(reply) => {
                self.check_replies.push(reply);
                self.next_check = Some(Clock::instant());
            }
        }
    }

    /// Waits for the requests in flight and stores the position.
    async fn close(mut self) {
        // A request without a response by then is sent again after the next start.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, self.drain()).await;
        let stored = self.stored.map(|(cursor, _)| cursor);
        self.store_if(stored != self.delivery.restart_cursor()).await;
    }

    /// Makes one step. After a failure, no request is in flight.
    async fn attempt(&mut self) -> Result<NextStep, PushError> {
        match self.step().await {
            Err(PushError::WorkerGone) => Err(PushError::WorkerGone),
            Err(error) => {
                self.drain().await?;
                Err(error)
            }
            next => next,
        }
    }

    async fn step(&mut self) -> Result<NextStep, PushError> {
        if std::mem::take(&mut self.resync_requested) {
            self.request_resync("requested").await?;
        }
        match self.delivery.state() {
            DeliveryState::Probing => self.probe().await,
            DeliveryState::StartResync => self.start_resync().await,
            DeliveryState::FinishResync => self.finish_resync().await,
            DeliveryState::Resyncing | DeliveryState::Following => self.deliver().await,
        }
    }

    /// Reads the position of the target; the first time, also loads the stored position.
    async fn probe(&mut self) -> Result<NextStep, PushError> {
        let ReportedPosition { position, window } = self.read_position().await?;
        let stored = match self.delivery.cursor() {
            Some(_) => None,
            None => self.target.load(&mut self.workers).await?.map(|stored| {
                let is_same = stored.content_settings == self.target.content_settings();
                let filter = if is_same { FilterChange::Unchanged } else { FilterChange::Changed };
                StoredPosition { cursor: stored.cursor, scope: stored.delivery_scope, filter }
            }),
        };
        let outcome = self.delivery.on_position(position, stored, self.width(window));
        self.session = PushSession::Incremental(unique_id());
        match outcome {
            ResumeOutcome::FromTarget => {}
            // Stored before the first batch, so that the next start knows that there was one.
            ResumeOutcome::FromStored => self.store_if(self.stored.is_none()).await,
            ResumeOutcome::Reconcile => {
                self.on_resync_started("scope");
                // Stored before the first batch, because the filter may be changed back meanwhile.
                self.store_if(true).await;
            }
            ResumeOutcome::FullResync(reason) => self.on_resync_started(reason),
        }
        Ok(NextStep::Continue(0))
    }

    async fn read_position(&mut self) -> Result<ReportedPosition, PushError> {
        let unsupported =
            ReportedPosition { position: TargetPosition::Unsupported, window: usize::MAX };
        let read = move |dialect: &mut dyn Dialect| match dialect.position() {
            Some(target) => target.read_position(),
            None => Ok(unsupported),
        };
        self.workers.run(read).await?
    }

    /// The number of batches in flight for a target that accepts `window`.
    fn width(&self, window: usize) -> usize {
        window.min(self.target.capabilities().parallel).max(1)
    }

    /// Reads the next changes and sends them.
    async fn deliver(&mut self) -> Result<NextStep, PushError> {
        if self.delivery.poll() {
            self.inputs.newest.mark_unchanged();
        }
        loop {
            // The next page is read while these batches are in flight.
            self.send_ready()?;
            if !self.delivery.wants_page() {
                break;
            }
            let limit = self.target.capabilities().page();
            let page = self.read(self.delivery.read_after(), limit).await?;
            match self.delivery.push_page(page) {
                PageOutcome::Queued => {}
                PageOutcome::TombstonesExpired => {
                    self.on_resync_started("tombstones_expired");
                    self.target.set_may_hold_ended();
                    TombstonesExpired { target: self.target.name() }.emit();
                }
                PageOutcome::CursorExpired => {
                    self.request_resync("tombstones_expired").await?;
                    return Ok(NextStep::Continue(0));
                }
            }
        }
        let sent = self.receive().await?;
        let is_complete = self.delivery.finish_reading();
        if self.in_flight.is_empty() {
            self.store_periodically().await;
        }
        if is_complete && self.delivery.state() == DeliveryState::Following {
            self.on_complete(sent).await
        } else {
            Ok(NextStep::Continue(sent))
        }
    }

    /// Does what is due once every change is acknowledged; `sent` of them were sent just now.
    async fn on_complete(&mut self, sent: usize) -> Result<NextStep, PushError> {
        if self.delivery.on_idle() {
            self.store_if(true).await;
        }
        self.target.set_complete(self.delivery.cursor());
        let now = Clock::instant();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if self.delivery.needs_replay() && now >= self.next_replay {
            self.delivery.replay();
        } else if is_due(self.next_check) {
            self.check().await?;
        } else if is_due(self.next_refresh) {
            self.refresh(now);
        } else if now >= self.next_advance && self.delivery.advance_position() {
            self.next_advance = now + ADVANCE_INTERVAL;
        } else if sent == 0 {
            return Ok(NextStep::Wait);
        }
        Ok(NextStep::Continue(sent))
    }

    async fn read(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page, PushError> {
        let scope = self.delivery.scope();
        let filter = match scope {
            DeliveryScope::Filtered => Arc::clone(&self.filter),
            DeliveryScope::FilteredWithRemovals => Arc::default(),
        };
        let mut page =
            self.inputs.query.send(ReadChanges { cursor, since: None, filter, limit }).await?;
        if scope == DeliveryScope::FilteredWithRemovals {
            let now = self.target.now();
            page.changes.iter_mut().for_each(|change| self.filter.redact(change, now));
        }
        Ok(page)
    }

    /// Records a failure and returns the backoff.
    fn on_failure(&mut self, error: &PushError) -> Duration {
        self.suspects = None;
        self.next_replay = Clock::instant() + self.target.target.timeout;
        self.delivery.on_failure(match error {
            PushError::PositionMismatch(_) => DeliveryFailure::PositionMismatch,
            _ => DeliveryFailure::Other,
        });
        self.failures = self.delivery.failures();
        self.reply_to_checks(&Err(error.to_string()));
        let pause = self.target.backoff(self.failures).max(error.retry_after());
        self.target.failed(error, pause);
        PushFailed { target: self.target.name(), error, pause, failures: self.failures }.emit();
        pause
    }

    /// Records a successful step. It ends a failure only when the target has accepted something.
    fn on_success(&mut self) {
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
        self.target.set_state(state, self.delivery.cursor());
    }
}

/// An ID that was not used before.
fn unique_id() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// A dialect declares an operation that it does not implement.
fn missing(operation: &str) -> PushError {
    PushError::NotConfigured(format!("the dialect does not implement {operation}"))
}
