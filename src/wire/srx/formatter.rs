//! Formats responses for one firewall: its dialect, its group filter, and its names of domains.

use hashbrown::HashMap;
use hashbrown::HashSet;
use rollcall_identity::directory::{GroupFilter, NetbiosNames, WeakGroupSet};
use rollcall_identity::{Change, GroupSet, Name, Principal, Session};

use super::report::GroupOwner;
use super::{Dialect, DomainForm, Format, json, xml};

/// The dialect and group filter of a firewall.
///
/// A million sessions share a few thousand sets of groups. The encoded list of each set is computed
/// once by [`ResponseFormatter::cache_groups`] and copied into reports. A set that is not cached is
/// encoded on the fly.
#[derive(Debug)]
pub struct ResponseFormatter {
    dialect: Dialect,
    groups: GroupFilter,
    cache: HashMap<(usize, GroupOwner), CachedGroupList>,
    /// The number of entries that triggers the removal of unused sets.
    evict_at: usize,
}

/// The encoded list of one set of groups.
#[derive(Debug)]
struct CachedGroupList {
    watch: WeakGroupSet,
    written: Box<[u8]>,
    left_out: usize,
}

/// A formatter with the current NetBIOS names of the domains.
#[derive(Debug, Clone, Copy)]
pub struct ResponseWriter<'a> {
    /// The dialect and the groups.
    pub formatter: &'a ResponseFormatter,
    /// For [`DomainForm::Netbios`].
    pub netbios: &'a NetbiosNames,
}

/// The minimum cache size before unused sets are removed.
const MIN_CACHE: usize = 256;

impl Default for ResponseFormatter {
    fn default() -> Self {
        Self::new(Dialect::default(), GroupFilter::default())
    }
}

impl ResponseFormatter {
    /// A formatter with an empty cache.
    pub fn new(dialect: Dialect, groups: GroupFilter) -> Self {
        Self { dialect, groups, cache: HashMap::new(), evict_at: MIN_CACHE }
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
    pub fn is_cached(&self, session: &Session) -> bool {
        self.cached_sets(session)
            .all(|(whose, set)| self.cache.contains_key(&(set.pointer_id(), whose)))
    }

    /// Caches the lists for a report of this session.
    pub fn cache_groups(&mut self, session: &Session) {
        let missing: Vec<_> = self
            .cached_sets(session)
            .filter(|(whose, set)| !self.cache.contains_key(&(set.pointer_id(), *whose)))
            .collect();
        for (whose, set) in missing {
            let mut written = Vec::new();
            let left_out = self.encode(whose, &[], Some(set), &mut written);
            let list =
                CachedGroupList { watch: set.downgrade(), written: written.into(), left_out };
            self.cache.insert((set.pointer_id(), whose), list);
        }
        if self.cache.len() > self.evict_at {
            self.cache.retain(|_, list| !list.watch.is_dropped());
            self.evict_at = MIN_CACHE.max(2 * self.cache.len());
        }
    }

    /// The sets that a report of this session copies. A user with roles from the source is not
    /// cached, because both lists are merged.
    fn cached_sets<'s>(
        &self,
        session: &'s Session,
    ) -> impl Iterator<Item = (GroupOwner, &'s GroupSet)> {
        let listed = session.roles.as_ref().is_some_and(|roles| !roles.is_empty());
        let user = session.membership.user.as_ref().filter(|_| !listed);
        let device = session.membership.device.as_ref();
        let state = self.dialect.role(session.posture);
        user.map(|set| (GroupOwner::User(state), set))
            .into_iter()
            .chain(device.map(|set| (GroupOwner::Device, set)))
    }

    /// Appends the list of the device state, the roles `listed` by a source, and `groups`. Returns
    /// the number left out because of the limit.
    pub(super) fn write(
        &self,
        whose: GroupOwner,
        listed: &[Name],
        groups: Option<&GroupSet>,
        out: &mut Vec<u8>,
    ) -> usize {
        let known = groups.filter(|_| listed.is_empty());
        match known.and_then(|set| self.cache.get(&(set.pointer_id(), whose))) {
            Some(list) => {
                out.extend_from_slice(&list.written);
                list.left_out
            }
            None => self.encode(whose, listed, groups, out),
        }
    }

    fn encode(
        &self,
        whose: GroupOwner,
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

impl ResponseWriter<'_> {
    /// The name of a user's domain for this firewall.
    pub(super) fn domain<'p>(&'p self, principal: &'p Principal) -> Option<&'p Name> {
        let domain = principal.domain.as_ref()?;
        match self.formatter.dialect.domain {
            DomainForm::Dns => Some(domain),
            DomainForm::Netbios => Some(self.netbios.of(domain).unwrap_or(domain)),
        }
    }
}

/// The sessions in the reports of these changes.
pub fn reported_sessions(changes: &[Change]) -> impl Iterator<Item = &Session> + Clone {
    changes.iter().filter_map(|change| change.session().map(|session| &**session))
}

#[cfg(test)]
mod tests;
