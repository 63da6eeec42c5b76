//! How producers and the teller of the past come into the server, and how a producer leaves it.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{JournalStorage, Settings};
use rollcall_identity::Name;

use super::Server;
use super::producer_set::{PreparedProducer, PreparedProducers};
use rollcall_engine::Engine;
use rollcall_history::{History, HistorySettings};
use rollcall_producers::ptim::{Ptim, Pushes};
use rollcall_producers::{Close, Producer, Producing};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

impl Server {
    /// Enters those who are to be factory where one asks how they are: all before the first begins,
    /// for event logs ask after one another.
    pub(super) fn register(&self, prepared: &PreparedProducers) {
        for (name, prepared) in prepared {
            if let Some(directory) = prepared.directory() {
                self.directories.put(name.clone(), Arc::clone(directory));
            }
            if let Some(log) = prepared.event_log() {
                self.event_logs.put(log);
            }
        }
    }

    pub(super) async fn spawn(
        &mut self,
        name: Name,
        prepared: PreparedProducer,
    ) -> Result<(), MailboxClosed> {
        let mailbox =
            spawn_producer(&self.engine, name.as_str(), prepared.producer(), &self.clock).await?;
        self.running.insert(name, prepared.at(mailbox));
        Ok(())
    }

    /// Lets a producer hand over what it has, within `limit`, and ends it.
    pub(super) async fn stop(&self, name: &str, mailbox: &Mailbox<Producing>, limit: Duration) {
        // One that is late or gone has nothing to hand over; what it held is counted as dropped.
        let _ = tokio::time::timeout(limit, mailbox.send(Close)).await;
        let _ = self.engine.supervisor.send(Stop(name.to_owned())).await;
    }
}

pub(super) async fn spawn_ptim(
    engine: &Engine,
    settings: &Settings,
    pushes: &Pushes,
    clock: &Clock,
) -> Result<(Name, Mailbox<Producing>), MailboxClosed> {
    let name = settings.ptim.name.clone();
    let producer: Arc<dyn Producer> = Arc::new(Ptim::new(pushes.clone()));
    let mailbox = spawn_producer(engine, name.as_str(), producer, clock).await?;
    Ok((name, mailbox))
}

/// Hires who tells of the past, where the journal keeps any.
pub(super) async fn spawn_history(
    engine: &Engine,
    settings: &Settings,
    clock: &Clock,
) -> Result<Option<Mailbox<History>>, MailboxClosed> {
    if settings.journal.kind == JournalStorage::Memory {
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

async fn spawn_producer(
    engine: &Engine,
    name: &str,
    producer: Arc<dyn Producer>,
    clock: &Clock,
) -> Result<Mailbox<Producing>, MailboxClosed> {
    let mailbox = Mailbox::<Producing>::new(name, clock.clone());
    let (own, cache, illness) = (mailbox.clone(), engine.cache.clone(), engine.illness.clone());
    let factory = move || {
        let producing = Producing::new(Arc::clone(&producer), own.clone(), cache.clone());
        producing.heeding(illness.clone())
    };
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(mailbox)
}
