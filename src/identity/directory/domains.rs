//! The domains of all configured directories, and which of them a name means.

use hashbrown::HashMap;

use super::DomainNames;
use crate::Name;

/// Whether a name without a domain means an account of this domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnqualifiedNames {
    /// It does: this is the default domain.
    ThisDomain,
    /// It does not, unless this is the only domain there is.
    OtherDomain,
}

/// No domain of this name was put into the directory, or it was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no domain {0} is known")]
pub struct UnknownDomain(pub Name);

/// The NetBIOS names of domains by their DNS names, both in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetbiosNames(HashMap<Name, Name>);

impl NetbiosNames {
    /// The NetBIOS name of the domain with this DNS name, when a directory told it.
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

/// One domain.
#[derive(Debug)]
pub(super) struct Domain {
    /// What it is called.
    pub(super) names: DomainNames,
    unqualified: UnqualifiedNames,
    /// Whether all of it was read once.
    is_read: bool,
    /// Whether its accounts go by other names than when they were told of.
    is_renamed: bool,
}

/// The domains, each at a place that it keeps.
#[derive(Debug, Default)]
pub(super) struct Domains {
    slots: Vec<Option<Domain>>,
    /// How many there will be when all are read.
    expected: usize,
}

impl Domains {
    /// There will be so many when all are read. Until they are, the only one that is known is not the
    /// only one that there is.
    pub(super) fn expect_domains(&mut self, count: usize) {
        let before = self.default_domain();
        self.expected = count;
        let home = self.default_domain().filter(|home| Some(*home) != before);
        if let Some(home) = home.and_then(|home| self.slots[home].as_mut()) {
            home.is_renamed = true;
        }
    }

    /// Enters a domain, or what it is called now.
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

    /// Notes that all of a domain is read: its DNS name, if that is so for the first time.
    pub(super) fn mark_read(&mut self, slot: usize) -> Option<Name> {
        let domain = self.slots.get_mut(slot)?.as_mut()?;
        let was_read = std::mem::replace(&mut domain.is_read, true);
        (!was_read).then(|| domain.names.dns.clone())
    }

    /// Whether every domain that there will be was read whole.
    pub(super) fn all_read(&self) -> bool {
        let read = self.iter().filter(|(_, domain)| domain.is_read).count();
        read == self.iter().count() && read >= self.expected
    }

    /// Whether the accounts of a domain go by other names than when this was asked last.
    pub(super) fn take_renamed(&mut self, slot: usize) -> bool {
        let domain = self.slots.get_mut(slot).and_then(Option::as_mut);
        domain.is_some_and(|domain| std::mem::take(&mut domain.is_renamed))
    }

    /// Takes a domain out.
    pub(super) fn remove(&mut self, slot: usize) {
        self.slots[slot] = None;
    }

    /// The place of the domain with this DNS name, in lower case.
    pub(super) fn by_dns(&self, dns: &Name) -> Option<usize> {
        self.find(|domain| domain.names.dns == *dns)
    }

    /// The same, in whatever case.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn require(&self, dns: &Name) -> Result<usize, UnknownDomain> {
        let dns = dns.clone().folded();
        self.by_dns(&dns).ok_or(UnknownDomain(dns))
    }

    /// The domain that goes by `name`, a DNS or NetBIOS name in lower case. Two forests may use one
    /// NetBIOS name; then it means neither.
    pub(super) fn by_name(&self, name: &Name) -> Option<usize> {
        self.by_dns(name).or_else(|| self.only(|domain| domain.names.netbios == *name))
    }

    /// The domain that a bare name means: the default one, or the only one.
    pub(super) fn default_domain(&self) -> Option<usize> {
        let default = self.only(|domain| domain.unqualified == UnqualifiedNames::ThisDomain);
        default.or_else(|| self.only(|_| true).filter(|_| self.expected < 2))
    }

    /// The domain at a place.
    pub(super) fn at(&self, slot: usize) -> Option<&Domain> {
        self.slots.get(slot)?.as_ref()
    }

    /// All domains with their places, in no order.
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
