//! The history actor: answers who had an address at a moment, who had it when, and what changed, from
//! the journal's segments, on a thread where nothing else waits.

mod access;
mod budget;
mod difference;
pub mod metrics;
mod moment;
mod narrator;
mod stays;
pub mod telemetry;
#[cfg(test)]
mod tests;
mod unanswered;

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

pub use self::access::Asker;
use self::access::{Line, Record};
use self::budget::Budget;
pub use self::difference::{Difference, Differences, Differs, What};
pub use self::moment::{Moment, ToldOfMoment};
pub use self::narrator::Sources;
use self::narrator::{Fold, Narrator};
pub use self::stays::{AtAddress, OfUser, Stays};
pub use self::unanswered::Unanswered;
use crate::telemetry::{HistoryAsked, HistoryOpened, HistoryOutcome};
use rollcall_journal::library::Library;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// A question about the past.
pub trait Question: Send + 'static {
    /// What is told.
    type Answer: Send + 'static;

    /// What is put on record of it.
    fn record(&self) -> Value;

    /// Answers it from the journal.
    fn answer(&self, reader: &mut Reader<'_>) -> Result<Self::Answer, Unanswered>;
}

/// A question, and who asks it.
pub struct Ask<Q> {
    pub question: Q,
    pub asker: Asker,
}

impl<Q: Question> Message for Ask<Q> {
    type Result = Result<Q::Answer, Unanswered>;
}

/// What a question is answered from.
pub struct Reader<'a> {
    library: &'a mut Library,
    rules: Arc<Rules>,
    fold: Fold,
    clock: &'a Clock,
    deadline: Instant,
}

impl<'a> Reader<'a> {
    /// Somebody who reads this library by these rules.
    pub fn new(library: &'a mut Library, rules: Arc<Rules>, clock: &'a Clock) -> Self {
        Self::folding(AddressTimeline::apply, (library, rules), clock)
    }

    /// The same with another way of folding.
    pub fn folding(
        fold: Fold,
        (library, rules): (&'a mut Library, Arc<Rules>),
        clock: &'a Clock,
    ) -> Self {
        Self { library, rules, fold, clock, deadline: Budget::deadline() }
    }

    /// Answers a question. An event whose folding panics is set aside, and the question answered
    /// without it.
    pub fn answer<Q: Question>(&mut self, question: &Q) -> Result<Q::Answer, Unanswered> {
        loop {
            match question.answer(self) {
                Err(Unanswered::Poisoned(at)) if self.library.set_aside(at) => {}
                answer => return answer,
            }
        }
    }

    /// Somebody who tells from the segments that are there now.
    fn narrator(&mut self) -> Result<Narrator<'_>, Unanswered> {
        let (now, budget) = (self.clock.now(), Budget::until(self.deadline));
        Narrator::new(self.library, (&self.rules, self.fold), now, budget)
    }
}

/// What the thread is asked to do.
type Job = Box<dyn FnOnce(&mut Thread) + Send>;

/// What the actor is made from, now and whenever it is replaced.
#[derive(Clone)]
pub struct Archive {
    /// The journal's folder.
    pub folder: PathBuf,
    /// The rules in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// How long it is kept who asked for what.
    pub retention: Duration,
    pub clock: Clock,
}

/// The role.
pub struct History {
    archive: Archive,
    jobs: Option<Sender<Job>>,
}

/// The thread at work: it ends when the actor does.
struct Thread {
    library: Library,
    record: Record,
    rules: Arc<ArcSwap<Rules>>,
    clock: Clock,
}

impl History {
    /// Tells from this archive.
    pub fn new(archive: Archive) -> Self {
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

impl<Q: Question> Handler<Ask<Q>> for History {
    fn handle(
        &mut self,
        ask: Ask<Q>,
        _: &mut Context<Self>,
    ) -> Reply<Result<Q::Answer, Unanswered>> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |thread| {
            // Whoever does not wait any more does not need it.
            let _ = tell.send(thread.answer(&ask));
        });
        let gone = || Err(Unanswered::Ill("its reader is being replaced".to_owned()));
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return Reply::Now(Err(Unanswered::Ill("too many ask at once".to_owned())));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => return Reply::Now(gone()),
        }
        Reply::later(async move { told.await.unwrap_or_else(|_| gone()) })
    }
}

impl Thread {
    fn start(
        archive: &Archive,
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

    fn new(Archive { folder, rules, retention, clock }: Archive) -> Self {
        Self {
            library: Library::new(&folder),
            record: Record::new(folder, retention),
            rules,
            clock,
        }
    }

    /// Answers, puts it on record, and only then tells.
    fn answer<Q: Question>(&mut self, ask: &Ask<Q>) -> Result<Q::Answer, Unanswered> {
        let (asked, began) = (self.clock.now(), Clock::instant());
        let rules = self.rules.load_full();
        let mut reader = Reader::new(&mut self.library, rules, &self.clock);
        let answer = reader.answer(&ask.question);
        let outcome = match &answer {
            Ok(_) => HistoryOutcome::Told,
            Err(unanswered) => unanswered.outcome(),
        };
        let question = ask.question.record();
        let line = Line { asked, asker: &ask.asker, question, outcome: outcome.into() };
        let recorded = self.record.add(&line);
        let outcome = if recorded.is_ok() { outcome } else { HistoryOutcome::Ill };
        HistoryAsked { outcome, took: began.elapsed() }.emit();
        recorded.map_err(|error| Unanswered::Unrecorded(error.to_string()))?;
        answer
    }
}
