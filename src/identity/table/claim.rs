//! What an event asserts after aliases and machine accounts are resolved, and whether its source
//! has the authority.

use std::borrow::Cow;
use std::time::Duration;

use crate::{
    Cause, DecisionRecord, Event, Kind, Membership, Name, Principal, Producer, Refusal, Revision,
    Rule, Rules, Session, Timestamp, Verdict,
};

/// An event, interpreted by the current rules.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// The original event.
    pub(super) event: &'a Event,
    /// The kind after interpretation: a machine account's logon is a sighting of the device.
    pub(super) kind: Kind,
    /// The user, under the canonical name of the domain; never a machine account.
    pub(super) principal: Option<Cow<'a, Principal>>,
    /// The device.
    pub(super) device: Option<Cow<'a, Name>>,
    /// The named account, user or machine, under the canonical name of the domain.
    subject: Option<Cow<'a, Principal>>,
}

impl<'a> Claim<'a> {
    /// Interprets `event` without judging it.
    pub(super) fn read(event: &'a Event, rules: &Rules) -> Self {
        let subject = event.principal.as_ref().map(|principal| canonical(principal, rules));
        let mut device = event.device.as_ref().map(Cow::Borrowed);
        let mut kind = event.kind;
        let mut principal = subject.clone();
        // The name of a group managed service account looks like a computer's; the directory
        // distinguishes them.
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

    /// The named account, user or machine.
    pub(super) fn subject(&self) -> Option<&Principal> {
        self.subject.as_deref()
    }

    /// The groups of the user and the device that the event asserts.
    pub(super) fn membership(&self) -> Membership {
        let Membership { user, device } = &self.event.membership;
        Membership {
            user: user.clone().filter(|_| self.principal.is_some()),
            device: device.clone().filter(|_| self.device.is_some()),
        }
    }

    /// The earliest time at which the event can have happened. It is capped at the time of
    /// reception, so that a source whose clock runs ahead cannot block the events that follow.
    pub(super) fn moment(&self) -> Timestamp {
        self.event.at.min(self.event.seen)
    }

    /// The latest time at which the event can have happened.
    pub(super) fn latest(&self) -> Timestamp {
        self.event.at.latest(self.event.precision).min(self.event.seen)
    }

    /// Whether the event certainly happened before `decided`.
    pub(super) fn is_before(&self, decided: Timestamp) -> bool {
        self.latest() < decided
    }

    /// When a session confirmed by this event expires.
    pub(super) fn expires(&self, rules: &Rules) -> Timestamp {
        self.moment() + rules.logoff_time_of(self.event.origin.kind)
    }

    /// The event as the cause of a change by `rule`.
    pub(super) fn cause(&self, rule: Rule) -> Cause {
        let Event { kind, at, seen, ref origin, .. } = *self.event;
        Cause { kind, at, seen, origin: origin.clone(), rule }
    }

    /// The event as a record with the decision about it.
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

    /// Whether this is a tunnel event without a user, which applies to the current user of the
    /// address.
    pub(super) fn applies_to_current_user(&self) -> bool {
        matches!(self.kind, Kind::VpnDown | Kind::Rekey) && self.subject.is_none()
    }

    /// Checks whether the event may be decided at all, given the `current` session.
    ///
    /// Ends are accepted for ignored users and networks, and at any age: the session may have begun
    /// before the rule was written, and a firewall that keeps serving the rights of a user who left
    /// is the worse failure. An end that is older than the last confirmation is refused by the
    /// decision itself, so accepting it here loses nothing.
    pub(super) fn admitted(&self, rules: &Rules, current: Option<&Session>) -> Result<(), Refusal> {
        self.event.address.usable().map_err(|_| Refusal::AddressUnusable)?;
        if rules.own_addresses.contains(&self.event.address) {
            return Err(Refusal::AddressUnusable);
        }
        if self.kind == Kind::Expiry {
            let is_own = self.event.origin.kind == Producer::Cache;
            return if is_own { Ok(()) } else { Err(Refusal::KindNotGranted) };
        }
        // A directory observes no logins: it only changes and ends existing sessions.
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

    /// Checks the authority of the source and returns the maximum age of its events.
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
        // An event without a user applies to the current user. Without this check, a source limited
        // to one domain could end the sessions of every other domain by omitting the name.
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

/// The host name of a machine account: `pc1$` is `pc1`; `$` alone is none.
fn host_of(machine: &Principal) -> Option<Name> {
    Name::new(machine.user.as_str().trim_end_matches('$')).ok()
}
