//! What an event claims once aliases and machine accounts are read, and whether its source may.

use std::borrow::Cow;
use std::time::Duration;

use crate::{
    Cause, DecisionRecord, Event, Kind, Membership, Name, Principal, Producer, Refusal, Revision,
    Rule, Rules, Session, Timestamp, Verdict,
};

/// An event, read under the rules in force.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// The event as it came.
    pub(super) event: &'a Event,
    /// What is claimed: a machine account's logon claims a device.
    pub(super) kind: Kind,
    /// The person claimed, under the domain's canonical name; never a machine account.
    pub(super) principal: Option<Cow<'a, Principal>>,
    /// The device claimed.
    pub(super) device: Option<Cow<'a, Name>>,
    /// Who is named, person or machine, under the domain's canonical name.
    subject: Option<Cow<'a, Principal>>,
}

impl<'a> Claim<'a> {
    /// Reads `event`. Nothing is judged yet.
    pub(super) fn read(event: &'a Event, rules: &Rules) -> Self {
        let subject = event.principal.as_ref().map(|principal| canonical(principal, rules));
        let mut device = event.device.as_ref().map(Cow::Borrowed);
        let mut kind = event.kind;
        let mut principal = subject.clone();
        // A group managed service account is called like a computer; the directory tells them apart.
        let is_service = event.membership.user.is_some() || kind == Kind::Membership;
        if let Some(machine) = subject.as_ref().filter(|p| p.is_machine() && !is_service) {
            device = device.or_else(|| host_of(machine).map(Cow::Owned));
            principal = None;
            kind = if kind.begins() { Kind::DeviceSeen } else { kind };
        }
        if kind == Kind::DeviceSeen {
            principal = None;
        }
        Self { event, kind, principal, device, subject }
    }

    /// Who is named, person or machine.
    pub(super) fn subject(&self) -> Option<&Principal> {
        self.subject.as_deref()
    }

    /// What directories say of the person and the device that are claimed, and of nobody else.
    pub(super) fn membership(&self) -> Membership {
        let Membership { user, device } = &self.event.membership;
        Membership {
            user: user.clone().filter(|_| self.principal.is_some()),
            device: device.clone().filter(|_| self.device.is_some()),
        }
    }

    /// The earliest moment it can have happened. A source whose clock runs ahead cannot have seen
    /// what had not happened when its word was received; read so, it cannot hold an address against
    /// the events that follow.
    pub(super) fn moment(&self) -> Timestamp {
        self.event.at.min(self.event.seen)
    }

    /// The latest moment it can have happened.
    pub(super) fn latest(&self) -> Timestamp {
        self.event.at.latest(self.event.precision).min(self.event.seen)
    }

    /// Whether it surely happened before `decided`.
    pub(super) fn is_before(&self, decided: Timestamp) -> bool {
        self.latest() < decided
    }

    /// When a session that this event proves ends unless something proves more.
    pub(super) fn expires(&self, rules: &Rules) -> Timestamp {
        self.moment() + rules.logoff_time_of(self.event.origin.kind)
    }

    /// The event as the cause of a change by `rule`.
    pub(super) fn cause(&self, rule: Rule) -> Cause {
        let Event { kind, at, seen, ref origin, .. } = *self.event;
        Cause { kind, at, seen, origin: origin.clone(), rule }
    }

    /// The event as a record with what was decided about it.
    pub(super) fn record(&self, revision: Revision, verdict: Verdict) -> DecisionRecord {
        let Event { kind, at, seen, ref origin, .. } = *self.event;
        DecisionRecord {
            revision,
            kind,
            principal: self.subject().cloned(),
            device: self.device.as_deref().cloned(),
            roles: self.event.roles.clone(),
            posture: self.event.posture,
            at,
            seen,
            origin: origin.clone(),
            verdict,
            repeated: 0,
        }
    }

    /// Whether it speaks of a tunnel and names nobody: then it means whoever has its address.
    pub(super) fn applies_to_current_user(&self) -> bool {
        matches!(self.kind, Kind::VpnDown | Kind::Rekey) && self.subject.is_none()
    }

    /// Whether the event may take part in deciding at all, given whose session is `there`.
    ///
    /// An end is heard of ignored users and networks too, and however old it is: a session may have
    /// begun before the rule was written, and a firewall that keeps serving the rights of somebody
    /// who left is worse than any end. One that is older than the last proof of the user is refused
    /// when it is decided, so nothing is lost by hearing it.
    pub(super) fn admitted(&self, rules: &Rules, current: Option<&Session>) -> Result<(), Refusal> {
        self.event.address.usable().map_err(|_| Refusal::AddressUnusable)?;
        if rules.own_addresses.contains(&self.event.address) {
            return Err(Refusal::AddressUnusable);
        }
        if self.kind == Kind::Expiry {
            let is_own = self.event.origin.kind == Producer::Cache;
            return if is_own { Ok(()) } else { Err(Refusal::KindNotGranted) };
        }
        // A directory has seen nobody anywhere: it alters and ends what others began.
        let directory = self.event.origin.kind == Producer::ActiveDirectory;
        match self.kind {
            Kind::Membership if directory => return Ok(()),
            Kind::Logout if directory => return Ok(()),
            _ if directory || self.kind == Kind::Membership => {
                return Err(Refusal::KindNotGranted);
            }
            _ => {}
        }
        let max_age = self.granted(rules, current)?;
        if !self.kind.ends() {
            self.not_ignored(rules)?;
        }
        let has_subject = self.principal.is_some() || self.device.is_some();
        if !has_subject && !self.applies_to_current_user() {
            return Err(Refusal::Nobody);
        }
        let Event { at, seen, .. } = *self.event;
        match () {
            () if seen.since(at) > max_age && !self.kind.ends() => Err(Refusal::TooOld),
            () if at.since(seen) > rules.max_skew => Err(Refusal::FromFuture),
            () => Ok(()),
        }
    }

    /// Whether the source has the authority; then, how old its events may be.
    fn granted(&self, rules: &Rules, current: Option<&Session>) -> Result<Duration, Refusal> {
        let origin = &*self.event.origin;
        let authority =
            rules.authority(&origin.producer, &origin.client).ok_or(Refusal::SourceUnknown)?;
        if !authority.kinds.contains(&self.event.kind) {
            return Err(Refusal::KindNotGranted);
        }
        let ip = self.event.address.ip();
        if !authority.networks.is_empty() && !authority.networks.iter().any(|n| n.contains(&ip)) {
            return Err(Refusal::NetworkNotGranted);
        }
        // Who names nobody speaks of whoever is there: without this, a source bound to one domain
        // could end every other domain's sessions by leaving the name out.
        let subject = self.subject().or(current.and_then(|session| session.principal.as_ref()));
        let granted = subject.is_none_or(|principal| match &principal.domain {
            Some(domain) => authority.domains.contains(domain),
            None => false,
        });
        if !authority.domains.is_empty() && !granted {
            return Err(Refusal::DomainNotGranted);
        }
        Ok(authority.max_age.unwrap_or(rules.max_age))
    }

    fn not_ignored(&self, rules: &Rules) -> Result<(), Refusal> {
        let ignore = &rules.ignore;
        let ip = self.event.address.ip();
        if ignore.networks.iter().any(|network| network.contains(&ip)) {
            return Err(Refusal::NetworkIgnored);
        }
        let Some(principal) = self.subject() else { return Ok(()) };
        if let Some(domain) = &principal.domain
            && ignore.domains.iter().any(|glob| glob.matches(domain.as_str()))
        {
            return Err(Refusal::DomainIgnored);
        }
        if ignore.users.match_principal(principal) {
            return Err(Refusal::UserIgnored);
        }
        Ok(())
    }
}

/// The principal under the canonical name of its domain.
fn canonical<'a>(principal: &'a Principal, rules: &Rules) -> Cow<'a, Principal> {
    let alias = principal.domain.as_ref().and_then(|domain| rules.domain_aliases.get(domain));
    match alias {
        Some(domain) => Cow::Owned(Principal { domain: Some(domain.clone()), ..principal.clone() }),
        None => Cow::Borrowed(principal),
    }
}

/// The host name of a machine account: `pc1$` is `pc1`; `$` alone is nobody's.
fn host_of(machine: &Principal) -> Option<Name> {
    Name::new(machine.user.as_str().trim_end_matches('$')).ok()
}
