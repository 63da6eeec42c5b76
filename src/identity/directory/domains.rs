//! The domains of all configured directories, and how names refer to them.

use hashbrown::HashMap;

use super::DomainNames;
use crate::Name;

/// Whether names without a domain refer to accounts of this domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnqualifiedNames {
    /// Yes: this is the default domain.
    ThisDomain,
    /// No, unless this is the only domain.
    OtherDomain,
}

/// The domain was never added to the directory, or was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the domain {0} is not known")]
pub struct UnknownDomain(pub Name);

/// The NetBIOS names of domains by DNS name, both in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetbiosNames(HashMap<Name, Name>);

impl NetbiosNames {
    /// The NetBIOS name of the domain with this DNS name, if known.
    pub fn of(&self, dns: &Name) -> Option<&Name> {
        self.0.get(dns)
    }
}

impl<'a> FromIterator<&'a DomainNames> for NetbiosNames {
    fn from_iter<I: IntoIterator<Item = &'a DomainNames>>(domains: I) -> Self {
        let pairs = domains.into_iter().map(|names| (names.dns.clone(), names.netbios.clone()));
        Self(pairs.collect())
    }
}

/// A domain.
#[derive(Debug)]
pub(super) struct Domain {
    /// The names of the domain.
    pub(super) names: DomainNames,
    unqualified: UnqualifiedNames,
    /// Whether the domain was read completely once.
    is_read: bool,
    /// Whether the domain was renamed since its accounts were last reported.
    is_renamed: bool,
}

/// The domains, each in a stable slot.
#[derive(Debug, Default)]
pub(super) struct Domains {
    slots: Vec<Option<Domain>>,
    /// The number of domains once all are read.
    expected: usize,
}

impl Domains {
    /// Sets the number of domains. Until all are read, a single known domain is not treated as the
    /// only one.
    pub(super) fn expect_domains(&mut self, count: usize) {
        let before = self.default_domain();
        self.expected = count;
        let home = self.default_domain().filter(|home| Some(*home) != before);
        if let Some(home) = home.and_then(|home| self.slots[home].as_mut()) {
            home.is_renamed = true;
        }
    }

    /// Adds a domain, or updates its names.
    pub(super) fn put(&mut self, mut names: DomainNames, unqualified: UnqualifiedNames) {
        names.dns = names.dns.folded();
        names.netbios = names.netbios.folded();
        let known = self.by_dns(&names.dns);
        let before = known.and_then(|slot| self.at(slot));
        let is_read = before.is_some_and(|before| before.is_read);
        let is_renamed = before.is_some_and(|before| {
            before.is_renamed
                || before.unqualified != unqualified
                || before.names.netbios != names.netbios
        });
        let domain = Some(Domain { names, unqualified, is_read, is_renamed });
        match known.or_else(|| self.slots.iter().position(Option::is_none)) {
            Some(slot) => self.slots[slot] = domain,
            None => self.slots.push(domain),
        }
    }

    /// Marks a domain as completely read. Returns its DNS name the first time.
    pub(super) fn mark_read(&mut self, slot: usize) -> Option<Name> {
        let domain = self.slots.get_mut(slot)?.as_mut()?;
        let was_read = std::mem::replace(&mut domain.is_read, true);
        (!was_read).then(|| domain.names.dns.clone())
    }

    /// Whether every expected domain was read completely.
    pub(super) fn all_read(&self) -> bool {
        let read = self.iter().filter(|(_, domain)| domain.is_read).count();
        read == self.iter().count() && read >= self.expected
    }

    /// Returns and clears whether the domain was renamed.
    pub(super) fn take_renamed(&mut self, slot: usize) -> bool {
        let domain = self.slots.get_mut(slot).and_then(Option::as_mut);
        domain.is_some_and(|domain| std::mem::take(&mut domain.is_renamed))
    }

    /// Removes a domain.
    pub(super) fn remove(&mut self, slot: usize) {
        self.slots[slot] = None;
    }

    /// The slot of the domain with this DNS name, in lower case.
    pub(super) fn by_dns(&self, dns: &Name) -> Option<usize> {
        self.find(|domain| domain.names.dns == *dns)
    }

    /// The slot of the domain with this DNS name, ignoring case.
    ///
    /// # Errors
    /// If the domain is not known.
    pub(super) fn require(&self, dns: &Name) -> Result<usize, UnknownDomain> {
        let dns = dns.clone().folded();
        self.by_dns(&dns).ok_or(UnknownDomain(dns))
    }

    /// The slot of the domain with this DNS or NetBIOS name, in lower case. A NetBIOS name that two
    /// forests share refers to neither.
    pub(super) fn by_name(&self, name: &Name) -> Option<usize> {
        self.by_dns(name).or_else(|| self.only(|domain| domain.names.netbios == *name))
    }

    /// The slot of the domain that unqualified names refer to: the default domain, or the only one.
    pub(super) fn default_domain(&self) -> Option<usize> {
        let default = self.only(|domain| domain.unqualified == UnqualifiedNames::ThisDomain);
        default.or_else(|| self.only(|_| true).filter(|_| self.expected < 2))
    }

    /// The domain in a slot.
    pub(super) fn at(&self, slot: usize) -> Option<&Domain> {
        self.slots.get(slot)?.as_ref()
    }

    /// All domains with their slots, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Domain)> {
        let used = self.slots.iter().enumerate();
        used.filter_map(|(slot, domain)| Some((slot, domain.as_ref()?)))
    }

    fn find(&self, wanted: impl Fn(&Domain) -> bool) -> Option<usize> {
        self.iter().find(|(_, domain)| wanted(domain)).map(|(slot, _)| slot)
    }

    fn only(&self, wanted: impl Fn(&Domain) -> bool) -> Option<usize> {
        let mut found = self.iter().filter(|(_, domain)| wanted(domain));
        let (slot, _) = found.next()?;
        found.next().is_none().then_some(slot)
    }
}
