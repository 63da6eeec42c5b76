//! An event that competed for an address and the decision about it, as `explain` lists it.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Cause, Kind, Name, Origin, Posture, Principal, Revision, Roles, Session, Timestamp, Verdict,
};

/// An event that competed for an address, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionRecord {
    /// Its position in the journal.
    pub revision: Revision,
    /// What happened.
    pub kind: Kind,
    /// Who, under the domain's canonical name.
    pub principal: Option<Principal>,
    /// The device.
    pub device: Option<Name>,
    /// The groups that the event listed or, of one that began a session, that the session has.
    pub roles: Roles,
    /// The device's state, likewise.
    pub posture: Option<Posture>,
    /// When, by the source's clock.
    pub at: Timestamp,
    /// When Rollcall received it.
    pub seen: Timestamp,
    /// Who said so.
    pub origin: Arc<Origin>,
    /// What was decided.
    pub verdict: Verdict,
    /// How many more of the same came before this one, without anything between them.
    pub repeated: u32,
}

impl DecisionRecord {
    /// The record of the event that made `session` what it is.
    pub(crate) fn of_session(session: &Session) -> Self {
        let Cause { kind, at, seen, ref origin, rule } = session.cause;
        Self {
            revision: session.revision,
            kind,
            principal: session.principal.clone(),
            device: session.device.clone(),
            roles: session.roles.clone(),
            posture: session.posture,
            at,
            seen,
            origin: origin.clone(),
            verdict: Verdict::Applied(rule),
            repeated: 0,
        }
    }

    /// Whether `next` says the same again and was refused again for the same reason.
    pub(crate) fn is_repeated_by(&self, next: &Self) -> bool {
        matches!(next.verdict, Verdict::Refused(_))
            && self.verdict == next.verdict
            && self.kind == next.kind
            && self.principal == next.principal
            && self.device == next.device
            && self.origin == next.origin
    }
}
