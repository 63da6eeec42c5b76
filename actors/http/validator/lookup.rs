//! Answers queries of J-Web from the directory.

use rollcall_identity::directory::{
    AccountClass, AccountKind, AccountState, Directory, Group, ResolvedAccount, UnknownDomain,
};
use rollcall_identity::{Name, Principal};
use rollcall_wire::srx::validator::{NameList, ObjectKind, ValidatorQuery, Validity};

use crate::admission::Rejection;

/// An answer.
#[derive(Debug)]
pub(super) struct ValidatorReply {
    /// The label of the metric: `valid`, `unknown` or `listed`.
    pub(super) outcome: &'static str,
    /// JSON.
    pub(super) body: Vec<u8>,
}

/// Answers a query.
///
/// # Errors
/// A list is requested for a domain that no directory knows, or without a domain where there are
/// several.
pub(super) fn lookup(
    directory: &Directory,
    query: &ValidatorQuery,
) -> Result<ValidatorReply, Rejection> {
    match query {
        ValidatorQuery::Exists { kind, name, domain } => {
            Ok(exists(directory, *kind, (name, domain.as_ref())))
        }
        ValidatorQuery::List { kind, domain, prefix, start, count } => {
            let domain = domain_dns_name(directory, domain.as_ref())?;
            let range = *start..start.saturating_add(*count);
            let unknown = |why: UnknownDomain| Rejection::unknown(why.to_string());
            let accounts = |class| {
                let found = directory.accounts(&domain, class, prefix, range.clone());
                found.map(|found| {
                    let names = found.items.iter().map(|profile| &profile.account.name);
                    (found.total, names.collect::<Vec<_>>())
                })
            };
            let (total, names) = match kind {
                ObjectKind::User => accounts(AccountClass::Users).map_err(unknown)?,
                ObjectKind::Device => accounts(AccountClass::Devices).map_err(unknown)?,
                ObjectKind::Group => {
                    let found = directory.groups(&domain, prefix, range.clone());
                    let found = found.map_err(unknown)?;
                    (found.total, found.items.into_iter().map(|group| &group.name).collect())
                }
            };
            let listed = NameList { domain_name: &domain, total, start: *start, names };
            Ok(ValidatorReply { outcome: "listed", body: json(&listed) })
        }
    }
}

fn exists(
    directory: &Directory,
    kind: ObjectKind,
    (name, domain): (&Name, Option<&Name>),
) -> ValidatorReply {
    let principal = Principal::parse(name.as_str(), domain).ok();
    let resolved = match kind {
        ObjectKind::User => principal.and_then(|account| directory.resolve(&account)),
        ObjectKind::Device => device(directory, name, domain),
        ObjectKind::Group => {
            let group = principal.and_then(|principal| group(directory, &principal));
            return validity_reply(group.map(|group| (&group.name, &group.domain, None)));
        }
    };
    let is_of_kind = |account: &&ResolvedAccount| {
        (account.kind == AccountKind::Device) == (kind == ObjectKind::Device)
    };
    let profile =
        resolved.as_ref().filter(is_of_kind).and_then(|account| directory.profile(account.guid));
    validity_reply(profile.map(|profile| {
        let enabled = profile.account.state == AccountState::Enabled;
        (&profile.account.name, &profile.domain.dns, Some(enabled))
    }))
}

fn validity_reply(found: Option<(&Name, &Name, Option<bool>)>) -> ValidatorReply {
    let validity = Validity {
        valid: found.is_some(),
        name: found.map(|(name, ..)| name),
        domain_name: found.map(|(_, domain, _)| domain),
        enabled: found.and_then(|(.., enabled)| enabled),
    };
    let outcome = if validity.valid { "valid" } else { "unknown" };
    ValidatorReply { outcome, body: json(&validity) }
}

/// A computer by its host name, fully qualified or short, or by its account name.
fn device(directory: &Directory, name: &Name, domain: Option<&Name>) -> Option<ResolvedAccount> {
    let Some(domain) = domain else {
        let bare = Name::new(name.as_str().trim_end_matches('$')).ok()?;
        return directory.resolve_device(&bare);
    };
    let label = name.as_str().split('.').next().unwrap_or_default().trim_end_matches('$');
    let account = Principal::parse(&format!("{label}$"), Some(domain)).ok()?;
    directory.resolve(&account)
}

/// A group by its name, in the given domain, or else in the only domain that has a group of this
/// name.
fn group<'a>(directory: &'a Directory, principal: &Principal) -> Option<&'a Group> {
    let found =
        |dns: &Name| directory.group(dns, &principal.user).ok().flatten().map(|group| &**group);
    if let Some(domain) = &principal.domain {
        return found(&directory.domain(domain)?.dns);
    }
    let mut all = directory.domains().into_iter().filter_map(|names| found(&names.dns));
    all.next().filter(|_| all.next().is_none())
}

/// The DNS name of the requested domain.
fn domain_dns_name(directory: &Directory, domain: Option<&Name>) -> Result<Name, Rejection> {
    let domains = directory.domains();
    match (domain, domains.as_slice()) {
        (Some(name), _) => {
            let known = directory.domain(name).map(|names| names.dns.clone());
            known.ok_or_else(|| Rejection::unknown("the domain is in no directory"))
        }
        (None, [only]) => Ok(only.dns.clone()),
        (None, []) => Err(Rejection::unknown("no directory has been read yet")),
        (None, _) => Err(Rejection::unknown("there are several domains; specify one")),
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names, numbers and flags can be written as JSON")
}
