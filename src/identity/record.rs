//! An event that competed for an address and the decision about it, as `explain` lists it.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Cause, Kind, Name, Origin, Posture, Principal, Revision, Roles, Session, Timestamp, Verdict,
};

/// An event that competed for an address, and the decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionRecord {
    /// The journal position of the event.
    pub revision: Revision,
    /// The kind of event.
    pub kind: Kind,
    /// The user, under the canonical name of the domain.
    pub principal: Option<Principal>,
    /// The device.
    pub device: Option<Name>,
    /// The groups that the event listed; for the event that began a session, the session's groups.
    pub roles: Roles,
    /// The device's posture; likewise.
    pub posture: Option<Posture>,
    /// When it happened, by the source's clock.
    pub at: Timestamp,
    /// When Rollcall received it.
    pub seen: Timestamp,
    /// The source of the event.
    pub origin: Arc<Origin>,
    /// The decision.
    pub verdict: Verdict,
    /// How many identical events immediately preceded this one.
    pub repeated: u32,
}

impl DecisionRecord {
    /// The record of the event that gave `session` its current identity.
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

    /// Whether `next` repeats this event and was refused for the same reason.
    pub(crate) fn is_repeated_by(&self, next: &Self) -> bool {
        matches!(next.verdict, Verdict::Refused(_))
            && self.verdict == next.verdict
            && self.kind == next.kind
            && self.principal == next.principal
            && self.device == next.device
            && self.origin == next.origin
    }
}
