//! Computes, after an ingest, which accounts are affected and what changed.

use std::collections::VecDeque;
use std::ops::Range;
use std::vec;

use hashbrown::{HashMap, HashSet, hash_map, hash_set};

use super::closure::ClosureSearch;
use super::node_id::NodeId;
use super::nodes::{NodeKind, insert_sorted, remove_sorted};
use super::{
    AccountChange, AccountKind, AccountNames, AccountState, AffectedAccounts, Difference,
    Differences, Directory, GroupSet, Guid, Member, Sid,
};
use crate::Name;

/// The changes that one round of updates made to the graph, before the affected accounts are
/// computed.
#[derive(Debug, Default)]
pub(super) struct IngestRound {
    /// The accounts before the round; `None` for new accounts.
    before: HashMap<NodeId, Option<Box<AccountBefore>>>,
    /// Nodes where the graph changed. Only they and their descendants can be affected.
    dirty: HashSet<NodeId>,
    /// Groups that changed, by the SID that accounts reference as their primary group.
    primaries: HashSet<Sid>,
    /// Membership changes that are not applied to the members yet.
    links: VecDeque<MemberLinks>,
    /// The affected accounts.
    affected: Vec<AccountChange>,
    /// Accounts renamed because their domain was renamed.
    renamed: Vec<AccountChange>,
    /// The number of updates about members of unknown groups.
    pub(super) unknown_groups: usize,
    /// The domain, if this round completes its first read.
    pub(super) first_read: Option<Name>,
}

/// The members added to a group and removed from it.
#[derive(Debug)]
struct MemberLinks {
    group: NodeId,
    added: Vec<NodeId>,
    removed: Vec<NodeId>,
}

/// An account as it was before the round.
#[derive(Debug)]
pub(super) struct AccountBefore {
    kind: AccountKind,
    /// `None` if the round cannot have changed the names.
    names: Option<AccountNames>,
    state: AccountState,
    groups: Option<GroupSet>,
}

impl IngestRound {
    /// Marks a node where the graph changed.
    pub(super) fn mark_dirty(&mut self, id: NodeId) {
        self.dirty.insert(id);
    }

    /// Marks the group of this SID as changed.
    pub(super) fn mark_primary(&mut self, sid: Sid) {
        self.primaries.insert(sid);
    }

    /// Queues membership changes of `group` to be applied to the members.
    pub(super) fn queue_links(&mut self, group: NodeId, added: Vec<NodeId>, removed: Vec<NodeId>) {
        self.links.push_back(MemberLinks { group, added, removed });
    }

    /// Applies queued membership changes, at most `left`. Returns whether there were any.
    pub(super) fn apply_links(&mut self, directory: &mut Directory, budget: &mut usize) -> bool {
        let Some(MemberLinks { group, added, removed }) = self.links.front_mut() else {
            return false;
        };
        while *budget > 0 {
            *budget -= 1;
            let id = if let Some(id) = removed.pop() {
                remove_sorted(&mut directory.nodes.at_mut(id).parents, *group);
                id
            } else if let Some(id) = added.pop() {
                insert_sorted(&mut directory.nodes.at_mut(id).parents, *group);
                id
            } else {
                self.links.pop_front();
                break;
            };
            self.dirty.insert(id);
        }
        true
    }

    /// Reserves capacity for the changes of `more` objects, because growing a table delays lookups.
    pub(super) fn reserve(&mut self, more: usize) {
        self.before.reserve(more);
        self.dirty.reserve(more);
    }

    /// The affected accounts once the diff is complete; not sorted.
    pub(super) fn into_affected(self) -> AffectedAccounts {
        let Self { affected: mut accounts, renamed, unknown_groups, first_read: first, .. } = self;
        if !renamed.is_empty() {
            let known: HashSet<Guid> = accounts.iter().map(|change| change.guid).collect();
            accounts.extend(renamed.into_iter().filter(|change| !known.contains(&change.guid)));
        }
        AffectedAccounts { accounts, unknown_groups, first_read: first }
    }
}

/// The stage of a diff.
#[derive(Debug, Default)]
pub(super) enum DiffStage {
    /// Not started.
    #[default]
    Start,
    /// Finding accounts at and below the nodes that changed.
    FindAffected(ReachedNodes),
    /// Finding accounts whose primary group changed, from this node on. Skipped unless a primary
    /// group changed; then most accounts are affected anyway.
    FindPrimaryMembers(usize, ReachedNodes),
    /// Recomputing the groups of the accounts found.
    RecomputeGroups(vec::IntoIter<NodeId>, Box<ClosureSearch>),
    /// Comparing the accounts with their state before the round.
    Compare(hash_map::IntoIter<NodeId, Option<Box<AccountBefore>>>),
    /// Releasing unused nodes.
    Release(hash_set::IntoIter<NodeId>),
}

/// The nodes and accounts reached by a round.
#[derive(Debug, Default)]
pub(super) struct ReachedNodes {
    next: Vec<NodeId>,
    seen: HashSet<NodeId>,
    accounts: Vec<NodeId>,
}

impl DiffStage {
    /// Continues, using up to `left` units of work. Returns whether more remains.
    pub(super) fn step(
        &mut self,
        directory: &mut Directory,
        round: &mut IngestRound,
        budget: &mut usize,
    ) -> bool {
        let next = match self {
            Self::Start => {
                let (next, seen) = (round.dirty.iter().copied().collect(), HashSet::new());
                let mut found = ReachedNodes { next, seen, accounts: Vec::new() };
                found.seen.reserve(round.dirty.len());
                Some(Self::FindAffected(found))
            }
            Self::FindAffected(found) => {
                (!directory.find_affected(round, found, budget)).then(|| {
                    round.primaries.retain(|sid| directory.primaries.contains_key(sid));
                    Self::FindPrimaryMembers(0, std::mem::take(found))
                })
            }
            Self::FindPrimaryMembers(from, found) => {
                let until = if round.primaries.is_empty() { usize::MAX } else { *from + *budget };
                directory.find_primary_members(round, found, *from..until);
                (*from, *budget) = (until, 0);
                (until >= directory.nodes.len()).then(|| {
                    let accounts = std::mem::take(&mut found.accounts);
                    round.before.reserve(accounts.len().saturating_sub(round.before.len()));
                    Self::RecomputeGroups(accounts.into_iter(), Box::default())
                })
            }
            Self::RecomputeGroups(accounts, search) => match accounts.next() {
                Some(id) => {
                    *budget =
                        budget.saturating_sub(1 + directory.recompute_groups(round, id, search));
                    None
                }
                None => Some(Self::Compare(std::mem::take(&mut round.before).into_iter())),
            },
            Self::Compare(accounts) => match accounts.next() {
                Some((id, before)) => {
                    *budget -= 1;
                    directory.compare(round, id, before);
                    None
                }
                None => Some(Self::Release(std::mem::take(&mut round.dirty).into_iter())),
            },
            Self::Release(nodes) => {
                let Some(id) = nodes.next() else { return false };
                *budget -= 1;
                directory.nodes.release(id);
                None
            }
        };
        if let Some(next) = next {
            *self = next;
        }
        true
    }
}

impl Directory {
    /// Saves the state of an account before its first change in the round.
    pub(super) fn save_before(&self, round: &mut IngestRound, id: NodeId) {
        round.before.entry(id).or_insert_with(|| {
            let account = self.nodes.at(id).account()?;
            Some(Box::new(AccountBefore {
                kind: account.attrs.kind,
                names: self.names_of(account).into(),
                state: account.attrs.state,
                groups: account.groups.clone(),
            }))
        });
    }

    /// Marks the accounts of a renamed domain among the nodes in `range` as renamed.
    pub(super) fn mark_renamed(&self, round: &mut IngestRound, slot: usize, range: Range<usize>) {
        let differences = Differences::default().with(Difference::Renamed);
        for (_, node) in self.nodes.range(range) {
            let known = node.account().filter(|it| it.domain == slot && it.groups.is_some());
            if let (Some(account), Some(guid)) = (known, node.guid()) {
                let kind = account.attrs.kind;
                round.renamed.push(AccountChange { guid, kind, differences, former_names: None });
            }
        }
    }

    /// Visits the descendants of changed nodes, at most `left`. Returns whether more remain.
    fn find_affected(
        &self,
        round: &mut IngestRound,
        found: &mut ReachedNodes,
        budget: &mut usize,
    ) -> bool {
        while *budget > 0 {
            let Some(id) = found.next.pop() else { return false };
            *budget -= 1;
            if !found.seen.insert(id) {
                continue;
            }
            let node = self.nodes.at(id);
            match (&node.kind, &node.key) {
                (NodeKind::Account(_), _) => found.accounts.push(id),
                (NodeKind::Group(group), _) => {
                    found.next.extend(&group.members);
                    round.primaries.extend(group.attrs.sid.clone());
                }
                (NodeKind::Unknown, Member::Foreign(sid)) => found.next.extend(self.with_sid(sid)),
                (NodeKind::Unknown, Member::Object(_)) => {}
            }
        }
        true
    }

    /// Finds accounts among the nodes in `range` whose primary group changed.
    fn find_primary_members(
        &self,
        round: &IngestRound,
        found: &mut ReachedNodes,
        range: Range<usize>,
    ) {
        if round.primaries.is_empty() {
            return;
        }
        for (id, node) in self.nodes.range(range) {
            let primary = node.account().and_then(|account| self.primary_group(account));
            if primary.is_some_and(|sid| round.primaries.contains(&sid)) && found.seen.insert(id) {
                found.accounts.push(id);
            }
        }
    }

    /// Recomputes the groups of an account and returns their number.
    fn recompute_groups(
        &mut self,
        round: &mut IngestRound,
        id: NodeId,
        search: &mut ClosureSearch,
    ) -> usize {
        self.groups_above(id, search);
        let count = search.found.len();
        let groups = self.interner.intern(&mut search.found);
        let node = self.nodes.at_mut(id);
        // Vectors grow by doubling, and there is one per account.
        node.parents.shrink_to_fit();
        let Some(account) = node.account_mut() else { return count };
        let (kind, state) = (account.attrs.kind, account.attrs.state);
        let before = account.groups.replace(groups);
        if before == account.groups || round.before.contains_key(&id) {
            before.iter().for_each(|before| self.interner.release(before));
        } else {
            let before = AccountBefore { kind, names: None, state, groups: before };
            round.before.insert(id, Some(Box::new(before)));
        }
        count
    }

    /// Compares an account with its state before the round.
    fn compare(&mut self, round: &mut IngestRound, id: NodeId, before: Option<Box<AccountBefore>>) {
        let differences = self.differences(id, before.as_deref());
        let now = self.nodes.at(id);
        let kind = now.account().map(|account| account.attrs.kind);
        let kind = kind.or(before.as_ref().map(|before| before.kind));
        if let (Some(kind), Some(guid), false) = (kind, now.guid(), differences.is_empty()) {
            let gave_up =
                differences.has(Difference::Renamed) || differences.has(Difference::Deleted);
            let former =
                before.as_ref().filter(|_| gave_up).and_then(|before| before.names.clone());
            let change =
                AccountChange { guid, kind, differences, former_names: former.map(Box::new) };
            round.affected.push(change);
        }
        if let Some(groups) = before.and_then(|before| before.groups) {
            self.interner.release(&groups);
        }
    }

    /// The differences between an account and its state `before`.
    fn differences(&self, id: NodeId, before: Option<&AccountBefore>) -> Differences {
        let none = Differences::default();
        let (before, now) = match (before, self.nodes.at(id).account()) {
            (None, None) => return none,
            (None, Some(_)) => return none.with(Difference::New),
            (Some(_), None) => return none.with(Difference::Deleted),
            (Some(before), Some(now)) => (before, now),
        };
        let renamed = before.names.as_ref().is_some_and(|names| *names != self.names_of(now));
        let state = match (before.state, now.attrs.state) {
            (AccountState::Enabled, AccountState::Disabled) => Some(Difference::Disabled),
            (AccountState::Disabled, AccountState::Enabled) => Some(Difference::Enabled),
            _ => None,
        };
        let groups = (before.groups != now.groups).then_some(Difference::Groups);
        let renamed = (renamed || before.kind != now.attrs.kind).then_some(Difference::Renamed);
        [renamed, groups, state].into_iter().flatten().fold(none, Differences::with)
    }
}
