//! A listener that the settings may switch off, and that a reload opens, closes and replaces.

use std::time::Duration;

use super::doors::Door;
use rollcall_engine::Engine;
use rollcall_http::listener::{Close, Listener, Routes};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

/// What it answers, and the door that is open.
pub(super) struct Portal {
    routes: Routes,
    open: Option<(Door, Mailbox<Listener>)>,
}

impl Portal {
    /// It is closed.
    pub(super) fn new(routes: Routes) -> Self {
        Self { routes, open: None }
    }

    /// The door that is open.
    pub(super) fn door(&self) -> Option<&Door> {
        self.open.as_ref().map(|(door, _)| door)
    }

    /// Opens this door instead of the one that is open, unless they are alike. Returns whether
    /// anything was done.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub(super) async fn settle(
        &mut self,
        door: Option<Door>,
        engine: &Engine,
        drain: Duration,
        clock: &Clock,
    ) -> Result<bool, MailboxClosed> {
        let same = match (self.door(), &door) {
            (Some(old), Some(new)) => old.is_like(new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.close(engine, drain).await;
        if let Some(door) = door {
            let desk = open(engine, &door, &self.routes, drain, clock).await?;
            self.open = Some((door, desk));
        }
        Ok(true)
    }

    /// Lets the listener answer those who have asked, within `limit`, and ends it.
    pub(super) async fn close(&mut self, engine: &Engine, limit: Duration) {
        if let Some((door, desk)) = self.open.take() {
            close(engine, door.name, &desk, limit).await;
        }
    }
}

/// Lets a listener answer those who have asked, within `limit`, and ends it.
pub(super) async fn close(engine: &Engine, name: &str, desk: &Mailbox<Listener>, limit: Duration) {
    let _ = tokio::time::timeout(limit, desk.send(Close)).await;
    let _ = engine.supervisor.send(Stop(name.to_owned())).await;
}

/// Opens a door: a listener that answers by `routes`.
///
/// # Errors
/// When the supervisor is gone.
pub(super) async fn open(
    engine: &Engine,
    door: &Door,
    routes: &Routes,
    drain: Duration,
    clock: &Clock,
) -> Result<Mailbox<Listener>, MailboxClosed> {
    let desk = Mailbox::<Listener>::new(door.name, clock.clone());
    let (bound, plan) = door.plan(routes, drain);
    let hired = move || Listener::new(bound.clone(), plan.clone());
    engine.supervisor.send(Spawn::new(desk.clone(), hired)).await?;
    Ok(desk)
}
