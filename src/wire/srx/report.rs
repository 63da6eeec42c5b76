//! What an answer reports of a session, before it is encoded.

use rollcall_identity::{Address, Change, GroupSet, Name, Posture, Principal, Session, Timestamp};

/// What a report says about its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Is at the address.
    Login,
    /// Is no longer there.
    Logout,
}

/// One report: who came to or left an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// Where.
    pub address: Address,
    /// Who; `None` for a device alone, or for nobody: the SRX's null user.
    pub principal: Option<&'a Principal>,
    /// The device's host name.
    pub device: Option<&'a Name>,
    /// The user's groups as a source listed them. They go out first.
    pub roles: &'a [Name],
    /// The user's groups as directories know them.
    pub groups: Option<&'a GroupSet>,
    /// The device's groups as directories know them.
    pub device_groups: Option<&'a GroupSet>,
    /// The device's state.
    pub posture: Option<Posture>,
    /// When, by the source's clock.
    pub at: Timestamp,
    /// Coming or leaving.
    pub activity: Activity,
}

impl<'a> From<&'a Session> for Report<'a> {
    /// A login at the time of the latest proof that the user is there.
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
    /// A login of whoever is there after it; a logout of whoever was there when nobody is.
    fn from(change: &'a Change) -> Self {
        let at = change.cause.at;
        match (change.after.as_deref(), change.before.as_deref()) {
            (Some(after), _) => Self::from(after),
            (None, Some(before)) => Self { at, activity: Activity::Logout, ..Self::from(before) },
            (None, None) => {
                let nobody = Asked { address: change.address, now: at }.nobody();
                Self { activity: Activity::Logout, ..nobody }
            }
        }
    }
}

/// An address that was asked for, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Where.
    pub address: Address,
    /// The time of the answer.
    pub now: Timestamp,
}

impl Asked {
    pub(super) fn nobody<'a>(self) -> Report<'a> {
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

/// Whose groups they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    /// The user's: they are roles, and so is the state of the device where it is told as one.
    User(Option<Posture>),
    /// The device's.
    Device,
}

impl Whose {
    /// The role that says in what state the device is.
    pub(super) fn state(self) -> Option<Name> {
        let Self::User(Some(posture)) = self else { return None };
        Name::new(&format!("posture-{}", posture.as_str())).ok()
    }
}

/// A device's state as the SRX documents it.
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
