//! Starts and stops the parts that every server has: supervisor, query actor, cache actor and the
//! thread of the journal.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rollcall_identity::engine::{EngineRole, RecoveredState};
use rollcall_identity::{ChangeLogLimits, Journal, JournalError, Revision, Rules};
use tokio::sync::watch;

use crate::cache::{Cache, CacheSink, DecisionInputs};
use crate::directory::SharedDirectory;
use crate::failover::{Failover, StateSource, request_state};
use crate::messages::ExportTable;
use crate::query::{AddressLookup, PublishedLog, Query, QueryOutputs};
use rollcall_journal::{JournalThread, JournalWriter, WriteErrorWatch};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{RestartPolicy, Spawn, Stop, Supervisor};

/// The running engine.
pub struct Engine {
    /// Starts and replaces all actors.
    pub supervisor: Mailbox<Supervisor>,
    /// Applies events.
    pub cache: Mailbox<Cache>,
    /// Answers queries.
    pub query: Mailbox<Query>,
    /// Looks up one address without a message.
    pub lookup: AddressLookup,
    /// The newest revision of the query actor.
    pub newest: watch::Receiver<Revision>,
    /// The rules. A change is effective from the next batch.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The directory, shared by its writers and readers.
    pub directory: SharedDirectory,
    /// The error while the journal is not writable.
    pub journal_error: WriteErrorWatch,
    journal: JournalThread,
}

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refused a thread.
    #[error("the journal's thread could not be started: {0}")]
    Thread(#[from] io::Error),
    /// The journal cannot be read.
    #[error("the journal cannot be read: {}", .0.0)]
    Journal(#[from] JournalError),
    /// The supervisor ended during the start.
    #[error(transparent)]
    MailboxClosed(#[from] MailboxClosed),
}

impl Engine {
    /// Starts it on the actix system of the calling thread, with the state of the journal, from the
    /// sink upward: the query actor runs before the cache that feeds it.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system refuses a thread.
    pub async fn start(
        journal: impl Journal + 'static,
        rules: Rules,
        limits: ChangeLogLimits,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        Self::start_with(SharedDirectory::default(), journal, rules, limits, clock).await
    }

    /// [`Engine::start`] with a directory that producers write.
    ///
    /// # Errors
    /// When the journal cannot be read, or the system refuses a thread.
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
        let (newest_sender, newest) = watch::channel(Revision::default());
        let published = PublishedLog::default();
        let lookup = AddressLookup::new(query.clone(), published.clone(), clock.clone());
        let outputs = QueryOutputs { newest: newest_sender, published };
        let (table, restored) = journal.restore(&rules)?;
        let recovered = RecoveredState::from_table(table, restored);
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let (effective, time) = (Arc::clone(&rules), clock.clone());
        let (writer, thread) =
            JournalWriter::start(journal, CacheSink(cache.clone()), effective, time)?;
        let (failover, journal_error) =
            (Failover::new(writer.epoch(), recovered), writer.write_error());
        let (generations, time) = (failover.clone(), clock.clone());
        let peer = cache.clone();
        let source: StateSource = Arc::new(move || {
            let peer = peer.clone();
            Box::pin(async move { request_state(&peer, ExportTable).await })
        });
        let answers = move |generation| {
            let ownership = generations.acquire(EngineRole::Query, generation);
            Query::new(ownership, limits, source.clone(), outputs.clone(), time.clone())
        };
        supervisor.send(Spawn::with_generation(query.clone(), answers)).await?;
        let inputs = DecisionInputs { rules: Arc::clone(&rules), directory: directory.clone() };
        let (sink, time) = (query.clone(), clock.clone());
        let decides = move |generation| {
            let ownership = failover.acquire(EngineRole::Cache, generation);
            Cache::new(ownership, inputs.clone(), writer.clone(), sink.clone(), time.clone())
        };
        supervisor.send(Spawn::with_generation(cache.clone(), decides)).await?;
        let journal = thread;
        Ok(Self {
            supervisor,
            cache,
            query,
            lookup,
            newest,
            rules,
            directory,
            journal_error,
            journal,
        })
    }

    /// Stops the cache, then the query actor. Everything handed over before is in the journal.
    pub async fn stop(self) {
        // Without the table of the cache, the next start applies the journal from its last snapshot.
        let last = request_state(&self.cache, ExportTable).await.ok().map(|state| state.snapshot);
        for actor in ["cache", "query"] {
            // A supervisor that has ended has no actor left to stop.
            let _ = self.supervisor.send(Stop(actor.to_owned())).await;
        }
        // The factory of the cache held the last writer of the journal.
        let _ = tokio::task::spawn_blocking(move || self.journal.join(last)).await;
    }
}

#[cfg(test)]
mod tests;
