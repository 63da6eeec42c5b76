//! The joint book of all configured directories, kept up to date change by change.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::domains::Domains;
use super::index::{Index, Print, Printer};
use super::interner::Interner;
use super::nodes::{Band, Id, Node, Nodes, Person, What};
use super::settling::Round;
use super::{
    Affected, BareNames, DomainNames, Group, Guid, Image, Member, Object, Sid, UnknownDomain,
    Update,
};
use crate::Name;

/// All users, devices and groups of all configured directories, and who is in which group.
///
/// Objects are known by their GUID, whichever domain they are in, so that a group of one domain can
/// hold members of another, and an account that moves from one to the other stays the same. A
/// member that is not known yet counts as soon as it appears.
#[derive(Debug, Default)]
pub struct Directory {
    pub(super) nodes: Nodes,
    pub(super) domains: Domains,
    pub(super) interner: Interner,
    pub(super) printer: Printer,
    pub(super) sids: Index,
    pub(super) names: Index,
    pub(super) upns: Index,
    pub(super) hosts: Index,
    /// How many accounts have the group of this SID as their primary one.
    pub(super) primaries: HashMap<Sid, usize>,
}

/// An object as it was seen, apart from what it is.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) guid: Guid,
    pub(super) dn: Box<str>,
    pub(super) sid: Option<Sid>,
}

impl Directory {
    /// There are so many domains, known yet or not: while there are others, a name without a domain
    /// does not mean the one that was read first.
    pub fn expect(&mut self, domains: usize) {
        self.domains.expect(domains);
    }

    /// Enters a domain, before anything that is read from it; or what it is called from now on.
    pub fn put_domain(&mut self, names: DomainNames, bare: BareNames) {
        self.domains.put(names, bare);
    }

    /// [`Directory::begin_apply`], all of it at once.
    ///
    /// # Errors
    /// The same.
    pub fn apply(
        &mut self,
        domain: &Name,
        updates: Vec<Update>,
    ) -> Result<Affected, UnknownDomain> {
        Ok(self.begin_apply(domain, updates)?.finish(self))
    }

    /// [`Directory::begin_replace`], all of it at once.
    ///
    /// # Errors
    /// The same.
    pub fn replace(&mut self, domain: &Name, image: Image) -> Result<Affected, UnknownDomain> {
        Ok(self.begin_replace(domain, image)?.finish(self))
    }

    /// [`Directory::begin_forget`], all of it at once.
    ///
    /// # Errors
    /// The same.
    pub fn forget(&mut self, domain: &Name) -> Result<Affected, UnknownDomain> {
        Ok(self.begin_forget(domain)?.finish(self))
    }

    /// Whether every domain that is [expected](Self::expect) was read whole: as long as one was not,
    /// whoever is missed in another may have moved there.
    pub fn is_complete(&self) -> bool {
        self.domains.all_read()
    }

    /// Whether what `update` says of an account of the domain with this DNS name is known already. Of a
    /// group it is never known: its members may come in parts.
    pub fn says(&self, domain: &Name, update: &Update) -> bool {
        let Update::Seen { guid, dn, sid, object: Object::Account(account) } = update else {
            return false;
        };
        let id = self.nodes.object(*guid);
        let person = id.and_then(|id| self.nodes.at(id).person());
        let known = person.filter(|known| self.domains.known(domain) == Ok(known.domain));
        known.is_some_and(|known| known.groups.is_some() && known.is((dn, sid.as_ref(), account)))
    }

    /// Enters one change of a domain.
    pub(super) fn enter_update(&mut self, round: &mut Round, place: usize, update: Update) {
        match update {
            Update::Seen { guid, dn, sid, object } => {
                self.see(round, place, Sight { guid, dn, sid }, object);
            }
            Update::Linked { group, added, removed } => self.link(round, group, &added, &removed),
            Update::Gone(guid) => {
                let id = self.nodes.object(guid);
                if let Some(id) = id.filter(|id| self.nodes.at(*id).domain() == Some(place)) {
                    self.vanish(round, id);
                }
            }
        }
    }

    /// Makes room for `more` objects.
    pub(super) fn reserve(&mut self, more: usize) {
        self.nodes.reserve(more);
        self.sids.reserve(more);
        self.names.reserve(more);
        self.interner.reserve(more);
    }

    /// Enters an object as it is now.
    fn see(&mut self, round: &mut Round, place: usize, sight: Sight, object: Object) {
        match object {
            Object::Account(account) => {
                let Sight { guid, dn, sid } = sight;
                self.see_account(round, place, guid, Box::new(Person::seen(dn, sid, account)));
            }
            Object::Group { name, members } => {
                let members = members.iter().map(|member| self.nodes.number(member)).collect();
                self.see_group(round, place, sight, (name, members));
            }
        }
    }

    /// Enters an account as it is now.
    pub(super) fn see_account(
        &mut self,
        round: &mut Round,
        domain: usize,
        guid: Guid,
        mut person: Box<Person>,
    ) {
        person.domain = domain;
        let id = self.nodes.number(&Member::Object(guid));
        if self.nodes.at(id).band().is_some() {
            self.vanish(round, id);
        }
        let mut primary = None;
        if let Some(known) = self.nodes.at(id).person() {
            let seen = (&*person.dn, person.sid.as_ref(), &person.account);
            if known.domain == domain && known.groups.is_some() && known.is(seen) {
                return;
            }
            person.groups.clone_from(&known.groups);
            primary = Some((known.sid.clone(), self.primary_group(known)));
        }
        self.touch(round, id);
        self.leave_indexes(id);
        let same_place = primary == Some((person.sid.clone(), self.primary_group(&person)));
        if !same_place || person.groups.is_none() {
            round.dirty(id);
        }
        self.nodes.at_mut(id).what = What::Account(person);
        self.enter_indexes(id);
    }

    /// Enters a group as it is now, with all its members.
    pub(super) fn see_group(
        &mut self,
        round: &mut Round,
        domain: usize,
        Sight { guid, dn, sid }: Sight,
        (name, mut members): (Name, Vec<Id>),
    ) {
        let id = self.nodes.number(&Member::Object(guid));
        if self.nodes.at(id).person().is_some() {
            self.vanish(round, id);
        }
        let Some(of) = self.domains.at(domain).map(|domain| domain.names.dns.clone()) else {
            return;
        };
        let group = Group { name, domain: of, dn: dn.into(), sid };
        let known = self.nodes.at(id).band();
        if known.is_none_or(|known| known.domain != domain || *known.group != group) {
            self.leave_indexes(id);
            let before =
                self.nodes.at_mut(id).band_mut().map(|known| std::mem::take(&mut known.members));
            if let Some(sid) = self.nodes.at(id).sid() {
                round.primary(sid.clone());
            }
            let (group, members) = (Arc::new(group), before.unwrap_or_default());
            self.nodes.at_mut(id).what = What::Group(Box::new(Band { domain, group, members }));
            self.enter_indexes(id);
            round.dirty(id);
        }
        members.sort_unstable();
        members.dedup();
        self.set_members(round, id, members);
    }

    /// Makes `members`, ascending, the members of a group. What it means to each of them follows in
    /// [`Round::relink`].
    fn set_members(&mut self, round: &mut Round, group: Id, members: Vec<Id>) {
        let Some(band) = self.nodes.at_mut(group).band_mut() else { return };
        let before = std::mem::replace(&mut band.members, members);
        let came = band.members.iter().filter(|id| before.binary_search(id).is_err());
        let went = before.iter().filter(|id| band.members.binary_search(id).is_err());
        round.link(group, came.copied().collect(), went.copied().collect());
    }

    /// Enters who joined and who left a group.
    fn link(&mut self, round: &mut Round, group: Guid, added: &[Member], removed: &[Member]) {
        let group = self.nodes.object(group);
        let Some(band) = group.and_then(|id| self.nodes.at(id).band()) else {
            round.unplaced += 1;
            return;
        };
        let removed: HashSet<Id> = removed.iter().filter_map(|m| self.nodes.find(m)).collect();
        let mut members = band.members.clone();
        members.retain(|id| !removed.contains(id));
        members.extend(added.iter().map(|member| self.nodes.number(member)));
        members.sort_unstable();
        members.dedup();
        group.into_iter().for_each(|id| self.set_members(round, id, std::mem::take(&mut members)));
    }

    /// Takes away all that is known of a node. Groups go on naming it.
    pub(super) fn vanish(&mut self, round: &mut Round, id: Id) {
        self.touch(round, id);
        self.leave_indexes(id);
        let what = std::mem::take(&mut self.nodes.at_mut(id).what);
        round.dirty(id);
        let What::Group(band) = what else { return };
        round.link(id, Vec::new(), band.members);
        band.group.sid.iter().for_each(|sid| round.primary(sid.clone()));
    }

    /// The SID of an account's primary group.
    pub(super) fn primary_group(&self, person: &Person) -> Option<Sid> {
        let rid = person.account.primary_group?;
        let own = person.sid.as_ref().and_then(Sid::domain);
        match own {
            Some(domain) => domain.account(rid),
            None => self.domains.at(person.domain)?.names.sid.account(rid),
        }
    }

    fn enter_indexes(&mut self, id: Id) {
        let keys = self.keys(self.nodes.at(id));
        for (index, print) in self.indexes(keys) {
            index.insert(print, id);
        }
        let primary = self.nodes.at(id).person().and_then(|person| self.primary_group(person));
        if let Some(sid) = primary {
            *self.primaries.entry(sid).or_default() += 1;
        }
    }

    fn leave_indexes(&mut self, id: Id) {
        let keys = self.keys(self.nodes.at(id));
        for (index, print) in self.indexes(keys) {
            index.remove(print, id);
        }
        let primary = self.nodes.at(id).person().and_then(|person| self.primary_group(person));
        if let Some(sid) = primary
            && let Some(many) = self.primaries.get_mut(&sid)
        {
            *many -= 1;
            if *many == 0 {
                self.primaries.remove(&sid);
            }
        }
    }

    /// Under what a node is found: SID, name in its domain, UPN and host name.
    fn keys(&self, node: &Node) -> [Option<Print>; 4] {
        let folded = |name: &Name| name.clone().folded();
        let sid = node.sid().map(|sid| self.sid_print(sid));
        match &node.what {
            What::Stranger => [None; 4],
            What::Group(band) => [
                sid,
                Some(self.name_print(band.domain, folded(&band.group.name).as_str())),
                None,
                None,
            ],
            What::Account(person) => {
                let account = &person.account;
                let text =
                    |name: Option<&Name>| name.map(|name| self.text_print(folded(name).as_str()));
                let name = self.name_print(person.domain, folded(&account.name).as_str());
                [sid, Some(name), text(account.upn.as_ref()), text(account.host.as_deref())]
            }
        }
    }

    /// The indexes, each with the fingerprint that goes into it.
    fn indexes(&mut self, keys: [Option<Print>; 4]) -> impl Iterator<Item = (&mut Index, Print)> {
        let all = [&mut self.sids, &mut self.names, &mut self.upns, &mut self.hosts];
        all.into_iter().zip(keys).filter_map(|(index, print)| Some((index, print?)))
    }

    pub(super) fn sid_print(&self, sid: &Sid) -> Print {
        self.printer.of(sid)
    }

    pub(super) fn name_print(&self, domain: usize, name: &str) -> Print {
        self.printer.of((domain, name))
    }

    pub(super) fn text_print(&self, text: &str) -> Print {
        self.printer.of(text)
    }
}
