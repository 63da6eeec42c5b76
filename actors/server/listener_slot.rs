//! A listener that is optional in the settings: a reload opens, closes or replaces it.

use std::time::Duration;

use super::bind::BoundListener;
use rollcall_engine::Engine;
use rollcall_http::listener::{Close, Listener, Routes};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

/// The routes of a listener, and the listener if it is open.
pub(super) struct ListenerSlot {
    routes: Routes,
    open: Option<(BoundListener, Mailbox<Listener>)>,
}

impl ListenerSlot {
    /// A closed listener.
    pub(super) fn new(routes: Routes) -> Self {
        Self { routes, open: None }
    }

    /// The open listener.
    pub(super) fn listener(&self) -> Option<&BoundListener> {
        self.open.as_ref().map(|(listener, _)| listener)
    }

    /// Replaces the open listener by `listener`, unless both are the same. Returns whether a
    /// listener was opened or closed.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub(super) async fn reconcile(
        &mut self,
        listener: Option<BoundListener>,
        engine: &Engine,
        drain: Duration,
        clock: &Clock,
    ) -> Result<bool, MailboxClosed> {
        let same = match (self.listener(), &listener) {
            (Some(old), Some(new)) => old.is_same(new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.close(engine, drain).await;
        if let Some(listener) = listener {
            let mailbox = open(engine, &listener, &self.routes, drain, clock).await?;
            self.open = Some((listener, mailbox));
        }
        Ok(true)
    }

    /// Closes the listener. It may take `limit` to answer pending requests.
    pub(super) async fn close(&mut self, engine: &Engine, limit: Duration) {
        if let Some((listener, mailbox)) = self.open.take() {
            close(engine, listener.name, &mailbox, limit).await;
        }
    }
}

/// Closes a listener. It may take `limit` to answer pending requests.
pub(super) async fn close(
    engine: &Engine,
    name: &str,
    mailbox: &Mailbox<Listener>,
    limit: Duration,
) {
    let _ = tokio::time::timeout(limit, mailbox.send(Close)).await;
    let _ = engine.supervisor.send(Stop(name.to_owned())).await;
}

/// Opens a listener with `routes`.
///
/// # Errors
/// When the supervisor has ended.
pub(super) async fn open(
    engine: &Engine,
    listener: &BoundListener,
    routes: &Routes,
    drain: Duration,
    clock: &Clock,
) -> Result<Mailbox<Listener>, MailboxClosed> {
    let mailbox = Mailbox::<Listener>::new(listener.name, clock.clone());
    let (bound, spec) = listener.spec(routes, drain);
    let factory = move || Listener::new(bound.clone(), spec.clone());
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(mailbox)
}
