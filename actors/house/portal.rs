//! A listener that the settings may switch off, and that a reload opens, closes and replaces.

use std::time::Duration;

use super::doors::Door;
use crate::clock::Clock;
use crate::heart::Heart;
use crate::listener::{Close, Listener, Routes};
use crate::mailbox::{Gone, Mailbox};
use crate::supervisor::{Dismiss, Hire};

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
        heart: &Heart,
        drain: Duration,
        clock: &Clock,
    ) -> Result<bool, Gone> {
        let same = match (self.door(), &door) {
            (Some(old), Some(new)) => old.is_like(new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.close(heart, drain).await;
        if let Some(door) = door {
            let desk = open(heart, &door, &self.routes, drain, clock).await?;
            self.open = Some((door, desk));
        }
        Ok(true)
    }

    /// Lets the listener answer those who have asked, within `limit`, and ends it.
    pub(super) async fn close(&mut self, heart: &Heart, limit: Duration) {
        if let Some((door, desk)) = self.open.take() {
            close(heart, door.name, &desk, limit).await;
        }
    }
}

/// Lets a listener answer those who have asked, within `limit`, and ends it.
pub(super) async fn close(heart: &Heart, name: &str, desk: &Mailbox<Listener>, limit: Duration) {
    let _ = tokio::time::timeout(limit, desk.send(Close)).await;
    let _ = heart.supervisor.send(Dismiss(name.to_owned())).await;
}

/// Opens a door: a listener that answers by `routes`.
///
/// # Errors
/// When the supervisor is gone.
pub(super) async fn open(
    heart: &Heart,
    door: &Door,
    routes: &Routes,
    drain: Duration,
    clock: &Clock,
) -> Result<Mailbox<Listener>, Gone> {
    let desk = Mailbox::<Listener>::new(door.name, clock.clone());
    let (bound, plan) = door.plan(routes, drain);
    let hired = move || Listener::new(bound.clone(), plan.clone());
    heart.supervisor.send(Hire::new(desk.clone(), hired)).await?;
    Ok(desk)
}
