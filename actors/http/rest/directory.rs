//! The directory, asked: its domains, who and what is in them, who is in which group and by which way.

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
    /// Its DNS name.
    #[schema(value_type = String, example = "corp.example.com")]
    name: Name,
    /// Its NetBIOS name, in lower case.
    #[schema(value_type = String, example = "corp")]
    netbios: Name,
    /// What the SIDs of its accounts begin with.
    sid: String,
    /// How many users and service accounts it has.
    users: usize,
    /// How many computers.
    devices: usize,
    /// How many groups.
    groups: usize,
}

/// A user, service account or computer of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DirectoryAccount)]
pub(super) struct AccountDto {
    /// sAMAccountName; a computer's ends in `$`.
    #[schema(value_type = String, example = "alice")]
    name: Name,
    /// The DNS name of its domain.
    #[schema(value_type = String, example = "corp.example.com")]
    domain: Name,
    /// `user`, `service` or `device`.
    kind: &'static str,
    /// Whether it may be used.
    enabled: bool,
    /// userPrincipalName.
    #[schema(value_type = Option<String>)]
    upn: Option<Name>,
    /// displayName.
    #[schema(value_type = Option<String>)]
    display: Option<Name>,
    /// The mail address, where it is configured to be read.
    #[schema(value_type = Option<String>)]
    mail: Option<Name>,
    /// The host name of a computer.
    #[schema(value_type = Option<String>)]
    host: Option<Name>,
    /// The operating system of a computer.
    #[schema(value_type = Option<String>)]
    system: Option<Name>,
    /// Its distinguished name.
    dn: String,
    /// Its security identifier.
    sid: Option<String>,
    /// What no renaming and no moving changes.
    guid: String,
}

/// A group of a directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(super) struct GroupDto {
    /// sAMAccountName.
    #[schema(value_type = String, example = "Staff")]
    name: Name,
    /// The DNS name of its domain.
    #[schema(value_type = String)]
    domain: Name,
    /// Its distinguished name.
    dn: String,
    /// Its security identifier.
    sid: Option<String>,
    /// The way by which the user is in it, where that was asked for: the group that holds the user
    /// first, this group last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    path: Option<Vec<Name>>,
}

/// A part of the accounts of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountPage {
    /// How many there are in all.
    total: usize,
    /// In the order of their names.
    accounts: Vec<AccountDto>,
    /// What to ask with as `start` to go on; null at the end.
    next: Option<usize>,
}

/// A part of the groups of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupPage {
    /// How many there are in all.
    total: usize,
    /// In the order of their names.
    groups: Vec<GroupDto>,
    /// What to ask with as `start` to go on; null at the end.
    next: Option<usize>,
}

/// A user with all groups.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GroupsOfUser {
    /// Who.
    user: AccountDto,
    /// All groups that the user is in, directly or through others, in the order of their names.
    groups: Vec<GroupDto>,
}

/// What a list is asked with.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParameters {
    /// The DNS or NetBIOS name of the domain; needed where there are several.
    domain: Option<String>,
    /// What the names begin with, case ignored.
    #[serde(default)]
    prefix: String,
    /// How many to pass over.
    #[serde(default)]
    start: usize,
    /// How many at most, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What the groups of a user are asked with.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsParameters {
    /// Tell for each group by which way the user is in it; with the name of a group, only for it.
    explain: Option<String>,
}

/// How many one page holds at most, and without a wish.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=1000;
const DEFAULT_LIMIT: usize = 100;

/// Lists the domains of all directories.
#[utoipa::path(get, path = "/api/v1/domains", tag = "directory", security(("token" = [])),
    responses((status = 200, description = "All domains, by name", body = Vec<DomainDto>)))]
pub(super) async fn domains(rest: Data<Rest>) -> Result<Json<Vec<DomainDto>>, Problem> {
    query_directory(rest, |directory| {
        let shape = |names: &DomainNames| {
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
        Ok(directory.domains().into_iter().map(shape).collect())
    })
    .await
}

/// Lists the users of a domain, service accounts among them.
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

/// Lists the groups of a user, nested ones included, and on request why the user is in them.
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
        let shape = |group: &Group| {
            let path = explain.and_then(|_| directory.path(account.guid, group));
            let path = path.map(|path| path.iter().map(|group| group.name.clone()).collect());
            GroupDto::of(group, path)
        };
        let memberships = profile.groups.as_slice().iter().filter(|group| is_wanted(group));
        let groups: Vec<_> = memberships.map(|group| shape(group)).collect();
        if let (Some(only), true) = (only, groups.is_empty()) {
            let detail = format!("{} is not in a group {only:?}", account.principal);
            return Err(Problem::not_found(detail));
        }
        Ok(GroupsOfUser { user: AccountDto::of(&profile), groups })
    })
    .await
}

/// Puts a question to the directory, on a thread where others do not wait for it: a list looks at
/// every object there is.
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

/// Who is meant by a name in any spelling, or a SID.
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

/// The domain and the part of its list that are asked for.
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
