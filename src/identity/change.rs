//! A change of the table: the only thing that consumers see.

use std::sync::Arc;

use serde::Serialize;

use crate::{Address, Cause, Revision, Session};

/// The kind of change, for consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A session began: the address had no user, or another user or device.
    Began,
    /// The same user has another device, posture, domain or set of roles.
    Altered,
    /// Only the expiry time moved. Firewalls are not notified.
    Extended,
    /// The session ended and no session followed.
    Ended,
}

/// One change of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The journal position of the event that caused it.
    pub revision: Revision,
    /// The address that changed.
    pub address: Address,
    /// The kind of change.
    pub effect: Effect,
    /// The session before the change; `None` if there was none.
    pub before: Option<Arc<Session>>,
    /// The session after the change; `None` if there is none.
    pub after: Option<Arc<Session>>,
    /// The event and rule that caused it.
    pub cause: Cause,
}

impl Change {
    /// The session that this change is about: the one after the change, or else the one before it.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}
