//! The decision: one admitted claim against the state of its address.

use std::borrow::Cow;
use std::sync::Arc;

use super::claim::{Assertion, Claim};
use super::expiry::is_from_future;
use super::memory::AddressMemory;
use super::shared_address::RecentUsers;
use crate::{
    Effect, GroupSet, Kind, Membership, Name, Posture, Principal, Proof, Refusal, Revision, Rule,
    Rules, Session, Timestamp,
};

/// The transition of an address.
#[derive(Debug)]
pub(super) enum Transition {
    /// No change: this is known already.
    Keep,
    /// Set the session, by this rule.
    Set(Effect, Rule, Arc<Session>),
    /// End the session. Later logins must not precede this time.
    End(Rule, Timestamp),
}

/// Everything that a decision may depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecisionInput<'a> {
    /// The claim.
    pub(super) claim: &'a Claim<'a>,
    /// The part of the claim that its source is granted.
    pub(super) assertion: &'a Assertion<'a>,
    /// The session held, whether or not it has expired.
    pub(super) session: Option<&'a Arc<Session>>,
    /// Other remembered state of the address.
    pub(super) memory: Option<&'a AddressMemory>,
    /// The current rules.
    pub(super) rules: &'a Rules,
    /// The position of the event.
    pub(super) revision: Revision,
}

impl<'a> DecisionInput<'a> {
    /// Decides.
    pub(super) fn decide(self) -> Result<Transition, Refusal> {
        match (self.claim.kind, self.claim.principal.as_deref()) {
            (Kind::Login | Kind::VpnUp, Some(principal)) => self.user_login(principal),
            (Kind::Login | Kind::VpnUp, None) => self.null_user_login(),
            (Kind::Logout | Kind::VpnDown, _) => self.user_logout(),
            (Kind::Rekey, _) => self.extend(Rule::Rekeyed),
            (Kind::Refresh, _) => self.extend(Rule::Refreshed),
            (Kind::DeviceSeen, _) => self.device_seen(),
            (Kind::Membership, _) => self.directory_update(),
            (Kind::Expiry, _) => self.expiry(),
        }
    }

    /// The session that is active when the event is received. An expired session was already shown
    /// as ended, so it can be replaced but not extended.
    fn active(self) -> Option<&'a Arc<Session>> {
        self.session.filter(|session| session.is_active_at(self.claim.event.seen))
    }

    fn user_login(self, principal: &Principal) -> Result<Transition, Refusal> {
        let present = self.active();
        let current_user = present.and_then(|current| Some((current, current.principal.as_ref()?)));
        if let Some((current, user)) = current_user
            && user.is_compatible_with(principal)
        {
            return Ok(self.confirm(current, Rule::SameUser));
        }
        if self.repeats_the_ended_login(principal) {
            return Ok(Transition::Keep);
        }
        let not_before = self.ordering_time(principal);
        if not_before.is_some_and(|not_before| self.claim.is_before(not_before)) {
            return Err(Refusal::Late);
        }
        if current_user.is_some_and(|(current, _)| self.outweighed_by(current)) {
            return Err(Refusal::Weaker);
        }
        if self.exceeds_user_limit(principal) {
            let (current, _) = current_user.ok_or(Refusal::AddressShared)?;
            return Ok(Transition::End(
                Rule::AddressShared,
                self.claim.moment().max(current.confirmed),
            ));
        }
        let (rule, device_session) = match present {
            Some(current) if current.principal.is_none() => (Rule::FirstUser, Some(current)),
            Some(_) => (Rule::LaterUser, None),
            None => (Rule::FirstUser, None),
        };
        let mut session = self.new_session(rule, not_before)?;
        session.principal = Some(principal.clone());
        if let Some(current) = device_session {
            session.membership.device = self.device_groups(current);
            session.posture = self.device_posture(current);
            session.device = session.device.or(current.device.clone());
            self.set_detail_sources(&mut session, current);
        }
        Ok(Transition::Set(Effect::Began, rule, Arc::new(session)))
    }

    /// Whether the address is treated as shared, or is with this login: its users cannot be
    /// distinguished.
    fn exceeds_user_limit(self, principal: &Principal) -> bool {
        let (sharing, seen) = (&self.rules.shared_addresses, self.claim.event.seen);
        let (no_users, current) = (RecentUsers::default(), self.session.map(|current| &**current));
        let recent_users = self.memory.map_or(&no_users, |memory| &memory.recent_users);
        sharing.applies_to(self.claim.event.address)
            && (recent_users.shared_at(seen).is_some()
                || recent_users.count_with(&principal.user, current, seen)
                    > sharing.max_users_per_minute)
    }

    /// The time that a login of `principal` must not precede. A device without a user is not
    /// considered: seeing a device proves nothing about earlier logins on it.
    fn ordering_time(self, principal: &Principal) -> Option<Timestamp> {
        let user = self.session.filter(|s| s.principal.is_some());
        let user = user.map(|s| if self.outweighs(s) { s.since } else { s.confirmed });
        let ended = self.memory.and_then(|memory| memory.ended.as_ref()).map(|ended| ended.at);
        let logout = self.memory.and_then(|memory| memory.early_logouts.latest(principal));
        user.max(ended).max(logout)
    }

    /// Whether the current user keeps the address although the claim is later: the user has a
    /// stronger proof and was seen shortly before. Servers see every program that connects as
    /// another user, but the user at the computer is the one who logged on to it.
    fn outweighed_by(self, current: &Session) -> bool {
        self.claim.event.proof < current.proof
            && self.claim.moment() < current.confirmed + self.rules.weaker_proof_delay
    }

    /// The reverse case: had this claim come first, the events that confirmed the current user
    /// since would have been refused. They do not make the claim late, so two servers may report in
    /// either order. A claim from before the current session stays late, because it may have ended
    /// long ago.
    fn outweighs(self, current: &Session) -> bool {
        current.proof < self.claim.event.proof
            && current.confirmed < self.claim.moment() + self.rules.weaker_proof_delay
    }

    /// Whether the claim repeats the login that began the session that ended last. A gateway's
    /// syslog message, in whole seconds, may arrive after the tunnel went down; or the same source
    /// sent it again before the expiry, and it was ordered after it.
    fn repeats_the_ended_login(self, principal: &Principal) -> bool {
        let Some(ended) = self.memory.and_then(|memory| memory.ended.as_ref()) else {
            return false;
        };
        let last = &*ended.session;
        last.principal.as_ref().is_some_and(|user| user.is_compatible_with(principal))
            && (last.cause.origin != self.claim.event.origin
                || ended.cause.rule == Rule::LogoffTime)
            && !self.claim.is_before(last.since)
            && self.claim.moment() <= last.since.latest(last.precision)
    }

    fn null_user_login(self) -> Result<Transition, Refusal> {
        let Some(current) = self.active().filter(|current| current.principal.is_some()) else {
            return self.device_seen();
        };
        if self.rules.preserve_valid_user {
            return Err(Refusal::NullUser);
        }
        if self.claim.is_before(current.confirmed) {
            return Err(Refusal::Late);
        }
        let session = self.new_session(Rule::NullUser, Some(current.confirmed))?;
        Ok(Transition::Set(Effect::Began, Rule::NullUser, Arc::new(session)))
    }

    fn user_logout(self) -> Result<Transition, Refusal> {
        let current = self.session.ok_or(Refusal::NoSession)?;
        self.check_subject(current)?;
        if self.claim.is_before(current.confirmed) {
            return Err(Refusal::Late);
        }
        // A user who disconnects from a server is still logged on at their computer.
        if self.outweighed_by(current) {
            return Err(Refusal::Weaker);
        }
        Ok(Transition::End(Rule::LoggedOut, self.claim.moment().max(current.confirmed)))
    }

    fn extend(self, rule: Rule) -> Result<Transition, Refusal> {
        let current = self.active().ok_or(Refusal::NoSession)?;
        self.check_subject(current)?;
        Ok(self.confirm(current, rule))
    }

    /// Checks that a logout, rekey or refresh is about the current user.
    fn check_subject(self, current: &Session) -> Result<(), Refusal> {
        if self.claim.applies_to_current_user() {
            return Ok(());
        }
        match (self.claim.principal.as_deref(), &current.principal) {
            (Some(principal), Some(user)) if principal.is_compatible_with(user) => Ok(()),
            (Some(_), None) => Err(Refusal::NoSession),
            (None, Some(_)) if self.claim.subject().is_none() => Err(Refusal::NullUser),
            (None, None) if self.claim.device.as_deref().is_some_and(|d| current.has_device(d)) => {
                Ok(())
            }
            _ => Err(Refusal::OtherUser),
        }
    }

    fn device_seen(self) -> Result<Transition, Refusal> {
        let device = self.claim.device.as_deref().ok_or(Refusal::NoSubject)?;
        let Some(current) = self.active() else {
            let ended = self.memory.and_then(|memory| memory.ended.as_ref()).map(|ended| ended.at);
            if ended.is_some_and(|ended| self.claim.is_before(ended)) {
                return Err(Refusal::Late);
            }
            let session = self.new_session(Rule::DeviceOnly, ended)?;
            return Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, Arc::new(session)));
        };
        match (&current.principal, current.has_device(device)) {
            (Some(_), _) => self.device_of_user(current),
            (None, true) => Ok(self.confirm(current, Rule::Refreshed)),
            (None, false) if self.claim.is_before(current.confirmed) => Err(Refusal::Late),
            (None, false) => {
                let session = self.new_session(Rule::DeviceOnly, Some(current.confirmed))?;
                Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, Arc::new(session)))
            }
        }
    }

    /// A device seen at a user's address is that user's device. It does not confirm the user, and
    /// the groups of a machine account are not the user's.
    fn device_of_user(self, current: &Session) -> Result<Transition, Refusal> {
        let Some(altered) = self.with_details(current, None) else { return Ok(Transition::Keep) };
        if self.claim.is_before(current.confirmed) {
            return Err(Refusal::Late);
        }
        Ok(Transition::Set(Effect::Altered, Rule::Detail, Arc::new(altered)))
    }

    /// A directory reports a new name or new groups of the named user, of the named device, or
    /// both. It confirms nothing, so the session is not extended. The report applies only to the
    /// exact names that the session had when it was made, not to a session that began since.
    fn directory_update(self) -> Result<Transition, Refusal> {
        let current = self.active().ok_or(Refusal::NoSession)?;
        let (claim, mut session) = (self.claim, current.as_ref().clone());
        let membership = claim.membership();
        let is_device = claim.device.as_deref().is_some_and(|device| current.has_device(device));
        match (claim.principal.as_deref(), &mut session.principal) {
            (Some(principal), Some(user)) => {
                let formerly = claim.event.renamed_from.as_deref();
                if !principal.has_same_name(user)
                    && !formerly.is_some_and(|name| name.has_same_name(user))
                {
                    return Err(Refusal::OtherUser);
                }
                (user.user, user.domain) = (principal.user.clone(), principal.domain.clone());
                session.membership.user = membership.user;
            }
            (None, _) if is_device => {}
            _ => return Err(Refusal::OtherUser),
        }
        if is_device {
            session.membership.device = membership.device;
        }
        if session == **current {
            return Ok(Transition::Keep);
        }
        session.revision = self.revision;
        Ok(Transition::Set(Effect::Altered, Rule::Directory, Arc::new(session)))
    }

    fn expiry(self) -> Result<Transition, Refusal> {
        let current = self.session.ok_or(Refusal::NoSession)?;
        let at = self.claim.event.at;
        if is_from_future(current, at) {
            // Any login from now on is later than a session from the future.
            return Ok(Transition::End(Rule::LogoffTime, at));
        }
        if current.is_active_at(at) {
            return Err(Refusal::NotDue);
        }
        // No logout was seen, so a login newer than the last confirmation is accepted.
        Ok(Transition::End(Rule::LogoffTime, current.confirmed))
    }

    /// The current user was seen again.
    fn confirm(self, current: &Session, rule: Rule) -> Transition {
        let claim = self.claim;
        let (proof, proved) = self.proof_after(current);
        if claim.is_before(current.confirmed) {
            let expires = current.expires.max(self.expires(proved));
            let session = Session { proof, proved, expires, ..current.clone() };
            let proves_more = self.outweighs(current) && proof > current.proof
                || proved > current.proved.latest(current.precision);
            return if proves_more {
                Transition::Set(Effect::Extended, rule, Arc::new(session))
            } else {
                Transition::Keep
            };
        }
        let (effect, rule, mut session) =
            match self.with_details(current, self.assertion.roles.as_deref()) {
                Some(altered) => (Effect::Altered, Rule::Detail, altered),
                // Within the precision of the clocks, this may be the event that is known already.
                None if proof == current.proof
                    && claim.moment() <= current.confirmed.latest(current.precision)
                    && proved <= current.proved.latest(current.precision) =>
                {
                    return Transition::Keep;
                }
                None => (Effect::Extended, rule, current.clone()),
            };
        if let (Some(mine), Some(theirs)) = (&mut session.principal, &claim.principal)
            && self.assertion.is_proof
        {
            mine.spellings = mine.spellings.union(theirs.spellings);
        }
        session.confirmed = current.confirmed.max(claim.moment());
        session.proof = proof;
        session.proved = proved;
        session.precision = current.precision.max(claim.event.precision);
        session.expires = current.expires.max(self.expires(proved));
        Transition::Set(effect, rule, Arc::new(session))
    }

    /// The strongest and the last proof of the user after the claim.
    fn proof_after(self, current: &Session) -> (Proof, Timestamp) {
        if self.assertion.is_proof {
            let (proof, at) = (self.claim.event.proof, self.claim.moment());
            (current.proof.max(proof), current.proved.max(at))
        } else {
            (current.proof, current.proved)
        }
    }

    /// When a session expires that the claim confirms and whose last proof was at `proved`.
    fn expires(self, proved: Timestamp) -> Timestamp {
        let expires = self.claim.expires(self.rules);
        if self.assertion.is_proof {
            expires
        } else {
            expires.min(proved + self.rules.max_lifetime)
        }
    }

    /// The session with the new domain, device, posture and groups of the claim; `None` if nothing
    /// is new.
    fn with_details(self, current: &Session, roles: Option<&Arc<[Name]>>) -> Option<Session> {
        let (claim, assertion) = (self.claim, self.assertion);
        let device = assertion.device.filter(|device| !current.has_device(device));
        let posture = self.device_posture(current);
        let roles = roles.filter(|roles| !same_roles(current.roles.as_deref(), roles));
        let domain = match (&current.principal, claim.principal.as_deref()) {
            (Some(user), Some(principal)) if user.domain.is_none() && assertion.is_proof => {
                principal.domain.as_ref()
            }
            _ => None,
        };
        let membership = Membership {
            user: self.membership().user.or(current.membership.user.clone()),
            device: self.device_groups(current),
        };
        let membership = Some(membership).filter(|known| *known != current.membership);
        let is_unchanged = device.is_none() && posture == current.posture && membership.is_none();
        if is_unchanged && roles.is_none() && domain.is_none() {
            return None;
        }
        let mut session = current.clone();
        session.device = device.or(current.device.as_ref()).cloned();
        session.posture = posture;
        session.roles = roles.or(current.roles.as_ref()).cloned();
        session.membership = membership.unwrap_or(session.membership);
        if let (Some(principal), Some(domain)) = (&mut session.principal, domain) {
            principal.domain = Some(domain.clone());
        }
        session.revision = self.revision;
        self.set_detail_sources(&mut session, current);
        Some(session)
    }

    /// Sets the sources of the details of `session`, which follows `current`: the claim for what it
    /// changed, and otherwise the previous source.
    fn set_detail_sources(self, session: &mut Session, current: &Session) {
        let source = &self.claim.event.origin;
        let roles =
            if session.roles == current.roles { current.roles_source() } else { Some(source) };
        let device =
            if session.device == current.device { current.device_source() } else { Some(source) };
        let posture = if session.posture == current.posture {
            current.posture_source()
        } else {
            Some(source)
        };
        let sources = [roles.cloned(), device.cloned(), posture.cloned()];
        session.set_detail_sources(sources);
    }

    /// The directory groups of the user and the device that the claim may assert.
    fn membership(self) -> Membership {
        if !self.assertion.is_proof {
            return Membership::default();
        }
        let Membership { user, device } = self.claim.membership();
        Membership { user, device: device.filter(|_| self.assertion.device.is_some()) }
    }

    /// The groups of the device after the claim. The groups of another device are dropped.
    fn device_groups(self, current: &Session) -> Option<GroupSet> {
        let known = current.membership.device.as_ref().filter(|_| self.is_device_of(current));
        self.membership().device.or(known.cloned())
    }

    /// The posture of the device after the claim. The posture of another device is dropped, unless
    /// it is restrictive: only a source that is granted postures lifts a quarantine.
    fn device_posture(self, current: &Session) -> Option<Posture> {
        let is_quarantine =
            |posture: &Posture| posture.is_restrictive() && !self.assertion.grants_posture;
        let is_kept = |posture: &Posture| self.is_device_of(current) || is_quarantine(posture);
        self.assertion.posture.or(current.posture.filter(is_kept))
    }

    /// Whether the claim is about the current device, as far as both name one.
    fn is_device_of(self, current: &Session) -> bool {
        let named = self.assertion.device.filter(|_| current.device.is_some());
        named.is_none_or(|device| current.has_device(device))
    }

    /// A session that begins with the claim, without a user. It begins no earlier than
    /// `not_before`: the claim is not certainly earlier, and the order of arrival breaks the tie.
    fn new_session(self, rule: Rule, not_before: Option<Timestamp>) -> Result<Session, Refusal> {
        let (claim, event) = (self.claim, self.claim.event);
        let since = not_before.map_or(claim.moment(), |not_before| claim.moment().max(not_before));
        let session = Session {
            address: event.address,
            principal: None,
            device: self.assertion.device.cloned(),
            roles: self.assertion.roles.clone().map(Cow::into_owned),
            membership: self.membership(),
            posture: self.assertion.posture,
            since,
            confirmed: since,
            proved: since,
            proof: event.proof,
            precision: event.precision,
            expires: claim.expires(self.rules),
            revision: self.revision,
            cause: claim.cause(rule),
            detail_sources: None,
        };
        // If the logoff time is shorter than the maximum event age, the session could begin
        // expired.
        if session.is_active_at(event.seen) { Ok(session) } else { Err(Refusal::TooOld) }
    }
}

/// Whether two lists hold the same groups, in any order.
fn same_roles(mine: Option<&[Name]>, theirs: &[Name]) -> bool {
    let Some(mine) = mine else { return false };
    if mine.len() != theirs.len() || mine == theirs {
        return mine == theirs;
    }
    sorted(mine) == sorted(theirs)
}

fn sorted(roles: &[Name]) -> Vec<&Name> {
    let mut names: Vec<_> = roles.iter().collect();
    names.sort_unstable();
    names
}
