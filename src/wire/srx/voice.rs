//! Formats responses for one firewall: its dialect, its group filter, and its names of domains.

use hashbrown::HashMap;
use hashbrown::HashSet;
use rollcall_identity::directory::{GroupFilter, NetbiosNames, WeakGroupSet};
use rollcall_identity::{Change, GroupSet, Name, Principal, Session};

use super::report::Whose;
use super::{Dialect, DomainForm, Format, json, xml};

/// The dialect and group filter of a firewall.
///
/// A million sessions share a few thousand sets of groups. The encoded list of each set is computed
/// once by [`ResponseFormatter::cache_groups`] and copied into reports. A set that is not cached is
/// encoded on the fly.
#[derive(Debug)]
pub struct Voice {
    dialect: Dialect,
    groups: GroupFilter,
    known: HashMap<(usize, Whose), Phrase>,
    /// The number of entries that triggers the removal of unused sets.
    enough: usize,
}

/// The encoded list of one set of groups.
#[derive(Debug)]
struct Phrase {
    watch: WeakGroupSet,
    written: Box<[u8]>,
    left_out: usize,
}

/// A formatter with the current NetBIOS names of the domains.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The dialect and the groups.
    pub voice: &'a Voice,
    /// For [`DomainForm::Netbios`].
    pub netbios: &'a NetbiosNames,
}

/// The minimum cache size before unused sets are removed.
const FEW: usize = 256;

impl Default for Voice {
    fn default() -> Self {
        Self::new(Dialect::default(), GroupFilter::default())
    }
}

impl Voice {
    /// A formatter with an empty cache.
    pub fn new(dialect: Dialect, groups: GroupFilter) -> Self {
        Self { dialect, groups, known: HashMap::new(), enough: FEW }
    }

    /// The dialect.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The group filter.
    pub fn groups(&self) -> &GroupFilter {
        &self.groups
    }

    /// Whether all lists for a report of this session are cached.
    pub fn knows(&self, session: &Session) -> bool {
        self.copied(session).all(|(whose, set)| self.known.contains_key(&(set.pointer_id(), whose)))
    }

    /// Caches the lists for a report of this session.
    pub fn learn(&mut self, session: &Session) {
        let news: Vec<_> = self
            .copied(session)
            .filter(|(whose, set)| !self.known.contains_key(&(set.pointer_id(), *whose)))
            .collect();
        for (whose, set) in news {
            let mut written = Vec::new();
            let left_out = self.compose(whose, &[], Some(set), &mut written);
            let phrase = Phrase { watch: set.downgrade(), written: written.into(), left_out };
            self.known.insert((set.pointer_id(), whose), phrase);
        }
        if self.known.len() > self.enough {
            self.known.retain(|_, phrase| !phrase.watch.is_dropped());
            self.enough = FEW.max(2 * self.known.len());
        }
    }

    /// The sets that a report of this session copies. A user with roles from the source is not
    /// cached, because both lists are merged.
    fn copied<'s>(&self, session: &'s Session) -> impl Iterator<Item = (Whose, &'s GroupSet)> {
        let listed = session.roles.as_ref().is_some_and(|roles| !roles.is_empty());
        let user = session.membership.user.as_ref().filter(|_| !listed);
        let device = session.membership.device.as_ref();
        let state = self.dialect.role(session.posture);
        user.map(|set| (Whose::User(state), set))
            .into_iter()
            .chain(device.map(|set| (Whose::Device, set)))
    }

    /// Appends the list of the device state, the roles `listed` by a source, and `groups`. Returns
    /// the number left out because of the limit.
    pub(super) fn write(
        &self,
        whose: Whose,
        listed: &[Name],
        groups: Option<&GroupSet>,
        out: &mut Vec<u8>,
    ) -> usize {
        let known = groups.filter(|_| listed.is_empty());
        match known.and_then(|set| self.known.get(&(set.pointer_id(), whose))) {
            Some(phrase) => {
                out.extend_from_slice(&phrase.written);
                phrase.left_out
            }
            None => self.compose(whose, listed, groups, out),
        }
    }

    fn compose(
        &self,
        whose: Whose,
        listed: &[Name],
        groups: Option<&GroupSet>,
        out: &mut Vec<u8>,
    ) -> usize {
        let selected = groups.map(|groups| self.groups.select(groups)).unwrap_or_default();
        let state = whose.state();
        let fold = |name: &Name| name.clone().folded();
        let listed = listed.iter().filter(|name| state.as_ref().is_none_or(|s| *s != fold(name)));
        let first = state.iter().chain(listed);
        let named: HashSet<Name> = match selected.names.as_slice() {
            [] => HashSet::new(),
            _ => first.clone().map(fold).collect(),
        };
        let more = selected.names.iter().filter(|name| !named.contains(&fold(name)));
        let all: Vec<&Name> = first.chain(more).collect();
        let kept = all.len().min(self.dialect.roles);
        match self.dialect.format {
            Format::Json => json::write_names(&all[..kept], out),
            Format::Xml => xml::write_names(whose, &all[..kept], out),
        }
        all.len() - kept + selected.omitted
    }
}

impl Speaker<'_> {
    /// The name of a user's domain for this firewall.
    pub(super) fn domain<'p>(&'p self, principal: &'p Principal) -> Option<&'p Name> {
        let domain = principal.domain.as_ref()?;
        match self.voice.dialect.domain {
            DomainForm::Dns => Some(domain),
            DomainForm::Netbios => Some(self.netbios.of(domain).unwrap_or(domain)),
        }
    }
}

/// The sessions in the reports of these changes.
pub fn told(changes: &[Change]) -> impl Iterator<Item = &Session> + Clone {
    changes.iter().filter_map(|change| change.session().map(|session| &**session))
}

#[cfg(test)]
mod tests;
