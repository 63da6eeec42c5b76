//! After what was learnt is entered: whom it reaches, what is different for them, and nothing besides.

use std::collections::VecDeque;
use std::ops::Range;
use std::vec;

use hashbrown::{HashMap, HashSet, hash_map, hash_set};

use super::closure::ClosureSearch;
use super::node_id::NodeId;
use super::nodes::{NodeKind, put, take};
use super::{
    AccountChange, AccountKind, AccountNames, AccountState, AffectedAccounts, Difference,
    Differences, Directory, GroupSet, Guid, Member, Sid,
};
use crate::Name;

/// What one round of updates did to the graph, before its consequences are drawn.
#[derive(Debug, Default)]
pub(super) struct IngestRound {
    /// How accounts were before the round; `None` for those that were not known.
    before: HashMap<NodeId, Option<Box<AccountBefore>>>,
    /// Nodes at which the graph was changed. Only they and what is below them can be affected.
    dirty: HashSet<NodeId>,
    /// Groups that were changed, by the SID that makes them somebody's primary group.
    primaries: HashSet<Sid>,
    /// Members that do not know of their group yet, or still do.
    links: VecDeque<MemberLinks>,
    /// Who is affected.
    affected: Vec<AccountChange>,
    /// Who goes by other names because the domain does.
    renamed: Vec<AccountChange>,
    /// Updates of no use.
    pub(super) unplaced: usize,
    /// The domain, when all of it is entered for the first time.
    pub(super) first: Option<Name>,
}

/// Who came to a group and who went.
#[derive(Debug)]
struct MemberLinks {
    group: NodeId,
    came: Vec<NodeId>,
    went: Vec<NodeId>,
}

/// An account as it was before the round.
#[derive(Debug)]
pub(super) struct AccountBefore {
    kind: AccountKind,
    /// `None` when the round cannot have changed them.
    names: Option<AccountNames>,
    state: AccountState,
    groups: Option<GroupSet>,
}

impl IngestRound {
    /// The graph was changed at this node.
    pub(super) fn dirty(&mut self, id: NodeId) {
        self.dirty.insert(id);
    }

    /// The group of this SID was changed.
    pub(super) fn primary(&mut self, sid: Sid) {
        self.primaries.insert(sid);
    }

    /// Members are to hear that they came to `group`, or went.
    pub(super) fn link(&mut self, group: NodeId, came: Vec<NodeId>, went: Vec<NodeId>) {
        self.links.push_back(MemberLinks { group, came, went });
    }

    /// Tells members, as many as are `left`. Whether there were any.
    pub(super) fn relink(&mut self, directory: &mut Directory, left: &mut usize) -> bool {
        let Some(MemberLinks { group, came, went }) = self.links.front_mut() else { return false };
        while *left > 0 {
            *left -= 1;
            let id = if let Some(id) = went.pop() {
                take(&mut directory.nodes.at_mut(id).above, *group);
                id
            } else if let Some(id) = came.pop() {
                put(&mut directory.nodes.at_mut(id).above, *group);
                id
            } else {
                self.links.pop_front();
                break;
            };
            self.dirty.insert(id);
        }
        true
    }

    /// Makes room for the changes of `more` objects: a table that grows makes everybody wait.
    pub(super) fn reserve(&mut self, more: usize) {
        self.before.reserve(more);
        self.dirty.reserve(more);
    }

    /// Who is affected, when everything is settled; not in their order yet.
    pub(super) fn into_affected(self) -> AffectedAccounts {
        let Self { affected: mut accounts, renamed, unplaced, first, .. } = self;
        if !renamed.is_empty() {
            let known: HashSet<Guid> = accounts.iter().map(|altered| altered.guid).collect();
            accounts.extend(renamed.into_iter().filter(|altered| !known.contains(&altered.guid)));
        }
        AffectedAccounts { accounts, unplaced, first }
    }
}

/// How far the consequences of a round are drawn.
#[derive(Debug, Default)]
pub(super) enum DiffStage {
    /// Nothing is.
    #[default]
    Begun,
    /// Accounts are looked for at and below the nodes that changed.
    Reaching(ReachedNodes),
    /// Accounts are looked for whose primary group changed, from this node on. Nobody is asked for it
    /// unless one of those was changed: then nearly everybody is affected anyway.
    Primaries(usize, ReachedNodes),
    /// The groups of those who are reached are found anew.
    Regrouping(vec::IntoIter<NodeId>, Box<ClosureSearch>),
    /// They are compared with what they were.
    Comparing(hash_map::IntoIter<NodeId, Option<Box<AccountBefore>>>),
    /// Numbers that nobody uses are given back.
    Releasing(hash_set::IntoIter<NodeId>),
}

/// Whom a round reaches.
#[derive(Debug, Default)]
pub(super) struct ReachedNodes {
    next: Vec<NodeId>,
    seen: HashSet<NodeId>,
    accounts: Vec<NodeId>,
}

impl DiffStage {
    /// Goes on, with as much as is `left`. Whether there is more.
    pub(super) fn go_on(
        &mut self,
        directory: &mut Directory,
        round: &mut IngestRound,
        left: &mut usize,
    ) -> bool {
        let next = match self {
            Self::Begun => {
                let (next, seen) = (round.dirty.iter().copied().collect(), HashSet::new());
                let mut reached = ReachedNodes { next, seen, accounts: Vec::new() };
                reached.seen.reserve(round.dirty.len());
                Some(Self::Reaching(reached))
            }
            Self::Reaching(reached) => (!directory.reach(round, reached, left)).then(|| {
                round.primaries.retain(|sid| directory.primaries.contains_key(sid));
                Self::Primaries(0, std::mem::take(reached))
            }),
            Self::Primaries(from, reached) => {
                let until = if round.primaries.is_empty() { usize::MAX } else { *from + *left };
                directory.reach_primaries(round, reached, *from..until);
                (*from, *left) = (until, 0);
                (until >= directory.nodes.len()).then(|| {
                    let accounts = std::mem::take(&mut reached.accounts);
                    round.before.reserve(accounts.len().saturating_sub(round.before.len()));
                    Self::Regrouping(accounts.into_iter(), Box::default())
                })
            }
            Self::Regrouping(accounts, climb) => match accounts.next() {
                Some(id) => {
                    *left = left.saturating_sub(1 + directory.regroup(round, id, climb));
                    None
                }
                None => Some(Self::Comparing(std::mem::take(&mut round.before).into_iter())),
            },
            Self::Comparing(accounts) => match accounts.next() {
                Some((id, before)) => {
                    *left -= 1;
                    directory.compare(round, id, before);
                    None
                }
                None => Some(Self::Releasing(std::mem::take(&mut round.dirty).into_iter())),
            },
            Self::Releasing(nodes) => {
                let Some(id) = nodes.next() else { return false };
                *left -= 1;
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
    /// Remembers how an account was, before its first change in the round.
    pub(super) fn touch(&self, round: &mut IngestRound, id: NodeId) {
        round.before.entry(id).or_insert_with(|| {
            let person = self.nodes.at(id).person()?;
            Some(Box::new(AccountBefore {
                kind: person.account.kind,
                names: self.names_of(person).into(),
                state: person.account.state,
                groups: person.groups.clone(),
            }))
        });
    }

    /// Notes of the accounts of a domain that they go by other names, because the domain does: of the
    /// nodes in `range`.
    pub(super) fn rename_all(&self, round: &mut IngestRound, place: usize, range: Range<usize>) {
        let differences = Differences::default().with(Difference::Renamed);
        for (_, node) in self.nodes.part(range) {
            let known = node.person().filter(|it| it.domain == place && it.groups.is_some());
            if let (Some(person), Some(guid)) = (known, node.guid()) {
                let kind = person.account.kind;
                round.renamed.push(AccountChange { guid, kind, differences, former: None });
            }
        }
    }

    /// Looks at those below a node where the graph was changed, as many as are `left`. Whether there
    /// are more.
    fn reach(&self, round: &mut IngestRound, reached: &mut ReachedNodes, left: &mut usize) -> bool {
        while *left > 0 {
            let Some(id) = reached.next.pop() else { return false };
            *left -= 1;
            if !reached.seen.insert(id) {
                continue;
            }
            let node = self.nodes.at(id);
            match (&node.what, &node.key) {
                (NodeKind::Account(_), _) => reached.accounts.push(id),
                (NodeKind::Group(band), _) => {
                    reached.next.extend(&band.members);
                    round.primaries.extend(band.group.sid.clone());
                }
                (NodeKind::Stranger, Member::Foreign(sid)) => {
                    reached.next.extend(self.with_sid(sid))
                }
                (NodeKind::Stranger, Member::Object(_)) => {}
            }
        }
        true
    }

    /// Of the nodes in `range`, looks for accounts whose primary group was changed.
    fn reach_primaries(
        &self,
        round: &IngestRound,
        reached: &mut ReachedNodes,
        range: Range<usize>,
    ) {
        if round.primaries.is_empty() {
            return;
        }
        for (id, node) in self.nodes.part(range) {
            let primary = node.person().and_then(|person| self.primary_group(person));
            if primary.is_some_and(|sid| round.primaries.contains(&sid)) && reached.seen.insert(id)
            {
                reached.accounts.push(id);
            }
        }
    }

    /// Finds the groups of an account anew. How many there are.
    fn regroup(&mut self, round: &mut IngestRound, id: NodeId, climb: &mut ClosureSearch) -> usize {
        self.groups_above(id, climb);
        let count = climb.found.len();
        let groups = self.interner.set(&mut climb.found);
        let node = self.nodes.at_mut(id);
        // Lists grow by doubling, and there are as many as accounts.
        node.above.shrink_to_fit();
        let Some(person) = node.person_mut() else { return count };
        let (kind, state) = (person.account.kind, person.account.state);
        let before = person.groups.replace(groups);
        if before == person.groups || round.before.contains_key(&id) {
            before.iter().for_each(|before| self.interner.release(before));
        } else {
            let before = AccountBefore { kind, names: None, state, groups: before };
            round.before.insert(id, Some(Box::new(before)));
        }
        count
    }

    /// Compares an account with what it was.
    fn compare(&mut self, round: &mut IngestRound, id: NodeId, before: Option<Box<AccountBefore>>) {
        let differences = self.differences(id, before.as_deref());
        let now = self.nodes.at(id);
        let kind = now.person().map(|person| person.account.kind);
        let kind = kind.or(before.as_ref().map(|before| before.kind));
        if let (Some(kind), Some(guid), false) = (kind, now.guid(), differences.is_empty()) {
            let gave_up =
                differences.has(Difference::Renamed) || differences.has(Difference::Deleted);
            let former =
                before.as_ref().filter(|_| gave_up).and_then(|before| before.names.clone());
            let altered = AccountChange { guid, kind, differences, former: former.map(Box::new) };
            round.affected.push(altered);
        }
        if let Some(groups) = before.and_then(|before| before.groups) {
            self.interner.release(&groups);
        }
    }

    /// In what an account is otherwise than `before`.
    fn differences(&self, id: NodeId, before: Option<&AccountBefore>) -> Differences {
        let none = Differences::default();
        let (before, now) = match (before, self.nodes.at(id).person()) {
            (None, None) => return none,
            (None, Some(_)) => return none.with(Difference::New),
            (Some(_), None) => return none.with(Difference::Deleted),
            (Some(before), Some(now)) => (before, now),
        };
        let renamed = before.names.as_ref().is_some_and(|names| *names != self.names_of(now));
        let state = match (before.state, now.account.state) {
            (AccountState::Enabled, AccountState::Disabled) => Some(Difference::Disabled),
            (AccountState::Disabled, AccountState::Enabled) => Some(Difference::Enabled),
            _ => None,
        };
        let groups = (before.groups != now.groups).then_some(Difference::Groups);
        let renamed = (renamed || before.kind != now.account.kind).then_some(Difference::Renamed);
        [renamed, groups, state].into_iter().flatten().fold(none, Differences::with)
    }
}
