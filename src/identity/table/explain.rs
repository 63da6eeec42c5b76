//! Explains why an address has its user, or has none, in sentences for an administrator.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::{
    Address, Cause, DecisionRecord, Name, Origin, Posture, Principal, Roles, Session, Timestamp,
    Verdict,
};

/// Why an address has its user, or has none.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The address.
    pub address: Address,
    /// The session at the requested time.
    pub session: Option<Arc<Session>>,
    /// The last session that ended, as long as it is remembered.
    pub previous: Option<Arc<Session>>,
    /// Until when the address is treated as shared and gets no session.
    pub shared: Option<Timestamp>,
    /// The latest competing and refused events, newest first.
    pub competed: Vec<DecisionRecord>,
}

/// A user or device with its details.
struct Subject<'a> {
    principal: Option<&'a Principal>,
    device: Option<&'a Name>,
    roles: &'a Roles,
    posture: Option<Posture>,
}

/// The maximum number of groups in a sentence: a user may be in hundreds.
const NAMED: usize = 8;

impl<'a> From<&'a Session> for Subject<'a> {
    fn from(session: &'a Session) -> Self {
        let Session { principal, device, roles, posture, .. } = session;
        let (principal, device) = (principal.as_ref(), device.as_ref());
        Self { principal, device, roles, posture: *posture }
    }
}

impl<'a> From<&'a DecisionRecord> for Subject<'a> {
    fn from(record: &'a DecisionRecord) -> Self {
        let DecisionRecord { principal, device, roles, posture, .. } = record;
        let (principal, device) = (principal.as_ref(), device.as_ref());
        Self { principal, device, roles, posture: *posture }
    }
}

impl fmt::Display for Subject<'_> {
    /// `alice@corp on pc1 (healthy) in staff, sales`, as far as known; without a user, the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.principal, self.device) {
            (Some(principal), Some(device)) => write!(f, "{principal} on {device}"),
            (Some(principal), None) => write!(f, "{principal}"),
            (None, Some(device)) => write!(f, "device {device}"),
            (None, None) => f.write_str("an unknown user"),
        }?;
        if let Some(posture) = self.posture {
            write!(f, " ({})", posture.as_str())?;
        }
        let roles = self.roles.as_deref().unwrap_or_default();
        for (index, role) in roles.iter().take(NAMED).enumerate() {
            write!(f, "{} {role}", if index == 0 { " in" } else { "," })?;
        }
        match roles.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more groups"),
        }
    }
}

impl fmt::Display for Origin {
    /// `syslog/branch-fw (junos-vpn)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.producer, self.client, self.form)
    }
}

impl fmt::Display for Cause {
    /// `vpn_up from syslog/branch-fw (junos-vpn) at 2026-11-21T19:50:32.353Z; rule first_user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, at, origin, rule, .. } = self;
        write!(f, "{} from {origin} at {at}; rule {}", kind.as_str(), rule.as_str())
    }
}

impl fmt::Display for DecisionRecord {
    /// `login of bob@corp from syslog/branch-fw (junos-vpn) at ... refused: too_old, the event is
    /// older than the configured limit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, subject) = (self.kind.as_str(), Subject::from(self));
        write!(f, "{kind} of {subject} from {} at {} ", self.origin, self.at)?;
        match self.verdict {
            Verdict::Applied(rule) => write!(f, "applied: {}", rule.as_str())?,
            Verdict::Deduplicated => f.write_str("known already")?,
            Verdict::Refused(refusal) => write!(f, "refused: {}, {refusal}", refusal.as_str())?,
        }
        match self.repeated {
            0 => Ok(()),
            1 => f.write_str(" (repeated once before)"),
            times => write!(f, " (and {times} times before)"),
        }
    }
}

/// `; posture from syslog/nac (clearpass)` for each detail that another source asserted.
fn write_detail_sources(f: &mut fmt::Formatter<'_>, session: &Session) -> fmt::Result {
    let Some(sources) = &session.detail_sources else { return Ok(()) };
    let named =
        [("roles", &sources.roles), ("device", &sources.device), ("posture", &sources.posture)];
    for (detail, source) in named {
        if let Some(source) = source {
            write!(f, "; {detail} from {source}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Explanation {
    /// One sentence about the session or its absence, then one line per competing event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.session, &self.previous) {
            (Some(session), _) => {
                let Session { address, since, expires, cause, .. } = &**session;
                write!(f, "{}", Subject::from(&**session))?;
                write!(f, " has {address} since {since}, until {expires} unless confirmed again")?;
                write!(f, ", because {cause}")?;
                write_detail_sources(f, session)?;
            }
            (None, Some(previous)) => {
                let Session { since, confirmed, .. } = &**previous;
                let last = Subject::from(&**previous);
                write!(f, "no session at {}; the last was {last}", self.address)?;
                write!(f, ", from {since}, last seen {confirmed}")?;
            }
            (None, None) => write!(f, "no session at {}", self.address)?,
        }
        if let Some(until) = self.shared {
            f.write_str("; too many users logged in within a minute, so it is treated as shared ")?;
            write!(f, "until {until}, longer if logins continue")?;
        }
        for record in &self.competed {
            write!(f, "\n{record}")?;
        }
        Ok(())
    }
}
