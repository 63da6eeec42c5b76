//! Who is behind one address now, since when, and until when unless something proves more.

use serde::Serialize;

use crate::{Address, Cause, Name, Posture, Precision, Principal, Revision, Roles, Timestamp};

/// One address's user, device or both. A value: every change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Where.
    pub address: Address,
    /// The user; `None` for an address of which only the device is known.
    pub principal: Option<Principal>,
    /// The device's host name.
    pub device: Option<Name>,
    /// The user's groups; empty when no source ever listed any.
    pub roles: Roles,
    /// The device's state.
    pub posture: Option<Posture>,
    /// When the user came, by the source's clock.
    pub since: Timestamp,
    /// The source's time of the latest event that proved the user present.
    pub confirmed: Timestamp,
    /// How fine [`Session::confirmed`] is.
    pub precision: Precision,
    /// When the logoff time ends it, on Rollcall's clock.
    pub expires: Timestamp,
    /// The position in the journal of the event that began it or last changed who it is.
    pub revision: Revision,
    /// Why it is so.
    pub cause: Cause,
}
