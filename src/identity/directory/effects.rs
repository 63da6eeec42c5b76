//! The effects of directory changes on sessions, as proposed events.

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

/// What happens to the sessions of a removed account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SessionAction {
    /// They stay until they end for another reason.
    #[default]
    Keep,
    /// They end.
    End,
}

/// What happens to the sessions of disabled and deleted accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemovalPolicy {
    /// If the account was disabled.
    pub disabled: SessionAction,
    /// If the account was deleted.
    pub deleted: SessionAction,
}

/// The state that effects are computed from.
#[derive(Debug, Clone, Copy)]
pub struct EffectInputs<'a> {
    /// All directories, in their current state.
    pub directory: &'a Directory,
    /// All sessions.
    pub table: &'a Table,
    /// The index of the sessions' addresses.
    pub addresses: &'a AddressIndex,
}

/// The parameters of the proposed events.
#[derive(Debug, Clone, Copy)]
pub struct ProposalContext<'a> {
    /// What happens to the sessions of removed accounts.
    pub removal: RemovalPolicy,
    /// The time of the events.
    pub now: Timestamp,
    /// The origin of the events. Its kind must be `ActiveDirectory`, or the table refuses them.
    pub origin: &'a Arc<Origin>,
}

/// Affected accounts whose sessions are still to be checked, in slices.
///
/// An account that released a name is checked before the account that took the name over, and
/// sessions under that name belong to the former. The table decides the events in the order in
/// which they are proposed.
#[derive(Debug, Default)]
pub struct SessionEffects {
    pending: VecDeque<AccountChange>,
    /// The unchecked addresses of the first account, once they were looked up.
    pending_addresses: Option<Vec<Address>>,
    /// Names released by a rename, and the account that released each.
    released_names: HashMap<(Name, Option<Name>), Guid>,
    /// Domains that were read for the first time, and how far their sessions were searched for
    /// unknown users.
    first_reads: VecDeque<(Name, Option<IndexEntry>)>,
    /// Sessions that were renamed, or are about to be, and their account. Prevents two accounts
    /// that swap names from being renamed back.
    renamed_sessions: HashMap<Address, Guid>,
}

impl SessionEffects {
    /// Adds affected accounts. `directory` is the one that reported them.
    pub fn add(&mut self, affected: AffectedAccounts, directory: &Directory) {
        for change in &affected.accounts {
            if !change.differences.has(Difference::Renamed) {
                continue;
            }
            let now = directory.names(change.guid).unwrap_or_default();
            let former = change.former_names.iter().flat_map(|former| &former.principals);
            for name in former.filter(|name| !now.contains(name)) {
                let name = (name.user.clone(), name.domain.clone());
                self.released_names.entry(name).or_insert(change.guid);
            }
        }
        self.pending.extend(affected.accounts);
        self.first_reads.extend(affected.first_read.map(|domain| (domain, None)));
    }

    /// Whether nothing is left to check.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.first_reads.is_empty()
    }

    /// The next events. At most `limit` accounts and addresses are checked, so there are at most
    /// `limit` events; there may be none although more work is pending.
    pub fn next(
        &mut self,
        known: EffectInputs<'_>,
        proposal: ProposalContext<'_>,
        limit: usize,
    ) -> Vec<Event> {
        let (mut events, mut budget) = (Vec::new(), limit);
        while budget > 0
            && let Some(change) = self.pending.front()
        {
            let mut addresses = self.pending_addresses.take().unwrap_or_else(|| {
                budget -= 1;
                known.addresses_of(change)
            });
            while budget > 0
                && let Some(address) = addresses.pop()
            {
                budget -= 1;
                let session = known.table.get(address).filter(|s| s.is_active_at(proposal.now));
                let owned =
                    session.filter(|session| self.belongs_to(change, known.directory, session));
                let new_event = owned.and_then(|s| event_for(known.directory, proposal, change, s));
                if new_event.as_ref().is_some_and(|new_event| new_event.renamed_from.is_some()) {
                    self.renamed_sessions.insert(address, change.guid);
                }
                events.extend(new_event);
            }
            if addresses.is_empty() {
                self.pending.pop_front();
            } else {
                self.pending_addresses = Some(addresses);
            }
        }
        while budget > 0
            && let Some((domain, from)) = self.first_reads.front_mut()
        {
            let mut after = known.addresses.after(*from);
            while budget > 0
                && let Some(entry) = after.next()
            {
                (*from, budget) = (Some(entry), budget - 1);
                let session = known.table.get(entry.1).filter(|s| s.is_active_at(proposal.now));
                // A user who is about to be renamed is found under the new name only afterwards.
                let deleted = session.filter(|session| {
                    !self.renamed_sessions.contains_key(&session.address)
                        && known.is_missing(domain, session)
                });
                let ends = deleted.filter(|_| proposal.removal.deleted == SessionAction::End);
                events.extend(ends.map(|session| new_event(Kind::Logout, session, proposal)));
            }
            if budget > 0 {
                self.first_reads.pop_front();
            }
        }
        if self.is_empty() {
            self.released_names.clear();
            self.renamed_sessions.clear();
        }
        events
    }

    /// Whether a session belongs to this account: its name refers to the account now, or did before
    /// and refers to no other. A released name, or the name of a deleted account, belongs to the
    /// former owner, even if another account took it over.
    fn belongs_to(&self, change: &AccountChange, directory: &Directory, session: &Session) -> bool {
        let id = directory.nodes.object(change.guid);
        let is_deleted = change.differences.has(Difference::Deleted);
        let means = |found: Option<NodeId>, had_name: bool| match found {
            Some(found) if Some(found) == id => true,
            Some(_) => had_name && is_deleted,
            None => had_name,
        };
        let former = change.former_names.as_deref();
        if change.kind == AccountKind::Device {
            return session.device.as_ref().is_some_and(|device| {
                let had_name = former.is_some_and(|former| former.contains_host(device));
                means(directory.device_of(device), had_name)
            });
        }
        if self.renamed_sessions.get(&session.address).is_some_and(|owner| *owner != change.guid) {
            return false;
        }
        session.principal.as_ref().is_some_and(|principal| {
            let name = (principal.user.clone(), principal.domain.clone());
            if let Some(by) = self.released_names.get(&name) {
                return *by == change.guid;
            }
            let had_name = former.is_some_and(|former| former.contains(principal));
            means(directory.account_of(principal), had_name)
        })
    }
}

impl EffectInputs<'_> {
    /// Whether the user (or the device, without a user) is of `domain`, was known when last seen,
    /// and no longer exists.
    fn is_missing(self, domain: &Name, session: &Session) -> bool {
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

    /// The addresses where an account may be by its current and former names, in descending order.
    fn addresses_of(self, change: &AccountChange) -> Vec<Address> {
        let (now, former) = (self.directory.names(change.guid), change.former_names.as_deref());
        let mut addresses = Vec::new();
        for names in now.iter().chain(former) {
            for name in &names.principals {
                addresses.extend(self.addresses.user_addresses(&name.user));
            }
            for host in &names.hosts {
                addresses.extend(self.addresses.device_addresses(host));
            }
        }
        addresses.sort_unstable_by(|one, other| other.cmp(one));
        addresses.dedup();
        addresses
    }
}

/// The event for one session of a changed account, if any.
fn event_for(
    directory: &Directory,
    proposal: ProposalContext<'_>,
    change: &AccountChange,
    session: &Session,
) -> Option<Event> {
    let now = directory.profile(change.guid);
    let action = match now.map(|profile| profile.account.state) {
        Some(AccountState::Enabled) => SessionAction::Keep,
        Some(AccountState::Disabled) => proposal.removal.disabled,
        None => proposal.removal.deleted,
    };
    let is_device = change.kind == AccountKind::Device;
    // A user stays when the computer is removed; the computer's groups do not.
    let ends = action == SessionAction::End && (!is_device || session.principal.is_none());
    if ends {
        return Some(new_event(Kind::Logout, session, proposal));
    }
    let groups = now.map(|profile| profile.groups.clone());
    if groups.is_none() && action == SessionAction::Keep {
        return None;
    }
    let canonical = now.filter(|_| !is_device).and_then(|profile| profile.canonical(session));
    let current = &session.membership;
    let known = if is_device { &current.device } else { &current.user };
    if groups == *known && canonical.is_none() {
        return None;
    }
    // The event says nothing about the other account, which may be about to change too.
    let mut new_event = new_event(Kind::Membership, session, proposal);
    if is_device {
        new_event.principal = None;
        new_event.membership = Membership { user: None, device: groups };
        return Some(new_event);
    }
    new_event.device = None;
    new_event.membership = Membership { user: groups, device: None };
    if let Some(canonical) = canonical {
        new_event.renamed_from = new_event.principal.replace(canonical).map(Box::new);
    }
    Some(new_event)
}

impl Profile<'_> {
    /// The canonical name, if the session's user has another name.
    fn canonical(&self, session: &Session) -> Option<Principal> {
        let current = session.principal.as_ref()?;
        let canonical = Principal {
            user: self.account.name.clone().folded(),
            domain: Some(self.domain.dns.clone()),
            spellings: current.spellings,
        };
        (!canonical.has_same_name(current)).then_some(canonical)
    }
}

/// An event about the user and device of a session.
fn new_event(
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
        renamed_from: None,
        sid: None,
        proof: Proof::Logon,
        posture: None,
        at: now,
        precision: Precision::Millisecond,
        seen: now,
        origin: origin.clone(),
    }
}
