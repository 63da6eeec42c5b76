//! The decision itself: one admitted claim against what is held for its address.

use std::borrow::Cow;
use std::sync::Arc;

use super::claim::Claim;
use super::expiry::is_unborn;
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
    pub(super) past: Option<&'a AddressMemory>,
    /// The rules in force.
    pub(super) rules: &'a Rules,
    /// The position of the event.
    pub(super) revision: Revision,
}

impl<'a> DecisionInput<'a> {
    /// Decides.
    pub(super) fn decide(self) -> Result<Transition, Refusal> {
        match (self.claim.kind, self.claim.principal.as_deref()) {
            (Kind::Login | Kind::VpnUp, Some(who)) => self.user_came(who),
            (Kind::Login | Kind::VpnUp, None) => self.null_user_came(),
            (Kind::Logout | Kind::VpnDown, _) => self.user_left(),
            (Kind::Rekey, _) => self.still_there(Rule::Rekeyed),
            (Kind::Refresh, _) => self.still_there(Rule::Refreshed),
            (Kind::DeviceSeen, _) => self.device_seen(),
            (Kind::Membership, _) => self.directory_says(),
            (Kind::Expiry, _) => self.logoff_time_came(),
        }
    }

    /// The session that stands when the event is received. One past its logoff time was already
    /// shown as gone, so it can be begun anew but not extended.
    fn present(self) -> Option<&'a Arc<Session>> {
        self.session.filter(|session| session.alive_at(self.claim.event.seen))
    }

    fn user_came(self, who: &Principal) -> Result<Transition, Refusal> {
        let present = self.present();
        let user_there = present.and_then(|there| Some((there, there.principal.as_ref()?)));
        if let Some((there, user)) = user_there
            && user.agrees_with(who)
        {
            return Ok(self.confirm(there, Rule::SameUser));
        }
        if self.repeats_the_ended_login(who) {
            return Ok(Transition::Keep);
        }
        let decided = self.decided_about(who);
        if decided.is_some_and(|decided| self.claim.before(decided)) {
            return Err(Refusal::Late);
        }
        if user_there.is_some_and(|(there, _)| self.outweighed_by(there)) {
            return Err(Refusal::Weaker);
        }
        if self.is_crowded(who) {
            let (there, _) = user_there.ok_or(Refusal::AddressShared)?;
            return Ok(Transition::End(
                Rule::AddressShared,
                self.claim.moment().max(there.confirmed),
            ));
        }
        let (rule, alone) = match present {
            Some(there) if there.principal.is_none() => (Rule::FirstUser, Some(there)),
            Some(_) => (Rule::LaterUser, None),
            None => (Rule::FirstUser, None),
        };
        let mut session = self.begun(rule, decided)?;
        session.principal = Some(who.clone());
        if let Some(there) = alone {
            session.membership.device = self.device_groups(there);
            session.posture = self.device_posture(there);
            session.device = session.device.or(there.device.clone());
        }
        Ok(Transition::Set(Effect::Began, rule, session))
    }

    /// Whether the address is taken to be shared, or is with this login: nobody can then be told from
    /// anybody else there.
    fn is_crowded(self, who: &Principal) -> bool {
        let (sharing, seen) = (&self.rules.sharing, self.claim.event.seen);
        let (nobody, there) = (RecentUsers::default(), self.session.map(|there| &**there));
        let crowd = self.past.map_or(&nobody, |past| &past.crowd);
        sharing.watches(self.claim.event.address)
            && (crowd.shared_at(seen).is_some()
                || crowd.size(&who.user, there, seen) > sharing.users)
    }

    /// The time that a login of `who` must not be older than. A device alone has no say in it:
    /// a device that is seen says nothing of who logged in on it before.
    fn decided_about(self, who: &Principal) -> Option<Timestamp> {
        let user = self.session.filter(|s| s.principal.is_some());
        let user = user.map(|s| if self.outweighs(s) { s.since } else { s.confirmed });
        let ended = self.past.and_then(|past| past.ended.as_ref()).map(|ended| ended.at);
        let departed = self.past.and_then(|past| past.departed.of(who));
        user.max(ended).max(departed)
    }

    /// Whether the user there keeps the address from this claim, whichever came first: they are there
    /// by a stronger proof, and were seen not long before it. Servers see every program that connects
    /// as somebody else; who sits at the computer is the one who logged on to it.
    fn outweighed_by(self, there: &Session) -> bool {
        self.claim.event.proof < there.proof
            && self.claim.moment() < there.confirmed + self.rules.weaker_waits
    }

    /// The same the other way round: had this claim come first, what has confirmed the user there
    /// since would have been refused. So that does not make it late, and two servers may tell of it
    /// in either order. What came before the user there stays late: it may have ended long ago.
    fn outweighs(self, there: &Session) -> bool {
        there.proof < self.claim.event.proof
            && there.confirmed < self.claim.moment() + self.rules.weaker_waits
    }

    /// Whether this is another source's word of the login that began the session that ended last:
    /// a gateway's syslog line, in whole seconds, may arrive after the tunnel it tells of is gone. Or
    /// the same source's, sent again before the logoff time came and ordered after it.
    fn repeats_the_ended_login(self, who: &Principal) -> bool {
        let Some(ended) = self.past.and_then(|past| past.ended.as_ref()) else { return false };
        let last = &*ended.session;
        last.principal.as_ref().is_some_and(|user| user.agrees_with(who))
            && (last.cause.origin != self.claim.event.origin
                || ended.cause.rule == Rule::LogoffTime)
            && !self.claim.before(last.since)
            && self.claim.moment() <= last.since.latest(last.precision)
    }

    fn null_user_came(self) -> Result<Transition, Refusal> {
        let Some(there) = self.present().filter(|there| there.principal.is_some()) else {
            return self.device_seen();
        };
        if self.rules.preserve_valid_user {
            return Err(Refusal::NullUser);
        }
        if self.claim.before(there.confirmed) {
            return Err(Refusal::Late);
        }
        let session = self.begun(Rule::NullUser, Some(there.confirmed))?;
        Ok(Transition::Set(Effect::Began, Rule::NullUser, session))
    }

    fn user_left(self) -> Result<Transition, Refusal> {
        let there = self.session.ok_or(Refusal::NoSession)?;
        self.speaks_of(there)?;
        if self.claim.before(there.confirmed) {
            return Err(Refusal::Late);
        }
        // Who leaves a server that they had connected to still sits where they logged on.
        if self.outweighed_by(there) {
            return Err(Refusal::Weaker);
        }
        Ok(Transition::End(Rule::LoggedOut, self.claim.moment().max(there.confirmed)))
    }

    fn still_there(self, rule: Rule) -> Result<Transition, Refusal> {
        let there = self.present().ok_or(Refusal::NoSession)?;
        self.speaks_of(there)?;
        Ok(self.confirm(there, rule))
    }

    /// Whether a logout, rekey or refresh is about the one who is there.
    fn speaks_of(self, there: &Session) -> Result<(), Refusal> {
        if self.claim.means_whoever_is_there() {
            return Ok(());
        }
        match (self.claim.principal.as_deref(), &there.principal) {
            (Some(who), Some(user)) if who.agrees_with(user) => Ok(()),
            (Some(_), None) => Err(Refusal::NoSession),
            (None, Some(_)) if self.claim.named().is_none() => Err(Refusal::NullUser),
            (None, None) if self.claim.device.as_deref().is_some_and(|d| there.has_device(d)) => {
                Ok(())
            }
            _ => Err(Refusal::OtherUser),
        }
    }

    fn device_seen(self) -> Result<Transition, Refusal> {
        let device = self.claim.device.as_deref().ok_or(Refusal::Nobody)?;
        let Some(there) = self.present() else {
            let ended = self.past.and_then(|past| past.ended.as_ref()).map(|ended| ended.at);
            if ended.is_some_and(|ended| self.claim.before(ended)) {
                return Err(Refusal::Late);
            }
            let session = self.begun(Rule::DeviceOnly, ended)?;
            return Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, session));
        };
        match (&there.principal, there.has_device(device)) {
            (Some(_), _) => self.device_of_user(there),
            (None, true) => Ok(self.confirm(there, Rule::Refreshed)),
            (None, false) if self.claim.before(there.confirmed) => Err(Refusal::Late),
            (None, false) => {
                let session = self.begun(Rule::DeviceOnly, Some(there.confirmed))?;
                Ok(Transition::Set(Effect::Began, Rule::DeviceOnly, session))
            }
        }
    }

    /// A device seen at a user's address is that user's. It does not prove that the user is still
    /// there, and the groups of a machine account are not the user's.
    fn device_of_user(self, there: &Session) -> Result<Transition, Refusal> {
        let Some(altered) = self.with_details(there, &None) else { return Ok(Transition::Keep) };
        if self.claim.before(there.confirmed) {
            return Err(Refusal::Late);
        }
        Ok(Transition::Set(Effect::Altered, Rule::Detail, altered))
    }

    /// A directory says otherwise who the one there is, or in which groups: of the user when it
    /// names one, of the device when it names one. It proves nobody present, so nothing is
    /// extended. What it says was meant for the very names that were there when it was said: of
    /// whoever came since, it says nothing.
    fn directory_says(self) -> Result<Transition, Refusal> {
        let there = self.present().ok_or(Refusal::NoSession)?;
        let (claim, mut session) = (self.claim, there.as_ref().clone());
        let said = claim.membership();
        let is_device = claim.device.as_deref().is_some_and(|device| there.has_device(device));
        match (claim.principal.as_deref(), &mut session.principal) {
            (Some(who), Some(user)) => {
                let formerly = claim.event.formerly.as_deref();
                if !who.is_called(user) && !formerly.is_some_and(|name| name.is_called(user)) {
                    return Err(Refusal::OtherUser);
                }
                (user.user, user.domain) = (who.user.clone(), who.domain.clone());
                session.membership.user = said.user;
            }
            (None, _) if is_device => {}
            _ => return Err(Refusal::OtherUser),
        }
        if is_device {
            session.membership.device = said.device;
        }
        if session == **there {
            return Ok(Transition::Keep);
        }
        session.revision = self.revision;
        Ok(Transition::Set(Effect::Altered, Rule::Directory, session))
    }

    fn logoff_time_came(self) -> Result<Transition, Refusal> {
        let there = self.session.ok_or(Refusal::NoSession)?;
        let at = self.claim.event.at;
        if is_unborn(there, at) {
            // Whoever logs on from now on is later than somebody of a time that has not come.
            return Ok(Transition::End(Rule::LogoffTime, at));
        }
        if there.alive_at(at) {
            return Err(Refusal::NotDue);
        }
        // Nobody saw the user leave: a login that is newer than the last proof is still news.
        Ok(Transition::End(Rule::LogoffTime, there.confirmed))
    }

    /// The one who is there was seen again.
    fn confirm(self, there: &Session, rule: Rule) -> Transition {
        let claim = self.claim;
        let proof = there.proof.max(claim.event.proof);
        if claim.before(there.confirmed) {
            let session = Session { proof, ..there.clone() };
            let proves_more = self.outweighs(there);
            return if proves_more {
                Transition::Set(Effect::Extended, rule, session)
            } else {
                Transition::Keep
            };
        }
        let (effect, rule, mut session) = match self.with_details(there, &claim.event.roles) {
            Some(altered) => (Effect::Altered, Rule::Detail, altered),
            // Within the precision of the clocks it may be the very event that is known already.
            None if proof == there.proof
                && claim.moment() <= there.confirmed.latest(there.precision) =>
            {
                return Transition::Keep;
            }
            None => (Effect::Extended, rule, there.clone()),
        };
        if let (Some(mine), Some(theirs)) = (&mut session.principal, &claim.principal) {
            mine.spellings = mine.spellings.union(theirs.spellings);
        }
        session.confirmed = there.confirmed.max(claim.moment());
        session.proof = proof;
        session.precision = there.precision.max(claim.event.precision);
        session.expires = there.expires.max(claim.expires(self.rules));
        Transition::Set(effect, rule, session)
    }

    /// The session with what the claim says more or otherwise about its domain, device, posture
    /// and groups; `None` when it says nothing new.
    fn with_details(self, there: &Session, roles: &Roles) -> Option<Session> {
        let claim = self.claim;
        let device = claim.device.as_deref().filter(|device| !there.has_device(device));
        let posture = self.device_posture(there);
        let roles = roles.as_ref().filter(|roles| !same_roles(there.roles.as_deref(), roles));
        let domain = match (&there.principal, claim.principal.as_deref()) {
            (Some(user), Some(who)) if user.domain.is_none() => who.domain.as_ref(),
            _ => None,
        };
        let membership = Membership {
            user: claim.membership().user.or(there.membership.user.clone()),
            device: self.device_groups(there),
        };
        let membership = Some(membership).filter(|known| *known != there.membership);
        let same = device.is_none() && posture == there.posture && membership.is_none();
        if same && roles.is_none() && domain.is_none() {
            return None;
        }
        let mut session = there.clone();
        session.device = device.or(there.device.as_ref()).cloned();
        session.posture = posture;
        session.roles = roles.or(there.roles.as_ref()).cloned();
        session.membership = membership.unwrap_or(session.membership);
        if let (Some(principal), Some(domain)) = (&mut session.principal, domain) {
            principal.domain = Some(domain.clone());
        }
        session.revision = self.revision;
        Some(session)
    }

    /// The groups of the device that is there once the claim is heard: those of another device are
    /// not its own.
    fn device_groups(self, there: &Session) -> Option<GroupSet> {
        let known = there.membership.device.as_ref().filter(|_| self.is_device_of(there));
        self.claim.membership().device.or(known.cloned())
    }

    /// In what posture that device is: how another one was found says nothing of it.
    fn device_posture(self, there: &Session) -> Option<Posture> {
        self.claim.event.posture.or(there.posture.filter(|_| self.is_device_of(there)))
    }

    /// Whether the claim is of the device that is there, as far as both name one.
    fn is_device_of(self, there: &Session) -> bool {
        let named = self.claim.device.as_deref().filter(|_| there.device.is_some());
        named.is_none_or(|device| there.has_device(device))
    }

    /// A session that begins with the claim and has no user yet. It begins no earlier than what was
    /// `decided` before: the claim was not surely before that, and arrival breaks the tie.
    fn begun(self, rule: Rule, decided: Option<Timestamp>) -> Result<Session, Refusal> {
        let (claim, event) = (self.claim, self.claim.event);
        let since = decided.map_or(claim.moment(), |decided| claim.moment().max(decided));
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
        if session.alive_at(event.seen) { Ok(session) } else { Err(Refusal::TooOld) }
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
