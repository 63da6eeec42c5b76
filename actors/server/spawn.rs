//! How producers and the history actor are started, and how a producer is stopped.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{JournalStorage, Settings};
use rollcall_engine::Engine;
use rollcall_history::{History, HistorySettings};
use rollcall_identity::Name;
use rollcall_producers::{Close, ProducerActor};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

use super::Server;
use super::producer_set::{PreparedProducer, PreparedProducers};

impl Server {
    /// Publishes the status of producers. All of them are registered before the first starts,
    /// because event logs read the addresses of each other's servers.
    pub(super) fn register(&self, prepared: &PreparedProducers) {
        for (name, prepared) in prepared {
            prepared.bound.register(name);
        }
    }

    /// Starts producers.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub(super) async fn spawn_all(
        &mut self,
        prepared: PreparedProducers,
    ) -> Result<(), MailboxClosed> {
        for (name, prepared) in prepared {
            let mailbox = spawn(&self.engine, &name, &prepared, &self.clock).await?;
            self.running.insert(name, prepared.running(mailbox));
        }
        Ok(())
    }

    /// Stops a producer. It may take `limit` to submit what it has read.
    pub(super) async fn stop(&self, name: &str, mailbox: &Mailbox<ProducerActor>, limit: Duration) {
        // After the limit, or when the actor has ended, its events are counted as dropped.
        let _ = tokio::time::timeout(limit, mailbox.send(Close)).await;
        let _ = self.engine.supervisor.send(Stop(name.to_owned())).await;
    }
}

/// Starts the history actor, unless the journal is in memory.
///
/// # Errors
/// When the supervisor has ended.
pub(super) async fn spawn_history(
    engine: &Engine,
    settings: &Settings,
    clock: &Clock,
) -> Result<Option<Mailbox<History>>, MailboxClosed> {
    if settings.journal.storage == JournalStorage::Memory {
        return Ok(None);
    }
    let mailbox = Mailbox::<History>::new("history", clock.clone());
    let (folder, retention) = (settings.journal.folder.clone(), settings.journal.retention);
    let (rules, clock) = (Arc::clone(&engine.rules), clock.clone());
    let archive = HistorySettings { folder, rules, retention, clock };
    let factory = move || History::new(archive.clone());
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(Some(mailbox))
}

async fn spawn(
    engine: &Engine,
    name: &Name,
    prepared: &PreparedProducer,
    clock: &Clock,
) -> Result<Mailbox<ProducerActor>, MailboxClosed> {
    let mailbox = Mailbox::<ProducerActor>::new(name.as_str(), clock.clone());
    let (own, cache, journal_error) =
        (mailbox.clone(), engine.cache.clone(), engine.journal_error.clone());
    let producer = prepared.bound.producer();
    let factory = move || {
        let actor = ProducerActor::new(Arc::clone(&producer), own.clone(), cache.clone());
        actor.with_journal_status(journal_error.clone())
    };
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(mailbox)
}
