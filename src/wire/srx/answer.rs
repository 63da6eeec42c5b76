//! The answers to an SRX: reports, written straight into the bytes that go out.

use std::sync::Arc;

use rollcall_identity::{Address, Change, GroupSet, Name, Posture, Principal, Session, Timestamp};

use super::{Format, Miss, Speaker, json, xml};

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
    fn nobody<'a>(self) -> Report<'a> {
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

/// What was written, for the counters of the enforcement point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How many reports it holds.
    pub reports: usize,
    /// How many groups were left out because somebody has more than
    /// [`Dialect::roles`](super::Dialect::roles), or than the filter of groups lets out.
    pub roles_left_out: usize,
}

/// Appends the answer to a batch query to `out`: the reports in order, and the cookie with which
/// the next question goes on behind the last of them.
pub fn batch<'a>(
    speaker: Speaker<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: &str,
    out: &mut Vec<u8>,
) -> Answer {
    written(speaker, reports, Some(cookie), out)
}

/// Appends the answer to an IP query to `out`; what is said when nobody is there is
/// [`Dialect::miss`](super::Dialect::miss).
pub fn ip(
    speaker: Speaker<'_>,
    asked: Asked,
    found: Option<&Arc<Session>>,
    out: &mut Vec<u8>,
) -> Answer {
    let report = found.map(|session| Report::from(&**session));
    match (report, speaker.voice.dialect().miss) {
        (None, Miss::NullUser) => written(speaker, [asked.nobody()], None, out),
        (None, Miss::NotFound) => Answer { status: 404, ..written(speaker, None, None, out) },
        (report, _) => written(speaker, report, None, out),
    }
}

/// Appends the answer to a user query to `out`: every address where the user is, maybe none.
pub fn user<'a>(
    speaker: Speaker<'_>,
    sessions: impl IntoIterator<Item = &'a Session>,
    out: &mut Vec<u8>,
) -> Answer {
    written(speaker, sessions.into_iter().map(Report::from), None, out)
}

pub(super) fn written<'a>(
    speaker: Speaker<'_>,
    reports: impl IntoIterator<Item = Report<'a>>,
    cookie: Option<&str>,
    out: &mut Vec<u8>,
) -> Answer {
    let mut count = 0;
    let counted = reports.into_iter().inspect(|_| count += 1);
    let roles_left_out = match speaker.voice.dialect().format {
        Format::Json => json::write(speaker, counted, cookie, out),
        Format::Xml => xml::write(speaker, counted, cookie, out),
    };
    Answer { status: 200, reports: count, roles_left_out }
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

#[cfg(test)]
mod tests;
