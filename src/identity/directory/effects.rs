//! What follows for the sessions of those whom a directory speaks of, as events to be proposed.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::address_index::IndexEntry;
use super::node_id::NodeId;
use super::{
    AccountChange, AccountKind, AccountState, AddressIndex, AffectedAccounts, Difference,
    Directory, Guid, Membership, Profile,
};
use crate::{
    Address, Event, Kind, Name, Origin, Precision, Principal, Proof, Session, Table, Timestamp,
};

/// What becomes of the sessions of an account that may not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SessionAction {
    /// They stay until they end otherwise.
    #[default]
    Keep,
    /// They end.
    End,
}

/// The rule for accounts that are gone, one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemovalPolicy {
    /// When an administrator disabled the account.
    pub disabled: SessionAction,
    /// When the account was deleted.
    pub deleted: SessionAction,
}

/// What is known when consequences are drawn.
#[derive(Debug, Clone, Copy)]
pub struct EffectInputs<'a> {
    /// All directories, as they are now.
    pub directory: &'a Directory,
    /// All sessions.
    pub table: &'a Table,
    /// Where to find them.
    pub whereabouts: &'a AddressIndex,
}

/// How events are proposed.
#[derive(Debug, Clone, Copy)]
pub struct ProposalContext<'a> {
    /// What becomes of those who are gone.
    pub gone: RemovalPolicy,
    /// The time of the events.
    pub now: Timestamp,
    /// Who proposes them; its kind is `ActiveDirectory`, or the table refuses them.
    pub origin: &'a Arc<Origin>,
}

/// Affected accounts whose sessions are still to be looked at, slice by slice.
///
/// An account that gave up a name is looked at before the one that took it over, and the sessions
/// under that name are the former's: the table decides the events in the order in which they are
/// proposed.
#[derive(Debug, Default)]
pub struct SessionEffects {
    waiting: VecDeque<AccountChange>,
    /// Where the first of them may be and was not looked for yet.
    places: Option<Vec<Address>>,
    /// Names given up by renaming, and by whom.
    given_up: HashMap<(Name, Option<Name>), Guid>,
    /// Domains that are known from now on, and up to where sessions were looked through for users whom
    /// they do not know.
    first: VecDeque<(Name, Option<IndexEntry>)>,
    /// Whose new name a session is about to bear or bears already: two that change names with each
    /// other must not be followed back.
    followed: HashMap<Address, Guid>,
}

impl SessionEffects {
    /// Adds what was learnt last. `directory` is the one that told it.
    pub fn add(&mut self, affected: AffectedAccounts, directory: &Directory) {
        for altered in &affected.accounts {
            if !altered.differences.has(Difference::Renamed) {
                continue;
            }
            let now = directory.names(altered.guid).unwrap_or_default();
            let former = altered.former.iter().flat_map(|former| &former.principals);
            for name in former.filter(|name| !now.have(name)) {
                let name = (name.user.clone(), name.domain.clone());
                self.given_up.entry(name).or_insert(altered.guid);
            }
        }
        self.waiting.extend(affected.accounts);
        self.first.extend(affected.first.map(|domain| (domain, None)));
    }

    /// Whether nothing is left to look at.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.first.is_empty()
    }

    /// The next events. At most `limit` accounts and addresses are looked at, so there are at most
    /// as many events; there may be none although more is waiting.
    pub fn next(
        &mut self,
        known: EffectInputs<'_>,
        proposal: ProposalContext<'_>,
        limit: usize,
    ) -> Vec<Event> {
        let (mut events, mut left) = (Vec::new(), limit);
        while left > 0
            && let Some(altered) = self.waiting.front()
        {
            let mut places = self.places.take().unwrap_or_else(|| {
                left -= 1;
                known.places(altered)
            });
            while left > 0
                && let Some(place) = places.pop()
            {
                left -= 1;
                let session = known.table.get(place).filter(|s| s.alive_at(proposal.now));
                let theirs =
                    session.filter(|session| self.is_of(altered, known.directory, session));
                let event = theirs.and_then(|s| follow(known.directory, proposal, altered, s));
                if event.as_ref().is_some_and(|event| event.formerly.is_some()) {
                    self.followed.insert(place, altered.guid);
                }
                events.extend(event);
            }
            if places.is_empty() {
                self.waiting.pop_front();
            } else {
                self.places = Some(places);
            }
        }
        while left > 0
            && let Some((domain, from)) = self.first.front_mut()
        {
            let mut after = known.whereabouts.after(*from);
            while left > 0
                && let Some(entry) = after.next()
            {
                (*from, left) = (Some(entry), left - 1);
                let session = known.table.get(entry.1).filter(|s| s.alive_at(proposal.now));
                // Whoever is about to get another name is found under it only afterwards.
                let deleted = session.filter(|session| {
                    !self.followed.contains_key(&session.address) && known.misses(domain, session)
                });
                let ends = deleted.filter(|_| proposal.gone.deleted == SessionAction::End);
                events.extend(ends.map(|session| event(Kind::Logout, session, proposal)));
            }
            if left > 0 {
                self.first.pop_front();
            }
        }
        if self.is_empty() {
            self.given_up.clear();
            self.followed.clear();
        }
        events
    }

    /// Whether a session is of this account: its name means the account now, or did before and
    /// means no other. A name that was given up is the former's, whoever took it over; that of an
    /// account that was deleted is too.
    fn is_of(&self, altered: &AccountChange, directory: &Directory, session: &Session) -> bool {
        let id = directory.nodes.object(altered.guid);
        let is_deleted = altered.differences.has(Difference::Deleted);
        let means = |found: Option<NodeId>, had: bool| match found {
            Some(found) if Some(found) == id => true,
            Some(_) => had && is_deleted,
            None => had,
        };
        let former = altered.former.as_deref();
        if altered.kind == AccountKind::Device {
            return session.device.as_ref().is_some_and(|device| {
                let had = former.is_some_and(|former| former.have_host(device));
                means(directory.device_of(device), had)
            });
        }
        if self.followed.get(&session.address).is_some_and(|whose| *whose != altered.guid) {
            return false;
        }
        session.principal.as_ref().is_some_and(|principal| {
            let name = (principal.user.clone(), principal.domain.clone());
            if let Some(by) = self.given_up.get(&name) {
                return *by == altered.guid;
            }
            let had = former.is_some_and(|former| former.have(principal));
            means(directory.account_of(principal), had)
        })
    }
}

impl EffectInputs<'_> {
    /// Whether somebody of `domain`, whom it knew when the session was seen last, is gone: the user,
    /// or the device where there is no user.
    fn misses(self, domain: &Name, session: &Session) -> bool {
        match (&session.principal, &session.device) {
            (Some(principal), _) => {
                session.membership.user.is_some()
                    && principal.domain.as_ref() == Some(domain)
                    && self.directory.account_of(principal).is_none()
            }
            (None, Some(device)) => {
                let folded = device.clone().folded();
                let suffix = folded.as_str().split_once('.').map(|(_, suffix)| suffix);
                session.membership.device.is_some()
                    && suffix == Some(domain.as_str())
                    && self.directory.device_of(device).is_none()
            }
            (None, None) => false,
        }
    }

    /// Where an account may be by the names that it has and had, descending.
    fn places(self, altered: &AccountChange) -> Vec<Address> {
        let (now, former) = (self.directory.names(altered.guid), altered.former.as_deref());
        let mut places = Vec::new();
        for names in now.iter().chain(former) {
            for name in &names.principals {
                places.extend(self.whereabouts.of_user(&name.user));
            }
            for host in &names.hosts {
                places.extend(self.whereabouts.of_device(host));
            }
        }
        places.sort_unstable_by(|one, other| other.cmp(one));
        places.dedup();
        places
    }
}

/// What follows for one session of an altered account.
fn follow(
    directory: &Directory,
    proposal: ProposalContext<'_>,
    altered: &AccountChange,
    session: &Session,
) -> Option<Event> {
    let now = directory.profile(altered.guid);
    let when_gone = match now.map(|profile| profile.account.state) {
        Some(AccountState::Enabled) => SessionAction::Keep,
        Some(AccountState::Disabled) => proposal.gone.disabled,
        None => proposal.gone.deleted,
    };
    let is_device = altered.kind == AccountKind::Device;
    // A user stays although the computer is gone; its groups go.
    let ends = when_gone == SessionAction::End && (!is_device || session.principal.is_none());
    if ends {
        return Some(event(Kind::Logout, session, proposal));
    }
    let groups = now.map(|profile| profile.groups.clone());
    if groups.is_none() && when_gone == SessionAction::Keep {
        return None;
    }
    let canonical = now.filter(|_| !is_device).and_then(|profile| profile.canonical(session));
    let there = &session.membership;
    let known = if is_device { &there.device } else { &there.user };
    if groups == *known && canonical.is_none() {
        return None;
    }
    // Of the other one it says nothing: what is known of them may be about to change, too.
    let mut event = event(Kind::Membership, session, proposal);
    if is_device {
        event.principal = None;
        event.membership = Membership { user: None, device: groups };
        return Some(event);
    }
    event.device = None;
    event.membership = Membership { user: groups, device: None };
    if let Some(canonical) = canonical {
        event.formerly = event.principal.replace(canonical).map(Box::new);
    }
    Some(event)
}

impl Profile<'_> {
    /// The canonical name, when the session's user goes by another.
    fn canonical(&self, session: &Session) -> Option<Principal> {
        let there = session.principal.as_ref()?;
        let canonical = Principal {
            user: self.account.name.clone().folded(),
            domain: Some(self.domain.dns.clone()),
            spellings: there.spellings,
        };
        (!canonical.is_called(there)).then_some(canonical)
    }
}

/// An event about the user and device of a session as it is.
fn event(
    kind: Kind,
    session: &Session,
    ProposalContext { now, origin, .. }: ProposalContext<'_>,
) -> Event {
    Event {
        kind,
        address: session.address,
        principal: session.principal.clone(),
        device: session.device.clone(),
        roles: None,
        membership: session.membership.clone(),
        formerly: None,
        sid: None,
        proof: Proof::Logon,
        posture: None,
        at: now,
        precision: Precision::Millisecond,
        seen: now,
        origin: origin.clone(),
    }
}
