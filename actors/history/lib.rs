//! The history actor: answers who had an address at a moment, who had it when, and what changed, from
//! the journal's segments, on a thread where nothing else waits.

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
use self::address_history::{AddressHistory, Fold};
pub use self::audit_log::Requester;
use self::audit_log::{Line, Record};
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

/// A question about the past.
pub trait Question: Send + 'static {
    /// The answer.
    type Answer: Send + 'static;

    /// The entry of the audit log.
    fn record(&self) -> Value;

    /// Answers the query from the journal.
    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, HistoryError>;
}

/// Runs a query for a requester.
pub struct RunQuery<Q> {
    /// The query.
    pub question: Q,
    /// The requester, for the audit log.
    pub asker: Requester,
}

impl<Q: Question> Message for RunQuery<Q> {
    type Result = Result<Q::Answer, HistoryError>;
}

/// The sources of an answer.
pub struct Reader<'a> {
    library: &'a mut Archive,
    rules: Arc<Rules>,
    fold: Fold,
    clock: &'a Clock,
    deadline: Instant,
}

impl<'a> Reader<'a> {
    /// Somebody who reads this library by these rules.
    pub fn new(library: &'a mut Archive, rules: Arc<Rules>, clock: &'a Clock) -> Self {
        Self::folding(AddressTimeline::apply, (library, rules), clock)
    }

    /// The same with another way of folding.
    pub fn folding(
        fold: Fold,
        (library, rules): (&'a mut Archive, Arc<Rules>),
        clock: &'a Clock,
    ) -> Self {
        Self { library, rules, fold, clock, deadline: QueryBudget::deadline() }
    }

    /// Answers a question. An event whose folding panics is set aside, and the question answered
    /// without it.
    pub fn answer<Q: Question>(&mut self, question: &Q) -> Result<Q::Answer, HistoryError> {
        loop {
            match question.answer(self) {
                Err(HistoryError::Poisoned(at)) if self.library.set_aside(at) => {}
                answer => return answer,
            }
        }
    }

    /// Somebody who tells from the segments that are there now.
    fn narrator(&mut self) -> Result<AddressHistory<'_>, HistoryError> {
        let (now, budget) = (self.clock.now(), QueryBudget::until(self.deadline));
        AddressHistory::new(self.library, (&self.rules, self.fold), now, budget)
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

/// The role.
pub struct History {
    archive: HistorySettings,
    jobs: Option<Sender<Job>>,
}

/// The thread at work: it ends when the actor does.
struct Thread {
    library: Archive,
    record: Record,
    rules: Arc<ArcSwap<Rules>>,
    clock: Clock,
}

impl History {
    /// Tells from this archive.
    pub fn new(archive: HistorySettings) -> Self {
        Self { archive, jobs: None }
    }
}

impl Actor for History {
    const KIND: &'static str = "history";
    const STAGE: Stage = Stage::Answering;
    const CAPACITY: usize = 32;

    fn started(&mut self, context: &mut Context<Self>) {
        let (jobs, inbox) = bounded(Self::CAPACITY);
        let (alive, ended) = oneshot::channel::<()>();
        let started = Thread::start(&self.archive, inbox, alive);
        let ended = async move {
            match started {
                // It never says anything: it is dropped with the thread.
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

impl<Q: Question> Handler<RunQuery<Q>> for History {
    fn handle(
        &mut self,
        ask: RunQuery<Q>,
        _: &mut Context<Self>,
    ) -> Reply<Result<Q::Answer, HistoryError>> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            // Whoever does not wait any more does not need it.
            let _ = tell.send(thread.answer(&ask));
        });
        let gone = || Err(HistoryError::Ill("its reader is being replaced".to_owned()));
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return Reply::Now(Err(HistoryError::Ill("too many ask at once".to_owned())));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => return Reply::Now(gone()),
        }
        Reply::later(async move { told.await.unwrap_or_else(|_| gone()) })
    }
}

impl Thread {
    fn start(
        archive: &HistorySettings,
        inbox: Receiver<Job>,
        alive: oneshot::Sender<()>,
    ) -> io::Result<()> {
        let archive = archive.clone();
        let thread = std::thread::Builder::new().name("history".to_owned());
        let work = move || {
            let mut thread = Self::new(archive);
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
            library: Archive::new(&folder),
            record: Record::new(folder, retention),
            rules,
            clock,
        }
    }

    /// Answers, puts it on record, and only then tells.
    fn answer<Q: Question>(&mut self, ask: &RunQuery<Q>) -> Result<Q::Answer, HistoryError> {
        let (asked, began) = (self.clock.now(), Clock::instant());
        let rules = self.rules.load_full();
        let mut reader = Reader::new(&mut self.library, rules, &self.clock);
        let answer = reader.answer(&ask.question);
        let outcome = match &answer {
            Ok(_) => HistoryOutcome::Answered,
            Err(unanswered) => unanswered.outcome(),
        };
        let question = ask.question.record();
        let line = Line { asked, asker: &ask.asker, question, outcome: outcome.into() };
        let recorded = self.record.add(&line);
        let outcome = if recorded.is_ok() { outcome } else { HistoryOutcome::Unavailable };
        HistoryAsked { outcome, took: began.elapsed() }.emit();
        recorded.map_err(|error| HistoryError::Unrecorded(error.to_string()))?;
        answer
    }
}
