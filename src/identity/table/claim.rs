//! What an event asserts after aliases and machine accounts are resolved, and whether its source
//! has the authority.

use std::borrow::Cow;
use std::sync::Arc;

use crate::grant::Admission;
use crate::{
    Cause, DecisionRecord, Event, Kind, Membership, Name, Posture, Principal, Producer, Refusal,
    Revision, Rule, Rules, Session, Timestamp, Verdict,
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

/// What an admitted event may assert about a session: the part of its content that its source is
/// granted.
#[derive(Debug, Default)]
pub(super) struct Assertion<'a> {
    /// Whether the event is a proof of presence: its source may begin such a session. An event that
    /// is none has no other assertion. It ends or extends a session and changes nothing else.
    pub(super) is_proof: bool,
    /// The device.
    pub(super) device: Option<&'a Name>,
    /// The groups that the source lists.
    pub(super) roles: Option<Cow<'a, Arc<[Name]>>>,
    /// The posture of the device.
    pub(super) posture: Option<Posture>,
    /// Whether the event may lift a restrictive posture.
    pub(super) grants_posture: bool,
    /// What the event contains in addition.
    pub(super) ungranted: UngrantedDetails,
}

/// The details of an event that were not used because its source is not granted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UngrantedDetails {
    /// All or some of the roles.
    pub roles: bool,
    /// The device of the user.
    pub device: bool,
    /// The posture of the device.
    pub posture: bool,
}

impl UngrantedDetails {
    /// The names of the details, as used in metrics.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = [(self.roles, "roles"), (self.device, "device"), (self.posture, "posture")];
        named.into_iter().filter_map(|(is_ungranted, name)| is_ungranted.then_some(name))
    }
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

    /// The directory groups of the named user and device.
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

    /// When a session expires that this event begins or proves.
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

    /// Checks whether the event may be decided at all, given the `current` session, and returns what
    /// it may assert.
    ///
    /// Ends are accepted for ignored users and networks, and at any age: the session may have begun
    /// before the rule was written, and a firewall that keeps serving the rights of a user who left
    /// is the worse failure. An end that is older than the last confirmation is refused by the
    /// decision itself, so accepting it here loses nothing.
    pub(super) fn admitted(
        &self,
        rules: &Rules,
        current: Option<&Session>,
    ) -> Result<Assertion<'_>, Refusal> {
        self.event.address.usable().map_err(|_| Refusal::AddressUnusable)?;
        if rules.own_addresses.contains(&self.event.address) {
            return Err(Refusal::AddressUnusable);
        }
        if self.kind == Kind::Expiry {
            let is_own = self.event.origin.kind == Producer::Cache;
            return if is_own { Ok(Assertion::default()) } else { Err(Refusal::KindNotGranted) };
        }
        // A directory observes no logins: it only changes and ends existing sessions.
        let directory = self.event.origin.kind == Producer::ActiveDirectory;
        match self.kind {
            Kind::Membership | Kind::Logout if directory => return Ok(Assertion::default()),
            _ if directory || self.kind == Kind::Membership => {
                return Err(Refusal::KindNotGranted);
            }
            _ => {}
        }
        let admission = self.granted(rules, current)?;
        if !self.kind.ends() {
            self.not_ignored(rules)?;
        }
        let has_subject = self.principal.is_some() || self.device.is_some();
        if !has_subject && !self.applies_to_current_user() {
            return Err(Refusal::NoSubject);
        }
        let max_age = admission.max_age.unwrap_or(rules.max_age);
        let Event { at, seen, .. } = *self.event;
        match () {
            () if seen.since(at) > max_age && !self.kind.ends() => Err(Refusal::TooOld),
            () if at.since(seen) > rules.max_clock_skew => Err(Refusal::FromFuture),
            () if self.kind == Kind::DeviceSeen && !admission.grants_device() => {
                Err(Refusal::DeviceNotGranted)
            }
            () => Ok(self.assertion(admission)),
        }
    }

    /// Checks the grants of the source.
    fn granted<'r>(
        &'r self,
        rules: &'r Rules,
        current: Option<&'r Session>,
    ) -> Result<Admission<'r>, Refusal> {
        let origin = &*self.event.origin;
        let authority =
            rules.authority(&origin.producer, &origin.client).ok_or(Refusal::SourceUnknown)?;
        // An event without a user applies to the current user. Without this check, a source limited
        // to one domain could end the sessions of every other domain by omitting the name.
        let subject = self.subject().or(current.and_then(|session| session.principal.as_ref()));
        authority.admit(self.event.kind, self.event.address, subject)
    }

    /// The granted part of the event.
    fn assertion(&self, admission: Admission<'_>) -> Assertion<'_> {
        let event = self.event;
        let is_proof = self.kind == Kind::DeviceSeen || admission.begins_sessions();
        let device = self.device.as_deref().filter(|_| is_proof && admission.grants_device());
        let grants_posture = is_proof && admission.grants_posture();
        let posture = event.posture.filter(|_| grants_posture);
        let listed = event.roles.as_ref().filter(|_| is_proof);
        let roles = listed.and_then(|roles| admission.granted_roles(roles));
        let count = |roles: Option<&Arc<[Name]>>| roles.map_or(0, |roles| roles.len());
        let ungranted = UngrantedDetails {
            roles: count(event.roles.as_ref()) > count(roles.as_deref()),
            device: self.device.is_some() && device.is_none(),
            posture: event.posture.is_some() && posture.is_none(),
        };
        Assertion { is_proof, device, roles, posture, grants_posture, ungranted }
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
