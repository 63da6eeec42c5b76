//! The decision itself: one admitted claim against what is held for its address.

use std::borrow::Cow;
use std::sync::Arc;

use super::claim::Claim;
use super::expiry::is_from_future;
use super::memory::AddressMemory;
use super::shared_address::RecentUsers;
use crate::{
    Effect, GroupSet, Kind, Membership, Name, Posture, Principal, Refusal, Revision, Roles, Rule,
    Rules, Session, Timestamp,
};

/// What is to be done for an address.
#[derive(Debug)]
pub(super) enum Transition {
    /// Nothing: this is known already.
    Keep,
    /// The session is this from now on, by this rule.
    Set(Effect, Rule, Session),
    /// The session ends. The time is the one that later arrivals are ordered against.
    End(Rule, Timestamp),
}

/// Everything a decision may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecisionInput<'a> {
    /// What is claimed.
    pub(super) claim: &'a Claim<'a>,
    /// The session held, whether or not its logoff time has passed.
    pub(super) session: Option<&'a Arc<Session>>,
    /// What else is remembered of the address.
    pub(super) memory: Option<&'a AddressMemory>,
    /// The rules in force.
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

    /// The session that stands when the event is received. One past its logoff time was already
    /// shown as gone, so it can be begun anew but not extended.
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
        }
        Ok(Transition::Set(Effect::Began, rule, session))
    }

    /// Whether the address is taken to be shared, or is with this login: nobody can then be told from
    /// anybody else there.
    fn exceeds_user_limit(self, principal: &Principal) -> bool {
        let (sharing, seen) = (&self.rules.sharing, self.claim.event.seen);
        let (nobody, current) = (RecentUsers::default(), self.session.map(|current| &**current));
        let recent_users = self.memory.map_or(&nobody, |memory| &memory.recent_users);
        sharing.applies_to(self.claim.event.address)
            && (recent_users.shared_at(seen).is_some()
                || recent_users.count_with(&principal.user, current, seen) > sharing.users)
    }

    /// The time that a login of `who` must not be older than. A device alone has no say in it:
    /// a device that is seen says nothing of who logged in on it before.
    fn ordering_time(self, principal: &Principal) -> Option<Timestamp> {
        let user = self.session.filter(|s| s.principal.is_some());
        let user = user.map(|s| if self.outweighs(s) { s.since } else { s.confirmed });
        let ended = self.memory.and_then(|memory| memory.ended.as_ref()).map(|ended| ended.at);
        let logout = self.memory.and_then(|memory| memory.early_logouts.latest(principal));
        user.max(ended).max(logout)
    }

    /// Whether the user there keeps the address from this claim, whichever came first: they are there
    /// by a stronger proof, and were seen not long before it. Servers see every program that connects
    /// as somebody else; who sits at the computer is the one who logged on to it.
    fn outweighed_by(self, current: &Session) -> bool {
        self.claim.event.proof < current.proof
            && self.claim.moment() < current.confirmed + self.rules.weaker_proof_delay
    }

    /// The same the other way round: had this claim come first, what has confirmed the user there
    /// since would have been refused. So that does not make it late, and two servers may tell of it
    /// in either order. What came before the user there stays late: it may have ended long ago.
    fn outweighs(self, current: &Session) -> bool {
        current.proof < self.claim.event.proof
            && current.confirmed < self.claim.moment() + self.rules.weaker_proof_delay
    }

    /// Whether this is another source's word of the login that began the session that ended last:
    /// a gateway's syslog line, in whole seconds, may arrive after the tunnel it tells of is gone. Or
    /// the same source's, sent again before the logoff time came and ordered after it.
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
        Ok(Transition::Set(Effect::Began, Rule::NullUser, session))
    }

    fn user_logout(self) -> Result<Transition, Refusal> {
        let current = self.session.ok_or(Refusal::NoSession)?;
        self.check_subject(current)?;
        if self.claim.is_before(current.confirmed) {
            return Err(Refusal::Late);
        }
        // Who leaves a server that they had connected to still sits where they logged on.
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

    /// Whether a logout, rekey or refresh is about the one who is there.
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
        let device = self.claim.device.as_deref().ok_or(Refusal::Nobody)?;
        let Some(current) = self.active() else {
            let ended = self.memory.and_then(|memory| memory.ended.as_ref()).map(|ended| ended.at);
            if ended.is_some_and(|ended| self.claim.is_before(ended)) {
                return Err(Refusal::Late);
            }
            let session = self.new_session(Rule::DeviceOnly, ended)?;
            return Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, session));
        };
        match (&current.principal, current.has_device(device)) {
            (Some(_), _) => self.device_of_user(current),
            (None, true) => Ok(self.confirm(current, Rule::Refreshed)),
            (None, false) if self.claim.is_before(current.confirmed) => Err(Refusal::Late),
            (None, false) => {
                let session = self.new_session(Rule::DeviceOnly, Some(current.confirmed))?;
                Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, session))
            }
        }
    }

    /// A device seen at a user's address is that user's. It does not prove that the user is still
    /// there, and the groups of a machine account are not the user's.
    fn device_of_user(self, current: &Session) -> Result<Transition, Refusal> {
        let Some(altered) = self.with_details(current, &None) else { return Ok(Transition::Keep) };
        if self.claim.is_before(current.confirmed) {
            return Err(Refusal::Late);
        }
        Ok(Transition::Set(Effect::Altered, Rule::Detail, altered))
    }

    /// A directory says otherwise who the one there is, or in which groups: of the user when it
    /// names one, of the device when it names one. It proves nobody present, so nothing is
    /// extended. What it says was meant for the very names that were there when it was said: of
    /// whoever came since, it says nothing.
    fn directory_update(self) -> Result<Transition, Refusal> {
        let current = self.active().ok_or(Refusal::NoSession)?;
        let (claim, mut session) = (self.claim, current.as_ref().clone());
        let said = claim.membership();
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
                session.membership.user = said.user;
            }
            (None, _) if is_device => {}
            _ => return Err(Refusal::OtherUser),
        }
        if is_device {
            session.membership.device = said.device;
        }
        if session == **current {
            return Ok(Transition::Keep);
        }
        session.revision = self.revision;
        Ok(Transition::Set(Effect::Altered, Rule::Directory, session))
    }

    fn expiry(self) -> Result<Transition, Refusal> {
        let current = self.session.ok_or(Refusal::NoSession)?;
        let at = self.claim.event.at;
        if is_from_future(current, at) {
            // Whoever logs on from now on is later than somebody of a time that has not come.
            return Ok(Transition::End(Rule::LogoffTime, at));
        }
        if current.is_active_at(at) {
            return Err(Refusal::NotDue);
        }
        // Nobody saw the user leave: a login that is newer than the last proof is still news.
        Ok(Transition::End(Rule::LogoffTime, current.confirmed))
    }

    /// The one who is there was seen again.
    fn confirm(self, current: &Session, rule: Rule) -> Transition {
        let claim = self.claim;
        let proof = current.proof.max(claim.event.proof);
        if claim.is_before(current.confirmed) {
            let session = Session { proof, ..current.clone() };
            let proves_more = self.outweighs(current);
            return if proves_more {
                Transition::Set(Effect::Extended, rule, session)
            } else {
                Transition::Keep
            };
        }
        let (effect, rule, mut session) = match self.with_details(current, &claim.event.roles) {
            Some(altered) => (Effect::Altered, Rule::Detail, altered),
            // Within the precision of the clocks it may be the very event that is known already.
            None if proof == current.proof
                && claim.moment() <= current.confirmed.latest(current.precision) =>
            {
                return Transition::Keep;
            }
            None => (Effect::Extended, rule, current.clone()),
        };
        if let (Some(mine), Some(theirs)) = (&mut session.principal, &claim.principal) {
            mine.spellings = mine.spellings.union(theirs.spellings);
        }
        session.confirmed = current.confirmed.max(claim.moment());
        session.proof = proof;
        session.precision = current.precision.max(claim.event.precision);
        session.expires = current.expires.max(claim.expires(self.rules));
        Transition::Set(effect, rule, session)
    }

    /// The session with what the claim says more or otherwise about its domain, device, posture
    /// and groups; `None` when it says nothing new.
    fn with_details(self, current: &Session, roles: &Roles) -> Option<Session> {
        let claim = self.claim;
        let device = claim.device.as_deref().filter(|device| !current.has_device(device));
        let posture = self.device_posture(current);
        let roles = roles.as_ref().filter(|roles| !same_roles(current.roles.as_deref(), roles));
        let domain = match (&current.principal, claim.principal.as_deref()) {
            (Some(user), Some(principal)) if user.domain.is_none() => principal.domain.as_ref(),
            _ => None,
        };
        let membership = Membership {
            user: claim.membership().user.or(current.membership.user.clone()),
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
        Some(session)
    }

    /// The groups of the device that is there once the claim is heard: those of another device are
    /// not its own.
    fn device_groups(self, current: &Session) -> Option<GroupSet> {
        let known = current.membership.device.as_ref().filter(|_| self.is_device_of(current));
        self.claim.membership().device.or(known.cloned())
    }

    /// In what posture that device is: how another one was found says nothing of it.
    fn device_posture(self, current: &Session) -> Option<Posture> {
        self.claim.event.posture.or(current.posture.filter(|_| self.is_device_of(current)))
    }

    /// Whether the claim is of the device that is there, as far as both name one.
    fn is_device_of(self, current: &Session) -> bool {
        let named = self.claim.device.as_deref().filter(|_| current.device.is_some());
        named.is_none_or(|device| current.has_device(device))
    }

    /// A session that begins with the claim and has no user yet. It begins no earlier than what was
    /// `decided` before: the claim was not surely before that, and arrival breaks the tie.
    fn new_session(self, rule: Rule, not_before: Option<Timestamp>) -> Result<Session, Refusal> {
        let (claim, event) = (self.claim, self.claim.event);
        let since = not_before.map_or(claim.moment(), |not_before| claim.moment().max(not_before));
        let session = Session {
            address: event.address,
            principal: None,
            device: claim.device.clone().map(Cow::into_owned),
            roles: event.roles.clone(),
            membership: claim.membership(),
            posture: event.posture,
            since,
            confirmed: since,
            proof: event.proof,
            precision: event.precision,
            expires: claim.expires(self.rules),
            revision: self.revision,
            cause: claim.cause(rule),
        };
        // Where the logoff time is shorter than the age that is allowed, it would begin ended.
        if session.is_active_at(event.seen) { Ok(session) } else { Err(Refusal::TooOld) }
    }
}

/// Whether two lists hold the same groups: sources list them in any order.
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
