//! What a source may assert: kinds of event, networks, domains, roles, the device and its posture.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Address, Glob, Kind, Name, Principal, Refusal};

/// What one source (a syslog client, an enforcement point that pushes) may assert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// An event is admitted if at least one grant covers it.
    pub grants: Vec<Grant>,
    /// The maximum age of an event that begins, extends or changes a session; `None` uses
    /// [`Rules::max_age`](crate::Rules::max_age). Ends have no maximum age.
    pub max_age: Option<Duration>,
    /// The maximum number of active sessions that the source began; `None` for no limit. Beyond it,
    /// the source begins no session at an address of another source or without a session. It still
    /// extends and ends sessions.
    pub max_sessions: Option<usize>,
}

/// One grant: the kinds of event, where, about which users, and which details they may carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The kinds of event.
    pub kinds: Vec<Kind>,
    /// The networks; empty means all.
    pub networks: Vec<IpNet>,
    /// The domains, in lower case; empty means all. A principal without a domain is granted only if
    /// this is empty.
    pub domains: Vec<Name>,
    /// The roles that an event may give the user.
    pub roles: RoleGrant,
    /// Whether an event may name the device.
    pub device: bool,
    /// Whether an event may set the posture of the device.
    pub posture: bool,
}

/// The roles that a source may give a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RoleGrant {
    /// No roles: the user has only the groups of the directories.
    #[default]
    None,
    /// The roles that match one of these patterns.
    Matching(Vec<Glob>),
    /// All roles.
    All,
}

/// What an admitted event may assert, from the grants of its source that cover the address and the
/// domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admission<'a> {
    grants: &'a [Grant],
    address: Address,
    principal: Option<&'a Principal>,
    kind: Kind,
    /// The maximum age of the source's events, if it has one of its own.
    pub(crate) max_age: Option<Duration>,
}

impl Authority {
    /// The authority to send `kinds` with all details, from everywhere and about every user.
    pub fn unrestricted(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let kinds = kinds.into_iter().collect();
        let (roles, device, posture) = (RoleGrant::All, true, true);
        let grant = Grant { kinds, roles, device, posture, ..Grant::default() };
        Self { grants: vec![grant], max_age: None, max_sessions: None }
    }

    /// Whether the source may send any event.
    pub fn is_empty(&self) -> bool {
        self.grants.iter().all(|grant| grant.kinds.is_empty())
    }

    /// Whether the source may send events of a kind that begins the session of a user.
    pub fn may_begin_sessions(&self) -> bool {
        self.grants.iter().any(Grant::begins_sessions)
    }

    /// Admits an event of `kind` for `address` about `principal`.
    ///
    /// # Errors
    /// The first dimension that no grant covers: the kind, the network, the domain.
    pub(crate) fn admit<'a>(
        &'a self,
        kind: Kind,
        address: Address,
        principal: Option<&'a Principal>,
    ) -> Result<Admission<'a>, Refusal> {
        let mut refusal = Refusal::KindNotGranted;
        for grant in self.grants.iter().filter(|grant| grant.kinds.contains(&kind)) {
            match (grant.covers_address(address), grant.covers_domain(principal)) {
                (true, true) => {
                    let (grants, max_age) = (&*self.grants, self.max_age);
                    return Ok(Admission { grants, address, principal, kind, max_age });
                }
                (true, false) => refusal = Refusal::DomainNotGranted,
                (false, _) if refusal == Refusal::KindNotGranted => {
                    refusal = Refusal::NetworkNotGranted;
                }
                (false, _) => {}
            }
        }
        Err(refusal)
    }
}

impl From<Grant> for Authority {
    fn from(grant: Grant) -> Self {
        Self { grants: vec![grant], max_age: None, max_sessions: None }
    }
}

impl Grant {
    fn covers_address(&self, address: Address) -> bool {
        let ip = address.ip();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&ip))
    }

    fn covers_domain(&self, principal: Option<&Principal>) -> bool {
        let domain = principal.map(|principal| principal.domain.as_ref());
        self.domains.is_empty()
            || domain.is_none_or(|domain| domain.is_some_and(|d| self.domains.contains(d)))
    }

    /// Whether the grant allows to begin the session of a user.
    fn begins_sessions(&self) -> bool {
        self.kinds.iter().any(|kind| kind.begins())
    }
}

impl<'a> Admission<'a> {
    /// The grants for the address and the domain of the event.
    fn covering(self) -> impl Iterator<Item = &'a Grant> {
        self.grants
            .iter()
            .filter(move |g| g.covers_address(self.address) && g.covers_domain(self.principal))
    }

    /// The grants for the event itself.
    fn granting(self) -> impl Iterator<Item = &'a Grant> {
        self.covering().filter(move |grant| grant.kinds.contains(&self.kind))
    }

    /// Whether the source may begin a session of this user at this address. All its events about
    /// them are then proofs of presence.
    pub(crate) fn begins_sessions(self) -> bool {
        self.covering().any(Grant::begins_sessions)
    }

    /// Whether the event may name the device.
    pub(crate) fn grants_device(self) -> bool {
        self.granting().any(|grant| grant.device)
    }

    /// Whether the event may set the posture of the device.
    pub(crate) fn grants_posture(self) -> bool {
        self.granting().any(|grant| grant.posture)
    }

    /// The roles of the event that are granted. `None` if none is: the event then asserts nothing
    /// about roles.
    pub(crate) fn granted_roles(self, roles: &Arc<[Name]>) -> Option<Cow<'_, Arc<[Name]>>> {
        let grants = || self.granting().map(|grant| &grant.roles);
        if grants().any(|grant| *grant == RoleGrant::All) {
            return Some(Cow::Borrowed(roles));
        }
        if grants().all(|grant| *grant == RoleGrant::None) {
            return None;
        }
        let granted = |role: &Name| grants().any(|grant| grant.covers(role));
        if roles.iter().all(granted) {
            return Some(Cow::Borrowed(roles));
        }
        Some(Cow::Owned(roles.iter().filter(|role| granted(role)).cloned().collect()))
    }
}

impl RoleGrant {
    fn covers(&self, role: &Name) -> bool {
        match self {
            Self::None => false,
            Self::Matching(globs) => globs.iter().any(|glob| glob.matches(role.as_str())),
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, name, principal};

    fn vpn_and_portal() -> Authority {
        let grant = |kinds: &[Kind], network: &str| Grant {
            kinds: kinds.to_vec(),
            networks: vec![network.parse().unwrap()],
            ..Grant::default()
        };
        let vpn = grant(&[Kind::VpnUp, Kind::VpnDown, Kind::Rekey], "10.8.0.0/16");
        let portal = grant(&[Kind::Login, Kind::Logout], "10.1.0.0/16");
        Authority { grants: vec![vpn, portal], max_age: None, max_sessions: None }
    }

    #[test]
    fn each_kind_is_granted_for_its_own_networks() {
        let authority = vpn_and_portal();
        let admit = |kind, at: &str| authority.admit(kind, address(at), None).map(drop);
        assert_eq!(admit(Kind::VpnUp, "10.8.0.1"), Ok(()));
        assert_eq!(admit(Kind::VpnUp, "10.1.0.1"), Err(Refusal::NetworkNotGranted));
        assert_eq!(admit(Kind::Login, "10.1.0.1"), Ok(()));
        assert_eq!(admit(Kind::Login, "10.8.0.1"), Err(Refusal::NetworkNotGranted));
        assert_eq!(admit(Kind::DeviceSeen, "10.8.0.1"), Err(Refusal::KindNotGranted));
        assert_eq!(
            Authority::default().admit(Kind::Login, address("10.1.0.1"), None).map(drop),
            Err(Refusal::KindNotGranted)
        );
    }

    #[test]
    fn a_grant_for_a_domain_does_not_cover_names_without_one() {
        let grant =
            Grant { kinds: vec![Kind::Login], domains: vec![name("hq")], ..Grant::default() };
        let authority = Authority::from(grant);
        let admit = |user: Option<&Principal>| {
            authority.admit(Kind::Login, address("10.1.0.1"), user).map(drop)
        };
        assert_eq!(admit(Some(&principal("alice@hq"))), Ok(()));
        assert_eq!(admit(Some(&principal("alice@lab"))), Err(Refusal::DomainNotGranted));
        assert_eq!(admit(Some(&principal("alice"))), Err(Refusal::DomainNotGranted));
        assert_eq!(admit(None), Ok(()), "the device of an address has no domain");
    }

    #[test]
    fn a_source_may_begin_sessions_only_where_its_grants_allow_it() {
        let authority = vpn_and_portal();
        let begins =
            |kind, at: &str| authority.admit(kind, address(at), None).unwrap().begins_sessions();
        assert!(begins(Kind::Rekey, "10.8.0.1") && begins(Kind::Logout, "10.1.0.1"));
        let kinds = vec![Kind::Refresh, Kind::Logout];
        let refresher = Authority::from(Grant { kinds, ..Grant::default() });
        let admission = refresher.admit(Kind::Refresh, address("10.8.0.1"), None).unwrap();
        assert!(!admission.begins_sessions());
    }

    #[test]
    fn roles_are_restricted_to_the_granted_patterns() {
        let roles: Arc<[Name]> = [name("vpn-users"), name("Domain Admins")].into();
        let granted = |grant: RoleGrant| {
            let grant = Grant { kinds: vec![Kind::Login], roles: grant, ..Grant::default() };
            let authority = Authority::from(grant);
            let admission = authority.admit(Kind::Login, address("10.1.0.1"), None).unwrap();
            let granted = admission.granted_roles(&roles);
            granted.map(|roles| roles.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(granted(RoleGrant::None), None);
        let matching = RoleGrant::Matching(vec![Glob::new("VPN-*").unwrap()]);
        assert_eq!(granted(matching), Some(vec!["vpn-users".to_owned()]));
        assert_eq!(granted(RoleGrant::All).map(|roles| roles.len()), Some(2));
    }
}
