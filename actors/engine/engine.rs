//! The part of the house that is always there: supervisor, query, cache and the journal's thread.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rollcall_identity::{ChangeLogLimits, Journal, JournalError, RecoveredState, Revision, Rules};
use tokio::sync::watch;

use crate::cache::{Cache, CacheSink, DecisionInputs};
use crate::directory::SharedDirectory;
use crate::failover::{Failover, estate};
use crate::messages::ExportTable;
use crate::query::{AddressLookup, PublishedLog, Query, QueryOutputs};
use rollcall_journal::{Illness, JournalThread, JournalWriter};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{RestartPolicy, Spawn, Stop, Supervisor};

/// What decides and answers, at work.
pub struct Engine {
    /// Starts and replaces everybody.
    pub supervisor: Mailbox<Supervisor>,
    /// Where producers send to.
    pub cache: Mailbox<Cache>,
    /// Where everybody asks.
    pub query: Mailbox<Query>,
    /// How one address is asked for.
    pub view: AddressLookup,
    /// How far the query actor knows.
    pub newest: watch::Receiver<Revision>,
    /// The rules by which the cache decides, from its next batch on.
    pub rules: Arc<ArcSwap<Rules>>,
    /// What directories say, for those who write it and those who look something up.
    pub directory: SharedDirectory,
    /// Why the journal takes no events, when it does not.
    pub illness: Illness,
    journal: JournalThread,
}

/// Why the engine could not begin to beat.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread.
    #[error("the journal's thread could not be started: {0}")]
    Thread(#[from] io::Error),
    /// What earlier lives of the process left cannot be read.
    #[error("nothing can be restored: {}", .0.0)]
    Journal(#[from] JournalError),
    /// The supervisor ended before it had begun.
    #[error(transparent)]
    MailboxClosed(#[from] MailboxClosed),
}

impl Engine {
    /// Starts it on the calling thread's actix system, with what the journal holds, from the sink
    /// upward: the query actor is there before the cache that feeds it.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system gives no thread.
    pub async fn start(
        journal: impl Journal + 'static,
        rules: Rules,
        limits: ChangeLogLimits,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        Self::start_with(SharedDirectory::default(), journal, rules, limits, clock).await
    }

    /// The same with a directory that others enter into.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system gives no thread.
    pub async fn start_with(
        directory: SharedDirectory,
        mut journal: impl Journal + 'static,
        rules: Rules,
        limits: ChangeLogLimits,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let supervisor = Supervisor::start(clock, RestartPolicy::default());
        let query = Mailbox::<Query>::new("query", clock.clone());
        let cache = Mailbox::<Cache>::new("cache", clock.clone());
        let (tell, newest) = watch::channel(Revision::default());
        let window = PublishedLog::default();
        let view = AddressLookup::new(query.clone(), window.clone(), clock.clone());
        let front = QueryOutputs { newest: tell, window };
        let (table, restored) = journal.restore(&rules)?;
        let legacy = RecoveredState::from_table(table, restored);
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let (in_force, time) = (Arc::clone(&rules), clock.clone());
        let (writer, thread) =
            JournalWriter::start(journal, CacheSink(cache.clone()), in_force, time)?;
        let (succession, illness) = (Failover::new(writer.epoch(), legacy), writer.illness());
        let (terms, feeder, time) = (succession.clone(), cache.clone(), clock.clone());
        let answers =
            move || Query::new(terms.query(), limits, feeder.clone(), front.clone(), time.clone());
        supervisor.send(Spawn::new(query.clone(), answers)).await?;
        let grounds = DecisionInputs { rules: Arc::clone(&rules), directory: directory.clone() };
        let (sink, time) = (query.clone(), clock.clone());
        let decides = move || {
            let (grounds, term) = (grounds.clone(), succession.cache());
            Cache::new(term, grounds, writer.clone(), sink.clone(), time.clone())
        };
        supervisor.send(Spawn::new(cache.clone(), decides)).await?;
        let journal = thread;
        Ok(Self { supervisor, cache, query, view, newest, rules, directory, illness, journal })
    }

    /// Stops deciding, and then answering. Whatever was handed over before is in the journal.
    pub async fn stop(self) {
        // A cache that cannot tell leaves the journal to be folded at the next start.
        let last = estate(&self.cache, ExportTable).await.ok().map(|estate| estate.handover);
        for actor in ["cache", "query"] {
            // A supervisor that is gone has nobody left to dismiss.
            let _ = self.supervisor.send(Stop(actor.to_owned())).await;
        }
        // The cache's factory held the last way into the journal.
        let _ = tokio::task::spawn_blocking(move || self.journal.join(last)).await;
    }
}

#[cfg(test)]
mod tests;
