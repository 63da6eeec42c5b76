//! How producers and the teller of the past come into the house, and how a producer leaves it.

use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{JournalKind, Settings};
use rollcall_identity::Name;

use super::House;
use super::staff::{Recruit, Recruits};
use rollcall_engine::Engine;
use rollcall_history::{Archive, History};
use rollcall_producers::ptim::{Ptim, Pushes};
use rollcall_producers::{Close, Producer, Producing};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

impl House {
    /// Enters those who are to be hired where one asks how they are: all before the first begins,
    /// for event logs ask after one another.
    pub(super) fn introduce(&self, recruits: &Recruits) {
        for (name, recruit) in recruits {
            if let Some(directory) = recruit.directory() {
                self.directories.put(name.clone(), Arc::clone(directory));
            }
            if let Some(log) = recruit.event_log() {
                self.event_logs.put(log);
            }
        }
    }

    pub(super) async fn hire(&mut self, name: Name, recruit: Recruit) -> Result<(), MailboxClosed> {
        let desk = employ(&self.engine, name.as_str(), recruit.producer(), &self.clock).await?;
        self.staff.insert(name, recruit.at(desk));
        Ok(())
    }

    /// Lets a producer hand over what it has, within `limit`, and ends it.
    pub(super) async fn dismiss(&self, name: &str, desk: &Mailbox<Producing>, limit: Duration) {
        // One that is late or gone has nothing to hand over; what it held is counted as dropped.
        let _ = tokio::time::timeout(limit, desk.send(Close)).await;
        let _ = self.engine.supervisor.send(Stop(name.to_owned())).await;
    }
}

pub(super) async fn employ_ptim(
    engine: &Engine,
    settings: &Settings,
    pushes: &Pushes,
    clock: &Clock,
) -> Result<(Name, Mailbox<Producing>), MailboxClosed> {
    let name = settings.ptim.name.clone();
    let producer: Arc<dyn Producer> = Arc::new(Ptim::new(pushes.clone()));
    let desk = employ(engine, name.as_str(), producer, clock).await?;
    Ok((name, desk))
}

/// Hires who tells of the past, where the journal keeps any.
pub(super) async fn employ_history(
    engine: &Engine,
    settings: &Settings,
    clock: &Clock,
) -> Result<Option<Mailbox<History>>, MailboxClosed> {
    if settings.journal.kind == JournalKind::Memory {
        return Ok(None);
    }
    let desk = Mailbox::<History>::new("history", clock.clone());
    let (folder, retention) = (settings.journal.folder.clone(), settings.journal.retention);
    let (rules, clock) = (Arc::clone(&engine.rules), clock.clone());
    let archive = Archive { folder, rules, retention, clock };
    let hired = move || History::new(archive.clone());
    engine.supervisor.send(Spawn::new(desk.clone(), hired)).await?;
    Ok(Some(desk))
}

async fn employ(
    engine: &Engine,
    name: &str,
    producer: Arc<dyn Producer>,
    clock: &Clock,
) -> Result<Mailbox<Producing>, MailboxClosed> {
    let desk = Mailbox::<Producing>::new(name, clock.clone());
    let (own, cache, illness) = (desk.clone(), engine.cache.clone(), engine.illness.clone());
    let hired = move || {
        let producing = Producing::new(Arc::clone(&producer), own.clone(), cache.clone());
        producing.heeding(illness.clone())
    };
    engine.supervisor.send(Spawn::new(desk.clone(), hired)).await?;
    Ok(desk)
}
