//! Sessions: the list, one address, and the explanation of an address.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use rollcall_identity::{ChangeLog, Cursor, Effect, Revision, Session};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Rest;
use super::dto::{ExplanationDto, SessionDto, SessionPage};
use super::page_token::PageToken;
use super::session_filter::{FilterParameters, SessionFilter, address};
use crate::problem::Problem;
use rollcall_engine::messages::Explain;
use rollcall_engine::messages::{
    GetNewestCursor, GetOldestCursor, LookupAddress, ReadChanges, SearchSessions,
};

/// The state of the requested sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StateFilter {
    /// Active sessions.
    #[default]
    Active,
    /// Ended sessions.
    Ended,
    /// Active sessions, then ended sessions.
    All,
}

/// The parameters of the list. All given filters must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionsParameters {
    /// A glob for `alice` or `alice@corp`; `CORP\alice` is accepted.
    user: Option<String>,
    /// A glob for domains.
    domain: Option<String>,
    /// An address.
    ip: Option<String>,
    /// Networks, separated by commas.
    cidr: Option<String>,
    /// The configured name of a producer.
    producer: Option<String>,
    /// The state of the sessions.
    #[serde(default)]
    #[param(inline)]
    state: StateFilter,
    /// The maximum number of sessions, 1 to 1000; the default is 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// The maximum and the default size of a page: the maximum is a response of about 400 KB for a
/// script, the default is for a terminal.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=1000;
const DEFAULT_LIMIT: usize = 100;

/// A list under construction.
struct Listing<'a> {
    rest: &'a Rest,
    filter: Arc<SessionFilter>,
    limit: usize,
    sessions: Vec<SessionDto>,
}

/// Lists sessions.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(SessionsParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of sessions", body = SessionPage),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 410, description = "`after` is of an earlier epoch of the journal: start again without it",
         body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    rest: Data<Rest>,
    Parameters(parameters): Parameters<SessionsParameters>,
) -> Result<Json<SessionPage>, Problem> {
    let SessionsParameters { user, domain, ip, cidr, producer, state, limit, after } = parameters;
    let filter = SessionFilter::read(FilterParameters {
        user: user.as_deref(),
        domain: domain.as_deref(),
        ip: ip.as_deref(),
        cidr: cidr.as_deref(),
        producer: producer.as_deref(),
    })?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        return Err(Problem::bad_request(format!("limit: {limit} is not 1 to 1000")));
    }
    let mut token = Some(match after {
        Some(after) => after.parse().map_err(|why| Problem::bad_request(format!("{why}")))?,
        None if state == StateFilter::Ended => PageToken::Ended(None),
        None => PageToken::Active(None),
    });
    let mut listing =
        Listing { rest: &rest, filter: Arc::new(filter), limit, sessions: Vec::new() };
    while let Some(position) = token.filter(|_| listing.sessions.len() < limit) {
        token = match position {
            PageToken::Active(after) => match listing.active(after).await? {
                None if state == StateFilter::All => Some(PageToken::Ended(None)),
                next => next,
            },
            PageToken::Ended(after) => listing.ended(after).await?,
        };
    }
    let next = token.map(|token| token.to_string());
    Ok(Json(SessionPage { sessions: listing.sessions, next }))
}

impl Listing<'_> {
    /// Adds active sessions after a position, and returns the token of the next page.
    async fn active(&mut self, after: Option<Cursor>) -> Result<Option<PageToken>, Problem> {
        if let Some(address) = self.filter.address {
            let session = self.rest.query.send(LookupAddress(address)).await?;
            let session = session.filter(|session| self.filter.matches(session));
            self.sessions.extend(session.as_deref().map(SessionDto::active));
            return Ok(None);
        }
        let newest = self.rest.query.send(GetNewestCursor).await?;
        check_epoch(after, newest)?;
        let filter = Arc::clone(&self.filter);
        let search = SearchSessions {
            after: after.map_or(Revision(0), |after| after.revision),
            limit: self.limit - self.sessions.len(),
            wanted: Arc::new(move |session: &Session| filter.matches(session)),
        };
        let found = self.rest.query.send(search).await?;
        self.sessions.extend(found.sessions.iter().map(|session| SessionDto::active(session)));
        Ok(found.next.map(|revision| PageToken::Active(Some(Cursor::new(newest.epoch, revision)))))
    }

    /// Adds ended sessions after a position, and returns the token of the next page. Sessions whose
    /// tombstone has been removed meanwhile are not listed.
    async fn ended(&mut self, after: Option<Cursor>) -> Result<Option<PageToken>, Problem> {
        let oldest = self.rest.query.send(GetOldestCursor).await?;
        check_epoch(after, oldest)?;
        let cursor = after.filter(|after| after.revision >= oldest.revision).unwrap_or(oldest);
        let read = ReadChanges {
            cursor: Some(cursor),
            since: None,
            filter: Arc::new(self.filter.filter.clone()),
            limit: ENDED_SCAN_LIMIT,
        };
        let page = self.rest.query.send(read).await?;
        if page.resync {
            // Tombstones were removed between the two messages: continue with the oldest one.
            return Ok(Some(PageToken::Ended(None)));
        }
        for change in &page.changes {
            let before = change.before.as_ref().filter(|_| change.effect == Effect::Ended);
            let Some(before) = before.filter(|before| self.filter.matches(before)) else {
                continue;
            };
            self.sessions.push(SessionDto::ended(before, Some(change.cause.at)));
            if self.sessions.len() == self.limit {
                let mut position = page.next;
                position.revision = change.revision;
                return Ok(Some(PageToken::Ended(Some(position))));
            }
        }
        Ok(page.more.then_some(PageToken::Ended(Some(page.next))))
    }
}

/// How many changes are read at once to find ended sessions. Other changes are skipped; a read
/// takes a fraction of a millisecond.
const ENDED_SCAN_LIMIT: usize = ChangeLog::MAX_SCAN / 8;

/// A position is valid only in the epoch that issued it.
fn check_epoch(after: Option<Cursor>, now: Cursor) -> Result<(), Problem> {
    if after.is_none_or(|after| after.epoch == now.epoch) {
        return Ok(());
    }
    let detail = "after: the token is of an earlier epoch; start again without it";
    Err(Problem::new(StatusCode::GONE, detail))
}

/// Shows the session of an address.
#[utoipa::path(get, path = "/api/v1/sessions/{ip}", tag = "sessions",
    params(("ip" = String, Path, description = "IPv4 or IPv6")), security(("token" = [])),
    responses(
        (status = 200, description = "The session", body = SessionDto),
        (status = 400, description = "Not an address", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "No session at this address", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn one(rest: Data<Rest>, ip: Path<String>) -> Result<Json<SessionDto>, Problem> {
    let address = address(&ip)?;
    match rest.query.send(LookupAddress(address)).await? {
        Some(session) => Ok(Json(SessionDto::active(&session))),
        None => Err(Problem::not_found(format!(
            "no session at {address}; see /api/v1/sessions/{address}/explain"
        ))),
    }
}

/// Explains why an address has this user, or has none.
#[utoipa::path(get, path = "/api/v1/sessions/{ip}/explain", tag = "sessions",
    params(("ip" = String, Path, description = "IPv4 or IPv6")), security(("token" = [])),
    responses(
        (status = 200, description = "The explanation; also for an address without a session", body = ExplanationDto),
        (status = 400, description = "Not an address", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn explain(
    rest: Data<Rest>,
    ip: Path<String>,
) -> Result<Json<ExplanationDto>, Problem> {
    let explanation = rest.cache.send(Explain(address(&ip)?)).await?;
    Ok(Json(ExplanationDto::from(&explanation)))
}
