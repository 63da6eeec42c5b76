//! The reports in a response, before they are encoded.

use rollcall_identity::{Address, Change, GroupSet, Name, Posture, Principal, Session, Timestamp};

/// Whether a report is a login or a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// The user is at the address.
    Login,
    /// The user left the address.
    Logout,
}

/// One report: a user came to or left an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// The address.
    pub address: Address,
    /// The user; `None` for a device alone or for no session: the null user of the SRX.
    pub principal: Option<&'a Principal>,
    /// The host name of the device.
    pub device: Option<&'a Name>,
    /// The user's groups as listed by the source. They are written first.
    pub roles: &'a [Name],
    /// The user's groups in the directories.
    pub groups: Option<&'a GroupSet>,
    /// The device's groups in the directories.
    pub device_groups: Option<&'a GroupSet>,
    /// The state of the device.
    pub posture: Option<Posture>,
    /// The time, by the clock of the source.
    pub at: Timestamp,
    /// Login or logout.
    pub activity: Activity,
}

impl<'a> From<&'a Session> for Report<'a> {
    /// A login at the time of the latest proof of presence.
    fn from(session: &'a Session) -> Self {
        Self {
            address: session.address,
            principal: session.principal.as_ref(),
            device: session.device.as_ref(),
            roles: session.roles.as_deref().unwrap_or_default(),
            groups: session.membership.user.as_ref(),
            device_groups: session.membership.device.as_ref(),
            posture: session.posture,
            at: session.confirmed,
            activity: Activity::Login,
        }
    }
}

impl<'a> From<&'a Change> for Report<'a> {
    /// A login of the session after the change, or a logout of the session before it.
    fn from(change: &'a Change) -> Self {
        let at = change.cause.at;
        match (change.after.as_deref(), change.before.as_deref()) {
            (Some(after), _) => Self::from(after),
            (None, Some(before)) => Self { at, activity: Activity::Logout, ..Self::from(before) },
            (None, None) => {
                let null_user = AddressQuery { address: change.address, now: at }.null_user();
                Self { activity: Activity::Logout, ..null_user }
            }
        }
    }
}

/// A queried address and the time of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressQuery {
    /// The address.
    pub address: Address,
    /// The time of the response.
    pub now: Timestamp,
}

impl AddressQuery {
    pub(super) fn null_user<'a>(self) -> Report<'a> {
        Report {
            address: self.address,
            principal: None,
            device: None,
            roles: &[],
            groups: None,
            device_groups: None,
            posture: None,
            at: self.now,
            activity: Activity::Login,
        }
    }
}

/// The owner of a list of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GroupOwner {
    /// The user: the groups are written as roles, with the device state if it is written as a role.
    User(Option<Posture>),
    /// The device.
    Device,
}

impl GroupOwner {
    /// The role for the device state.
    pub(super) fn state(self) -> Option<Name> {
        let Self::User(Some(posture)) = self else { return None };
        Name::new(&format!("posture-{}", posture.as_str())).ok()
    }
}

/// The name of a device state in the SRX documentation.
pub(super) const fn posture(posture: Posture) -> &'static str {
    match posture {
        Posture::Healthy => "Healthy",
        Posture::Checkup => "Checkup",
        Posture::Transition => "Transition",
        Posture::Quarantine => "Quarantine",
        Posture::Infected => "Infected",
        Posture::Unknown => "Unknown",
    }
}
