//! Who is behind one address now, since when, and until when unless something proves more.

use serde::Serialize;

use crate::{
    Address, Cause, Membership, Name, Posture, Precision, Principal, Proof, Revision, Roles,
    Timestamp,
};

/// One address's user, device or both. A value: every change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Where.
    pub address: Address,
    /// The user; `None` for an address of which only the device is known.
    pub principal: Option<Principal>,
    /// The device's host name.
    pub device: Option<Name>,
    /// The groups that a source listed with the user; empty when none ever did.
    pub roles: Roles,
    /// The groups that directories put the user and the device in.
    pub membership: Membership,
    /// The device's state.
    pub posture: Option<Posture>,
    /// When the user came, by the source's clock.
    pub since: Timestamp,
    /// The source's time of the latest event that proved the user present.
    pub confirmed: Timestamp,
    /// The strongest proof of the user since they came.
    pub proof: Proof,
    /// How fine the coarsest of the clocks was that wrote [`Session::since`] and
    /// [`Session::confirmed`].
    pub precision: Precision,
    /// When the logoff time ends it, on Rollcall's clock.
    pub expires: Timestamp,
    /// The position in the journal of the event that began it or last changed who it is.
    pub revision: Revision,
    /// Why this user or device is taken to be there: the event that began it. Later proof and
    /// details leave it as it is.
    pub cause: Cause,
}

impl Session {
    /// Whether the session still stands at `now`. One that its logoff time has passed is never
    /// shown as present, even before its expiry is folded.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// The domain of its user, when there is a user and the domain is known.
    pub fn domain(&self) -> Option<&Name> {
        self.principal.as_ref().and_then(|principal| principal.domain.as_ref())
    }

    /// Whether its device is known and is `device`. Host names compare without case (RFC 4343).
    pub fn has_device(&self, device: &Name) -> bool {
        self.device.as_ref().is_some_and(|d| d.as_str().eq_ignore_ascii_case(device.as_str()))
    }
}
