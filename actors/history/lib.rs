//! The history actor: answers who had an address at a time, the sessions of a period, and their
//! differences, from the journal's segments, on a thread of its own.

mod address_history;
mod audit_log;
mod diff;
mod error;
mod intervals;
pub mod metrics;
mod point_in_time;
mod query_budget;
pub mod telemetry;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rollcall_identity::{AddressTimeline, Rules};
use serde_json::Value;
use tokio::sync::oneshot;

pub use self::address_history::Sources;
use self::address_history::{AddressHistory, ApplyFn};
pub use self::audit_log::Requester;
use self::audit_log::{AuditEntry, AuditLog};
pub use self::diff::{DiffEntry, DiffKind, DiffPage, SessionDiff};
pub use self::error::HistoryError;
pub use self::intervals::{AddressIntervals, IntervalsPage, UserIntervals};
pub use self::point_in_time::{PointInTime, PointInTimeAnswer};
use self::query_budget::QueryBudget;
use crate::telemetry::{HistoryAsked, HistoryOpened, HistoryOutcome};
use rollcall_journal::archive_reader::Archive;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// A history query.
pub trait HistoryQuery: Send + 'static {
    /// The answer.
    type Answer: Send + 'static;

    /// The entry of the audit log.
    fn audit_record(&self) -> Value;

    /// Answers the query from the journal.
    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError>;
}

/// Runs a query for a requester.
pub struct RunQuery<Q> {
    /// The query.
    pub query: Q,
    /// The requester, for the audit log.
    pub requester: Requester,
}

impl<Q: HistoryQuery> Message for RunQuery<Q> {
    type Result = Result<Q::Answer, HistoryError>;
}

/// The sources of an answer.
pub struct Reader<'a> {
    archive: &'a mut Archive,
    rules: Arc<Rules>,
    apply: ApplyFn,
    clock: &'a Clock,
    deadline: Instant,
}

impl<'a> Reader<'a> {
    /// A reader of this archive by these rules.
    pub fn new(archive: &'a mut Archive, rules: Arc<Rules>, clock: &'a Clock) -> Self {
        Self::applying(AddressTimeline::apply, (archive, rules), clock)
    }

    /// The same with another apply function.
    pub fn applying(
        apply: ApplyFn,
        (archive, rules): (&'a mut Archive, Arc<Rules>),
        clock: &'a Clock,
    ) -> Self {
        Self { archive, rules, apply, clock, deadline: QueryBudget::deadline() }
    }

    /// Answers a query. An event whose application panics is quarantined, and the query runs again
    /// without it.
    pub fn answer<Q: HistoryQuery>(&mut self, query: &Q) -> Result<Q::Answer, HistoryError> {
        loop {
            match query.answer(self) {
                Err(HistoryError::EventPanicked(at)) if self.archive.quarantine(at) => {}
                answer => return answer,
            }
        }
    }

    /// A query on the current segments.
    fn history(&mut self) -> Result<AddressHistory<'_>, HistoryError> {
        let (now, budget) = (self.clock.now(), QueryBudget::until(self.deadline));
        AddressHistory::new(self.archive, (&self.rules, self.apply), now, budget)
    }
}

/// A job of the thread.
type Job = Box<dyn FnOnce(&mut Thread) + Send>;

/// The settings of the actor.
#[derive(Clone)]
pub struct HistorySettings {
    /// The folder of the journal.
    pub folder: PathBuf,
    /// The effective rules.
    pub rules: Arc<ArcSwap<Rules>>,
    /// How long the audit log is kept.
    pub retention: Duration,
    /// The clock.
    pub clock: Clock,
}

/// The history actor.
pub struct History {
    settings: HistorySettings,
    jobs: Option<Sender<Job>>,
}

/// The state of the thread. It ends with the actor.
struct Thread {
    archive: Archive,
    audit_log: AuditLog,
    rules: Arc<ArcSwap<Rules>>,
    clock: Clock,
}

impl History {
    /// An actor that is not started yet.
    pub fn new(settings: HistorySettings) -> Self {
        Self { settings, jobs: None }
    }
}

impl Actor for History {
    const KIND: &'static str = "history";
    const STAGE: Stage = Stage::Answering;
    const CAPACITY: usize = 32;

    fn started(&mut self, context: &mut Context<Self>) {
        let (jobs, inbox) = bounded(Self::CAPACITY);
        let (alive, ended) = oneshot::channel::<()>();
        let started = Thread::start(&self.settings, inbox, alive);
        let ended = async move {
            match started {
                // Nothing is sent: the sender is dropped with the thread.
                Ok(()) => drop(ended.await),
                Err(error) => return format!("its thread could not be started: {error}"),
            }
            "its thread has ended".to_owned()
        };
        self.jobs = Some(jobs);
        context.spawn(wrap_future::<_, ActorCell<Self>>(ended).map(|why, cell, context| {
            cell.fail(why, context);
        }));
    }
}

impl<Q: HistoryQuery> Handler<RunQuery<Q>> for History {
    fn handle(
        &mut self,
        ask: RunQuery<Q>,
        _: &mut Context<Self>,
    ) -> Reply<Result<Q::Answer, HistoryError>> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            // The requester may have stopped waiting.
            let _ = sender.send(thread.answer(&ask));
        });
        let gone = || Err(HistoryError::Unavailable("the reader is restarting".to_owned()));
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return Reply::Now(Err(HistoryError::Unavailable(
                    "too many concurrent queries".to_owned(),
                )));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => return Reply::Now(gone()),
        }
        Reply::later(async move { receiver.await.unwrap_or_else(|_| gone()) })
    }
}

impl Thread {
    fn start(
        settings: &HistorySettings,
        inbox: Receiver<Job>,
        alive: oneshot::Sender<()>,
    ) -> io::Result<()> {
        let settings = settings.clone();
        let thread = std::thread::Builder::new().name("history".to_owned());
        let work = move || {
            let mut thread = Self::new(settings);
            HistoryOpened.emit();
            while let Ok(job) = inbox.recv() {
                job(&mut thread);
            }
            drop(alive);
        };
        thread.spawn(work).map(drop)
    }

    fn new(HistorySettings { folder, rules, retention, clock }: HistorySettings) -> Self {
        Self {
            archive: Archive::new(&folder),
            audit_log: AuditLog::new(folder, retention),
            rules,
            clock,
        }
    }

    /// Answers a query and writes the audit log before it returns the answer.
    fn answer<Q: HistoryQuery>(&mut self, ask: &RunQuery<Q>) -> Result<Q::Answer, HistoryError> {
        let (asked, started) = (self.clock.now(), Clock::instant());
        let rules = self.rules.load_full();
        let mut reader = Reader::new(&mut self.archive, rules, &self.clock);
        let answer = reader.answer(&ask.query);
        let outcome = match &answer {
            Ok(_) => HistoryOutcome::Answered,
            Err(unanswered) => unanswered.outcome(),
        };
        let query = ask.query.audit_record();
        let line = AuditEntry { asked, requester: &ask.requester, query, outcome: outcome.into() };
        let recorded = self.audit_log.add(&line);
        let outcome = if recorded.is_ok() { outcome } else { HistoryOutcome::Unavailable };
        HistoryAsked { outcome, took: started.elapsed() }.emit();
        recorded.map_err(|error| HistoryError::NotAudited(error.to_string()))?;
        answer
    }
}
