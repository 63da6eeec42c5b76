//! A session: the user or device behind one address, since when, and when it expires.

use serde::Serialize;

use crate::{
    Address, Cause, Membership, Name, Posture, Precision, Principal, Proof, Revision, Roles,
    Timestamp,
};

/// The user, the device, or both, of one address. Immutable: every change makes a new value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The address.
    pub address: Address,
    /// The user; `None` if only the device is known.
    pub principal: Option<Principal>,
    /// The device's host name.
    pub device: Option<Name>,
    /// The groups that a source listed with the user; `None` if no source listed any.
    pub roles: Roles,
    /// The groups of the user and the device according to directories.
    pub membership: Membership,
    /// The device's posture.
    pub posture: Option<Posture>,
    /// When the user logged in, by the source's clock.
    pub since: Timestamp,
    /// The source's time of the latest event that confirmed the user.
    pub confirmed: Timestamp,
    /// The strongest proof of the user since the login.
    pub proof: Proof,
    /// The coarsest precision of the clocks that wrote [`Session::since`] and
    /// [`Session::confirmed`].
    pub precision: Precision,
    /// When the session expires, on Rollcall's clock.
    pub expires: Timestamp,
    /// The journal position of the event that began the session or last changed its identity.
    pub revision: Revision,
    /// The event that began the session. Later confirmations and details do not change it.
    pub cause: Cause,
}

impl Session {
    /// Whether the session is active at `now`. An expired session is never shown, even before its
    /// expiry event is applied.
    pub fn is_active_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// The domain of the user, if there is a user and the domain is known.
    pub fn domain(&self) -> Option<&Name> {
        self.principal.as_ref().and_then(|principal| principal.domain.as_ref())
    }

    /// Whether the device is known and is `device`. Host names compare case-insensitively (RFC
    /// 4343).
    pub fn has_device(&self, device: &Name) -> bool {
        self.device.as_ref().is_some_and(|d| d.as_str().eq_ignore_ascii_case(device.as_str()))
    }
}
