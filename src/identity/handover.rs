//! What the table and the log of changes hand to each other when one of them is lost: who is
//! there, who left, and how far back that is complete.

use std::sync::Arc;

use crate::{Cause, Revision, Session, Timestamp};

/// All that one of them knows and the other needs to go on in the same epoch.
#[derive(Debug, Clone, Default)]
pub struct Handover {
    /// The position up to which everything is in it.
    pub newest: Revision,
    /// The position of the newest end that is no longer remembered: consumers that have not come
    /// so far cannot go on.
    pub forgotten: Revision,
    /// Every session that is held, those past their logoff time included: their end is still to be
    /// proposed and told.
    pub standing: Vec<Standing>,
    /// The last end of every other address, ascending by position.
    pub ends: Vec<Ended>,
}

/// A session that is held.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The session.
    pub session: Arc<Session>,
    /// A consumer that knows this position knows the session.
    pub told: Revision,
    /// Another session of the address that a consumer of one domain alone may still hold.
    pub was: Option<Arc<Session>>,
}

/// A session that is no more.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The session as it stood.
    pub session: Arc<Session>,
    /// Logins older than this are late.
    pub at: Timestamp,
    /// The position of the event that ended it.
    pub revision: Revision,
    /// That event.
    pub cause: Cause,
}
