//! A session: the user or device behind one address, since when, and when it expires.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Address, Cause, Membership, Name, Origin, Posture, Precision, Principal, Proof, Revision,
    Roles, Timestamp,
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
    /// The source's time of the latest event from a source that may begin sessions. Other sources
    /// can extend the session by at most [`Rules::max_lifetime`](crate::Rules::max_lifetime) after
    /// it.
    pub proved: Timestamp,
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
    /// The sources of details that differ from the source of the session; `None` if none differs.
    pub detail_sources: Option<Box<DetailSources>>,
}

/// The sources that asserted the details of a session. `None` is the source of the session itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DetailSources {
    /// The source of [`Session::roles`].
    pub roles: Option<Arc<Origin>>,
    /// The source of [`Session::device`].
    pub device: Option<Arc<Origin>>,
    /// The source of [`Session::posture`].
    pub posture: Option<Arc<Origin>>,
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

    /// The source that asserted the roles, if there are any.
    pub fn roles_source(&self) -> Option<&Arc<Origin>> {
        self.roles.as_ref().map(|_| self.source_of(|sources| &sources.roles))
    }

    /// The source that asserted the device, if there is one.
    pub fn device_source(&self) -> Option<&Arc<Origin>> {
        self.device.as_ref().map(|_| self.source_of(|sources| &sources.device))
    }

    /// The source that asserted the posture, if there is one.
    pub fn posture_source(&self) -> Option<&Arc<Origin>> {
        self.posture.map(|_| self.source_of(|sources| &sources.posture))
    }

    fn source_of(&self, detail: impl Fn(&DetailSources) -> &Option<Arc<Origin>>) -> &Arc<Origin> {
        let other = self.detail_sources.as_ref().and_then(|sources| detail(sources).as_ref());
        other.unwrap_or(&self.cause.origin)
    }

    /// Sets the sources of the roles, the device and the posture.
    pub(crate) fn set_detail_sources(
        &mut self,
        [roles, device, posture]: [Option<Arc<Origin>>; 3],
    ) {
        let other = |source: Option<Arc<Origin>>, is_known: bool| {
            source.filter(|source| is_known && *source != self.cause.origin)
        };
        let sources = DetailSources {
            roles: other(roles, self.roles.is_some()),
            device: other(device, self.device.is_some()),
            posture: other(posture, self.posture.is_some()),
        };
        self.detail_sources =
            Some(sources).filter(|sources| *sources != DetailSources::default()).map(Box::new);
    }

    /// Whether the device is known and is `device`. Host names compare case-insensitively (RFC
    /// 4343).
    pub fn has_device(&self, device: &Name) -> bool {
        self.device.as_ref().is_some_and(|d| d.as_str().eq_ignore_ascii_case(device.as_str()))
    }
}
