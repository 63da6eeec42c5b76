//! Name resolution: from any spelling of a user or device to its account.

use std::fmt::Write;

use compact_str::CompactString;

use super::node_id::NodeId;
use super::nodes::AccountNode;
use super::{AccountKind, AccountNames, AccountState, Directory, GroupSet, Guid, Membership, Sid};
use crate::{Event, Kind, Name, Principal, Spellings};

/// The account that a name or SID refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedAccount {
    /// The account.
    pub guid: Guid,
    /// The kind of account.
    pub kind: AccountKind,
    /// The canonical name, sAMAccountName and DNS domain, in lower case, with the spellings of the
    /// query.
    pub principal: Principal,
    /// All groups of the account.
    pub groups: GroupSet,
    /// Whether the account may be used.
    pub state: AccountState,
}

impl Directory {
    /// The account that `principal` refers to; `None` if there is none or it is ambiguous.
    ///
    /// The domain may be a NetBIOS or DNS name, or the suffix of a UPN. A name in a domain takes
    /// precedence over an identical UPN, because canonical names have that form and must always
    /// refer to the same account. Without a domain, the default or only domain is used. The name
    /// may also be a SID, which identifies an account in any domain.
    pub fn resolve(&self, principal: &Principal) -> Option<ResolvedAccount> {
        let id = self.account_of(principal)?;
        self.resolved(id, principal.spellings)
    }

    /// The account with this security identifier.
    pub fn resolve_sid(&self, sid: &Sid) -> Option<ResolvedAccount> {
        self.resolved(self.account_with_sid(sid)?, Spellings::default())
    }

    /// The computer that a host name refers to, qualified (`pc1.corp.example.com`) or not (`pc1`).
    /// An unqualified name refers to the default domain, or else to the only computer of that name.
    pub fn resolve_device(&self, host: &Name) -> Option<ResolvedAccount> {
        let id = self.device_of(host)?;
        self.resolved(id, Spellings::default())
    }

    /// The names by which sessions may refer to an account; `None` if the account is not known.
    pub fn names(&self, guid: Guid) -> Option<AccountNames> {
        let account = self.nodes.at(self.nodes.object(guid)?).account()?;
        Some(self.names_of(account))
    }

    /// Resolves the user of an event by SID or else by name, and adds the groups of the user and
    /// the device. Unknown names are left unchanged. A managed service account is removed, because
    /// no user is where it runs.
    pub fn enrich(&self, event: &mut Event) {
        if matches!(event.kind, Kind::Membership | Kind::Expiry) {
            return;
        }
        let named = event.principal.as_ref();
        let by_sid = event.sid.take().and_then(|sid| self.resolve_sid(&sid));
        let by_sid = by_sid.map(|mut resolved| {
            resolved.principal.spellings = named.map(|named| named.spellings).unwrap_or_default();
            resolved
        });
        let resolved = by_sid.or_else(|| self.resolve(named?));
        let device = match (&event.device, &resolved) {
            (Some(device), _) => self.resolve_device(device),
            (None, Some(resolved)) => {
                Some(resolved.clone()).filter(|resolved| resolved.kind == AccountKind::Device)
            }
            (None, None) => None,
        };
        let user = resolved.as_ref().filter(|resolved| resolved.kind != AccountKind::Device);
        event.membership = Membership {
            user: user.map(|user| user.groups.clone()),
            device: device.map(|device| device.groups),
        };
        // A managed service account ends in `$` like a computer, but is no device.
        let is_managed_service = |resolved: &ResolvedAccount| {
            resolved.kind == AccountKind::Service && resolved.principal.is_machine()
        };
        if let Some(resolved) = resolved {
            event.principal = Some(resolved)
                .filter(|resolved| !is_managed_service(resolved))
                .map(|resolved| resolved.principal);
        }
    }

    /// The account that `principal` refers to.
    pub(super) fn account_of(&self, principal: &Principal) -> Option<NodeId> {
        let Principal { user, domain, .. } = principal;
        let sid = || self.account_with_sid(&user.as_str().parse().ok()?);
        let Some(domain) = domain else {
            let default = self.domains.default_domain();
            return default
                .and_then(|default| self.account_named(default, user.as_str()))
                .or_else(sid);
        };
        let slot = self.domains.by_name(domain);
        let named = slot.and_then(|slot| self.account_named(slot, user.as_str()));
        named.or_else(|| {
            let mut upn = CompactString::new(user);
            upn.push('@');
            upn.push_str(domain.as_str());
            let same = |account: &AccountNode| {
                account.attrs.upn.as_ref().is_some_and(|own| is_folded(own, &upn))
            };
            unique(self.matching_accounts(self.upns.candidates(self.text_fingerprint(&upn)), same))
                .or_else(sid)
        })
    }

    /// The account with this security identifier.
    fn account_with_sid(&self, sid: &Sid) -> Option<NodeId> {
        unique(self.with_sid(sid).filter(|id| self.nodes.at(*id).account().is_some()))
    }

    /// The computer that a host name refers to.
    pub(super) fn device_of(&self, host: &Name) -> Option<NodeId> {
        let host = host.clone().folded();
        let host = host.as_str().trim_end_matches('.');
        let same = |account: &AccountNode| {
            account.attrs.host.as_ref().is_some_and(|own| is_folded(own, host))
        };
        let by_host = unique(
            self.matching_accounts(self.hosts.candidates(self.text_fingerprint(host)), same),
        );
        if by_host.is_some() {
            return by_host;
        }
        let (label, suffix) = host.split_once('.').unwrap_or((host, ""));
        let mut machine = CompactString::new(label);
        machine.push('$');
        let is_device = |id: &NodeId| {
            self.nodes.at(*id).account().is_some_and(|p| p.attrs.kind == AccountKind::Device)
        };
        let in_domain = |slot| self.account_named(slot, &machine).filter(is_device);
        if !suffix.is_empty() {
            return in_domain(self.domains.by_dns(&Name::new(suffix).ok()?)?);
        }
        let default = self.domains.default_domain().and_then(in_domain);
        default.or_else(|| unique(self.domains.iter().filter_map(|(slot, _)| in_domain(slot))))
    }

    /// The account of this name, in lower case, in the domain in `slot`.
    pub(super) fn account_named(&self, slot: usize, name: &str) -> Option<NodeId> {
        let same =
            |account: &AccountNode| account.domain == slot && is_folded(&account.attrs.name, name);
        unique(
            self.matching_accounts(self.names.candidates(self.name_fingerprint(slot, name)), same),
        )
    }

    fn matching_accounts(
        &self,
        candidates: impl Iterator<Item = NodeId>,
        wanted: impl Fn(&AccountNode) -> bool,
    ) -> impl Iterator<Item = NodeId> {
        candidates.filter(move |id| self.nodes.at(*id).account().is_some_and(&wanted))
    }

    fn resolved(&self, id: NodeId, spellings: Spellings) -> Option<ResolvedAccount> {
        let node = self.nodes.at(id);
        let (guid, account) = (node.guid()?, node.account()?);
        let (groups, state) = (account.groups.clone()?, account.attrs.state);
        let principal = Principal { spellings, ..self.canonical(account)? };
        Some(ResolvedAccount { guid, kind: account.attrs.kind, principal, groups, state })
    }

    /// sAMAccountName and DNS domain.
    pub(super) fn canonical(&self, account: &AccountNode) -> Option<Principal> {
        let domain = self.domains.at(account.domain)?.names.dns.clone();
        Some(principal_named(&account.attrs.name, Some(&domain)))
    }

    /// The names by which sessions may refer to an account.
    pub(super) fn names_of(&self, account: &AccountNode) -> AccountNames {
        let (attrs, mut names) = (&account.attrs, AccountNames::default());
        let Some(domain) = self.domains.at(account.domain).map(|domain| &domain.names) else {
            return names;
        };
        if attrs.kind == AccountKind::Device {
            let name = attrs.name.clone().folded();
            let mut host = CompactString::new(name.as_str().trim_end_matches('$'));
            let short = Name::new(&host);
            // Writing to a string cannot fail.
            let _ = write!(host, ".{}", domain.dns);
            let own = attrs.host.as_deref().cloned().map(Name::folded);
            names.hosts = own.into_iter().chain(Name::new(&host)).chain(short).collect();
            names.hosts.dedup();
            return names;
        }
        names.principals.push(principal_named(&attrs.name, Some(&domain.dns)));
        if self.domains.by_name(&domain.netbios) == Some(account.domain) {
            names.principals.push(principal_named(&attrs.name, Some(&domain.netbios)));
        }
        let upn = attrs.upn.as_ref().and_then(|upn| Principal::parse(upn.as_str(), None).ok());
        names.principals.extend(upn.map(|upn| principal_named(&upn.user, upn.domain.as_ref())));
        if self.domains.default_domain() == Some(account.domain) {
            names.principals.push(principal_named(&attrs.name, None));
        }
        let sid = account.sid.as_ref().and_then(|sid| Name::new(&sid.to_string()).ok());
        names.principals.extend(sid.map(|sid| principal_named(&sid, None)));
        names
    }
}

/// A principal without spellings.
fn principal_named(user: &Name, domain: Option<&Name>) -> Principal {
    let user = user.clone().folded();
    Principal { user, domain: domain.cloned(), spellings: Spellings::default() }
}

/// Whether `folded` is `name` in lower case.
pub(super) fn is_folded(name: &Name, folded: &str) -> bool {
    name.as_str() == folded || name.clone().folded().as_str() == folded
}

/// The only item, if there is exactly one.
fn unique(mut found: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
