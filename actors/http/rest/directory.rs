//! Queries of the directory: its domains, users, devices and groups, and the memberships of a user
//! with their path.

use std::ops::Range;

use actix_web::error::BlockingError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, Query as Parameters};
use rollcall_identity::directory::{
    Account, AccountClass, AccountKind, AccountState, Directory, DomainNames, Group, Listing,
    Profile, ResolvedAccount, Sid,
};
use rollcall_identity::{Name, Principal};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Rest;
use crate::problem::Problem;

/// A domain of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Domain)]
pub(super) struct DomainDto {
    /// The DNS name.
    #[schema(value_type = String, example = "corp.example.com")]
    name: Name,
    /// The NetBIOS name, in lower case.
    #[schema(value_type = String, example = "corp")]
    netbios: Name,
    /// The domain SID, the prefix of the SIDs of its accounts.
    sid: String,
    /// The number of users and service accounts.
    users: usize,
    /// The number of computers.
    devices: usize,
    /// The number of groups.
    groups: usize,
}

/// A user, service account or computer of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DirectoryAccount)]
pub(super) struct AccountDto {
    /// sAMAccountName; it ends in `$` for a computer.
    #[schema(value_type = String, example = "alice")]
    name: Name,
    /// The DNS name of the domain.
    #[schema(value_type = String, example = "corp.example.com")]
    domain: Name,
    /// `user`, `service` or `device`.
    kind: &'static str,
    /// Whether the account is enabled.
    enabled: bool,
    /// userPrincipalName.
    #[schema(value_type = Option<String>)]
    upn: Option<Name>,
    /// displayName.
    #[schema(value_type = Option<String>)]
    display: Option<Name>,
    /// The mail address, if the configuration reads it.
    #[schema(value_type = Option<String>)]
    mail: Option<Name>,
    /// The host name of a computer.
    #[schema(value_type = Option<String>)]
    host: Option<Name>,
    /// The operating system of a computer.
    #[schema(value_type = Option<String>)]
    system: Option<Name>,
    /// The distinguished name.
    dn: String,
    /// The security identifier.
    sid: Option<String>,
    /// objectGUID, which a rename or a move does not change.
    guid: String,
}

/// A group of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(super) struct GroupDto {
    /// sAMAccountName.
    #[schema(value_type = String, example = "Staff")]
    name: Name,
    /// The DNS name of the domain.
    #[schema(value_type = String)]
    domain: Name,
    /// The distinguished name.
    dn: String,
    /// The security identifier.
    sid: Option<String>,
    /// The membership path, if requested: from the group that has the user as a direct member to
    /// this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    path: Option<Vec<Name>>,
}

/// A page of the accounts of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountPage {
    /// The total number.
    total: usize,
    /// Ordered by name.
    accounts: Vec<AccountDto>,
    /// The value of `start` for the next page; null at the end.
    next: Option<usize>,
}

/// A page of the groups of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupPage {
    /// The total number.
    total: usize,
    /// Ordered by name.
    groups: Vec<GroupDto>,
    /// The value of `start` for the next page; null at the end.
    next: Option<usize>,
}

/// A user with all groups.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupsOfUser {
    /// The user.
    user: AccountDto,
    /// All groups of the user, direct and nested, ordered by name.
    groups: Vec<GroupDto>,
}

/// The parameters of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParameters {
    /// The DNS or NetBIOS name of the domain; required if there are several.
    domain: Option<String>,
    /// The prefix of the names, case-insensitive.
    #[serde(default)]
    prefix: String,
    /// The number of entries to skip.
    #[serde(default)]
    start: usize,
    /// The maximum number of entries, 1 to 1000; the default is 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The parameters of the groups of a user.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsParameters {
    /// Return the membership path of each group; with the name of a group, only of this group.
    explain: Option<String>,
}

/// The maximum and the default size of a page.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=1000;
const DEFAULT_LIMIT: usize = 100;

/// Lists the domains of all directories.
#[utoipa::path(get, path = "/api/v1/domains", tag = "directory", security(("token" = [])),
    responses((status = 200, description = "All domains, by name", body = Vec<DomainDto>)))]
pub(super) async fn domains(rest: Data<Rest>) -> Result<Json<Vec<DomainDto>>, Problem> {
    query_directory(rest, |directory| {
        let to_dto = |names: &DomainNames| {
            let counts = directory.counts(&names.dns).unwrap_or_default();
            DomainDto {
                name: names.dns.clone(),
                netbios: names.netbios.clone(),
                sid: names.sid.to_string(),
                users: counts.users,
                devices: counts.devices,
                groups: counts.groups,
            }
        };
        Ok(directory.domains().into_iter().map(to_dto).collect())
    })
    .await
}

/// Lists the users of a domain, including service accounts.
#[utoipa::path(get, path = "/api/v1/users", tag = "directory", params(ListParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of users", body = AccountPage),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "The domain is in no directory", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn users(
    rest: Data<Rest>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<AccountPage>, Problem> {
    query_directory(rest, move |directory| accounts(directory, AccountClass::Users, &parameters))
        .await
}

/// Lists the computers of a domain.
#[utoipa::path(get, path = "/api/v1/devices", tag = "directory", params(ListParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of computers", body = AccountPage),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "The domain is in no directory", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn devices(
    rest: Data<Rest>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<AccountPage>, Problem> {
    query_directory(rest, move |directory| accounts(directory, AccountClass::Devices, &parameters))
        .await
}

/// Lists the groups of a domain.
#[utoipa::path(get, path = "/api/v1/groups", tag = "directory", params(ListParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of groups", body = GroupPage),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "The domain is in no directory", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn groups(
    rest: Data<Rest>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<GroupPage>, Problem> {
    query_directory(rest, move |directory| {
        let (domain, range) = domain_and_range(directory, &parameters)?;
        let found = directory.groups(&domain, &parameters.prefix, range.clone());
        let Listing { total, items } = found.map_err(|why| Problem::not_found(why.to_string()))?;
        let groups = items.into_iter().map(|group| GroupDto::of(group, None)).collect();
        Ok(GroupPage { total, groups, next: next(total, &range) })
    })
    .await
}

/// Lists the groups of a user, including nested ones, and on request the membership path.
#[utoipa::path(get, path = "/api/v1/users/{name}/groups", tag = "directory",
    params(
        ("name" = String, Path, description = "`alice`, `CORP\\alice`, `alice@corp.example.com`, a UPN or a SID"),
        GroupsParameters),
    security(("token" = [])), responses(
        (status = 200, description = "The groups", body = GroupsOfUser),
        (status = 400, description = "Not a valid name", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "The user or the group is in no directory", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn groups_of_user(
    rest: Data<Rest>,
    name: Path<String>,
    Parameters(parameters): Parameters<GroupsParameters>,
) -> Result<Json<GroupsOfUser>, Problem> {
    query_directory(rest, move |directory| {
        let not_found = || Problem::not_found(format!("{:?} is in no directory", name.as_str()));
        let account = resolved(directory, &name)?.ok_or_else(not_found)?;
        let profile = directory.profile(account.guid).ok_or_else(not_found)?;
        let explain = parameters.explain.as_deref();
        let only = explain.filter(|group| !group.is_empty()).map(str::to_lowercase);
        let is_wanted = |group: &Group| {
            only.as_ref().is_none_or(|only| group.name.as_str().to_lowercase() == *only)
        };
        let to_dto = |group: &Group| {
            let path = explain.and_then(|_| directory.path(account.guid, group));
            let path = path.map(|path| path.iter().map(|group| group.name.clone()).collect());
            GroupDto::of(group, path)
        };
        let memberships = profile.groups.as_slice().iter().filter(|group| is_wanted(group));
        let groups: Vec<_> = memberships.map(|group| to_dto(group)).collect();
        if let (Some(only), true) = (only, groups.is_empty()) {
            let detail = format!("{} is not in a group {only:?}", account.principal);
            return Err(Problem::not_found(detail));
        }
        Ok(GroupsOfUser { user: AccountDto::of(&profile), groups })
    })
    .await
}

/// Reads the directory on a blocking thread, where it delays no other request: a list scans every
/// object.
async fn query_directory<T: Send + 'static>(
    rest: Data<Rest>,
    read: impl FnOnce(&Directory) -> Result<T, Problem> + Send + 'static,
) -> Result<Json<T>, Problem> {
    let directory = rest.directory.clone();
    let answer = web::block(move || read(&directory.read())).await;
    let stopping = |why: BlockingError| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{why}: the server is stopping"))
    };
    answer.map_err(stopping)?.map(Json)
}

/// The account for a name in any form, or for a SID.
fn resolved(directory: &Directory, text: &str) -> Result<Option<ResolvedAccount>, Problem> {
    if let Ok(sid) = text.parse::<Sid>() {
        return Ok(directory.resolve_sid(&sid));
    }
    let principal = Principal::parse(text, None);
    let principal = principal.map_err(|why| Problem::bad_request(why.to_string()))?;
    Ok(directory.resolve(&principal))
}

fn accounts(
    directory: &Directory,
    class: AccountClass,
    parameters: &ListParameters,
) -> Result<AccountPage, Problem> {
    let (domain, range) = domain_and_range(directory, parameters)?;
    let found = directory.accounts(&domain, class, &parameters.prefix, range.clone());
    let Listing { total, items } = found.map_err(|why| Problem::not_found(why.to_string()))?;
    let accounts = items.iter().map(AccountDto::of).collect();
    Ok(AccountPage { total, accounts, next: next(total, &range) })
}

/// The requested domain and range of the list.
fn domain_and_range(
    directory: &Directory,
    parameters: &ListParameters,
) -> Result<(Name, Range<usize>), Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        return Err(Problem::bad_request(format!("limit: {limit} is not 1 to 1000")));
    }
    let range = parameters.start..parameters.start.saturating_add(limit);
    let domains = directory.domains();
    let known = || domains.iter().map(|names| names.dns.as_str()).collect::<Vec<_>>().join(", ");
    let Some(text) = &parameters.domain else {
        return match domains.as_slice() {
            [only] => Ok((only.dns.clone(), range)),
            [] => Err(Problem::not_found("no directory is configured, or none has been read yet")),
            _ => Err(Problem::bad_request(format!("domain: specify one of {}", known()))),
        };
    };
    let name = Name::new(text).map_err(|why| Problem::bad_request(format!("domain: {why}")))?;
    let found = directory.domain(&name).map(|names| names.dns.clone());
    let unknown =
        || Problem::not_found(format!("{text:?} is in no directory; known domains: {}", known()));
    Ok((found.ok_or_else(unknown)?, range))
}

fn next(total: usize, range: &Range<usize>) -> Option<usize> {
    (range.end < total).then_some(range.end)
}

impl AccountDto {
    fn of(profile: &Profile<'_>) -> Self {
        let Account { name, upn, display, mail, host, system, .. } = profile.account.clone();
        Self {
            name,
            domain: profile.domain.dns.clone(),
            kind: match profile.account.kind {
                AccountKind::User => "user",
                AccountKind::Service => "service",
                AccountKind::Device => "device",
            },
            enabled: profile.account.state == AccountState::Enabled,
            upn,
            display,
            mail: mail.map(|mail| *mail),
            host: host.map(|host| *host),
            system: system.map(|system| *system),
            dn: profile.dn.to_string(),
            sid: profile.sid.map(ToString::to_string),
            guid: profile.guid.to_string(),
        }
    }
}

impl GroupDto {
    fn of(group: &Group, path: Option<Vec<Name>>) -> Self {
        Self {
            name: group.name.clone(),
            domain: group.domain.clone(),
            dn: group.dn.to_string(),
            sid: group.sid.as_ref().map(ToString::to_string),
            path,
        }
    }
}
