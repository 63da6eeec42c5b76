//! After a round of updates: whom it reaches, what is different for them, and nothing besides.

use hashbrown::{HashMap, HashSet};

use super::climbing::Climb;
use super::nodes::{Id, What};
use super::{
    AccountKind, Affected, Altered, Difference, Differences, Directory, GroupSet, Member, Names,
    Sid, State,
};

/// What one round of updates did to the graph, before its consequences are drawn.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// How accounts were before the round; `None` for those that were not known.
    before: HashMap<Id, Option<Box<Before>>>,
    /// Nodes at which the graph was changed. Only they and what is below them can be affected.
    pub(super) dirty: Vec<Id>,
    /// Groups that were changed, by the SID that makes them somebody's primary group.
    primaries: HashSet<Sid>,
    /// Updates of no use.
    pub(super) unplaced: usize,
}

/// An account as it was before the round.
#[derive(Debug)]
struct Before {
    kind: AccountKind,
    /// `None` when the round cannot have changed them.
    names: Option<Names>,
    state: State,
    groups: GroupSet,
}

impl Round {
    /// The graph was changed at this node.
    pub(super) fn dirty(&mut self, id: Id) {
        self.dirty.push(id);
    }

    /// The group of this SID was changed.
    pub(super) fn primary(&mut self, sid: Sid) {
        self.primaries.insert(sid);
    }
}

impl Directory {
    /// Remembers how an account was, before its first change in the round.
    pub(super) fn touch(&self, round: &mut Round, id: Id) {
        round.before.entry(id).or_insert_with(|| {
            let person = self.nodes.at(id).person()?;
            Some(Box::new(Before {
                kind: person.account.kind,
                names: self.names_of(person).into(),
                state: person.account.state,
                groups: person.groups.clone(),
            }))
        });
    }

    /// Draws the consequences of a round.
    pub(super) fn settle(&mut self, mut round: Round) -> Affected {
        self.regroup(&mut round);
        let mut accounts = Vec::new();
        for (id, before) in round.before {
            let differences = self.differences(id, before.as_deref());
            let now = self.nodes.at(id);
            let kind = now.person().map(|person| person.account.kind);
            let kind = kind.or(before.as_ref().map(|before| before.kind));
            if let (Some(kind), Some(guid), false) = (kind, now.guid(), differences.is_empty()) {
                let gave_up =
                    differences.has(Difference::Renamed) || differences.has(Difference::Deleted);
                let former =
                    before.as_ref().filter(|_| gave_up).and_then(|before| before.names.clone());
                accounts.push(Altered { guid, kind, differences, former: former.map(Box::new) });
            }
            if let Some(before) = before {
                self.interner.release(&before.groups);
            }
        }
        for id in round.dirty {
            self.nodes.release(id);
        }
        accounts.sort_unstable_by_key(|altered| (altered.former.is_none(), altered.guid));
        Affected { accounts, unplaced: round.unplaced }
    }

    /// Finds the groups anew of everybody whom the round reaches.
    fn regroup(&mut self, round: &mut Round) {
        let mut climb = Climb::default();
        for id in self.reached(round) {
            let groups = self.groups_above(id, &mut climb);
            let groups = self.interner.set(groups);
            let Some(person) = self.nodes.at_mut(id).person_mut() else { continue };
            let (kind, state) = (person.account.kind, person.account.state);
            let before = std::mem::replace(&mut person.groups, groups);
            if before == person.groups || round.before.contains_key(&id) {
                self.interner.release(&before);
            } else {
                let before = Before { kind, names: None, state, groups: before };
                round.before.insert(id, Some(Box::new(before)));
            }
        }
    }

    /// Every account at or below a node where the graph was changed.
    fn reached(&self, round: &mut Round) -> Vec<Id> {
        let (mut next, mut seen, mut accounts) = (round.dirty.clone(), HashSet::new(), Vec::new());
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = self.nodes.at(id);
            match (&node.what, &node.key) {
                (What::Account(_), _) => accounts.push(id),
                (What::Group(band), _) => {
                    next.extend(&band.members);
                    round.primaries.extend(band.group.sid.clone());
                }
                (What::Stranger, Member::Foreign(sid)) => next.extend(self.with_sid(sid)),
                (What::Stranger, Member::Object(_)) => {}
            }
        }
        // Nobody is asked for their primary group unless one of those was changed: then nearly
        // everybody is affected anyway.
        round.primaries.retain(|sid| self.primaries.contains_key(sid));
        if !round.primaries.is_empty() {
            for (id, node) in self.nodes.iter() {
                let primary = node.person().and_then(|person| self.primary_group(person));
                if primary.is_some_and(|sid| round.primaries.contains(&sid)) && seen.insert(id) {
                    accounts.push(id);
                }
            }
        }
        accounts
    }

    /// In what an account is otherwise than `before`.
    fn differences(&self, id: Id, before: Option<&Before>) -> Differences {
        let none = Differences::default();
        let (before, now) = match (before, self.nodes.at(id).person()) {
            (None, None) => return none,
            (None, Some(_)) => return none.with(Difference::New),
            (Some(_), None) => return none.with(Difference::Deleted),
            (Some(before), Some(now)) => (before, now),
        };
        let renamed = before.names.as_ref().is_some_and(|names| *names != self.names_of(now));
        let state = match (before.state, now.account.state) {
            (State::Enabled, State::Disabled) => Some(Difference::Disabled),
            (State::Disabled, State::Enabled) => Some(Difference::Enabled),
            _ => None,
        };
        let groups = (before.groups != now.groups).then_some(Difference::Groups);
        let renamed = (renamed || before.kind != now.account.kind).then_some(Difference::Renamed);
        [renamed, groups, state].into_iter().flatten().fold(none, Differences::with)
    }
}
