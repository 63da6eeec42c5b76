//! What became true: the only thing that consumers ever see.

use std::sync::Arc;

use serde::Serialize;

use crate::{Address, Cause, Revision, Session};

/// What kind of change it is for those who consume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A user, or a device alone, is at an address that had nobody, or somebody else.
    Began,
    /// The same user with another device, posture or set of roles.
    Altered,
    /// Only the time of expiry moved. Firewalls need not be told.
    Extended,
    /// Nobody is there any more.
    Ended,
}

/// One change of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The position in the journal of the event that made it.
    pub revision: Revision,
    /// Where.
    pub address: Address,
    /// What it amounts to.
    pub effect: Effect,
    /// What was true before; `None` when nobody was there.
    pub before: Option<Arc<Session>>,
    /// What is true now; `None` when nobody is there.
    pub after: Option<Arc<Session>>,
    /// Why.
    pub cause: Cause,
}

impl Change {
    /// The session that this change is about: the one that is, or else the one that was.
    pub fn session(&self) -> Option<&Arc<Session>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}
