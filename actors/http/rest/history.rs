//! Who was where: an address at a moment or over a time, a user, and what changed between two
//! moments.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use rollcall_identity::{Address, Revision, Session, Timestamp};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::Rest;
use super::told::{AddressShape, DifferencesShape, StaysShape, user as principal};
use super::wanted::{Filters, Wanted, address as ip_address};
use crate::problem::Problem;
use rollcall_history::{
    AddressIntervals, History, HistoryError, HistoryQuery, PointInTime, Requester, RunQuery,
    SessionDiff, UserIntervals,
};
use rollcall_runtime::mailbox::Handler;

/// The header in which whoever asks may say who they are: it goes into the record.
const ASKER: &str = "Rollcall-Operator";

/// What an address is asked about: a moment, or the time between two.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AddressParameters {
    /// The moment, RFC 3339, such as `2026-11-20T14:05:00Z`. Without it, it is told of a time.
    at: Option<String>,
    /// From when on; for the last day before `to` when not given, as far as the journal reaches back.
    from: Option<String>,
    /// Until when; until now when not given.
    to: Option<String>,
    /// How many at most, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// What a user is asked about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UserParameters {
    /// From when on, RFC 3339, such as `2026-11-20T14:05:00Z`; for the last day before `to` when not
    /// given, as far as the journal reaches back.
    from: Option<String>,
    /// Until when; until now when not given.
    to: Option<String>,
    /// At how many addresses at most, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Between which moments, and of whom. All filters that are given must hold, before or after.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DifferenceParameters {
    /// The first moment, RFC 3339, such as `2026-11-20T14:05:00Z`.
    from: String,
    /// The second; now when not given.
    to: Option<String>,
    /// A glob over `alice` and over `alice@corp`; `CORP\alice` is understood.
    user: Option<String>,
    /// A glob over domains.
    domain: Option<String>,
    /// Networks, separated by commas.
    cidr: Option<String>,
    /// How many at most, 1 to 1000; 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Tells who had an address at a moment and why, or who had it one after the other.
#[utoipa::path(get, path = "/api/v1/history/addresses/{ip}", tag = "history",
    params(("ip" = String, Path, description = "IPv4 or IPv6"), AddressParameters),
    security(("token" = [])), responses(
        (status = 200, description = "Who had it; also where nobody had it", body = AddressShape),
        (status = 400, description = "A parameter that cannot be understood", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "It is not known: the journal does not reach so far back, or \
         what would tell is missing", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Too much is asked at once: narrow it", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn address(
    rest: Data<Rest>,
    request: HttpRequest,
    ip: Path<String>,
    Parameters(parameters): Parameters<AddressParameters>,
) -> Result<Json<AddressShape>, Problem> {
    let address = ip_address(&ip)?;
    let AddressParameters { at, from, to, limit, after } = parameters;
    match (at, from) {
        (Some(at), None) if to.is_none() && limit.is_none() && after.is_none() => {
            let moment = PointInTime { address, at: moment("at", &at)? };
            let told = ask(&rest, &request, moment).await?;
            Ok(Json(AddressShape::Moment(Box::new(told.into()))))
        }
        (None, from) => {
            let after = after.map(|after| after.parse().map(Revision)).transpose();
            let stays = AddressIntervals {
                address,
                from: from.map(|from| moment("from", &from)).transpose()?,
                to: to.map(|to| moment("to", &to)).transpose()?,
                after: after.map_err(|_| not_a_place())?,
                limit: page(limit)?,
            };
            Ok(Json(AddressShape::Intervals(ask(&rest, &request, stays).await?.into())))
        }
        _ => Err(Problem::bad_request("either at alone, or from with to, limit and after")),
    }
}

/// Tells which addresses a user had.
#[utoipa::path(get, path = "/api/v1/history/users/{user}", tag = "history",
    params(("user" = String, Path, description = "`alice`, `alice@corp` or `CORP\\alice`; without \
        a domain, all of that name"), UserParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of stays", body = StaysShape),
        (status = 400, description = "A parameter that cannot be understood", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "It is not known: the journal does not reach so far back",
         body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Too much is asked at once: narrow it", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn user(
    rest: Data<Rest>,
    request: HttpRequest,
    user: Path<String>,
    Parameters(parameters): Parameters<UserParameters>,
) -> Result<Json<StaysShape>, Problem> {
    let UserParameters { from, to, limit, after } = parameters;
    let question = UserIntervals {
        user: principal(&user)?,
        from: from.map(|from| moment("from", &from)).transpose()?,
        to: to.map(|to| moment("to", &to)).transpose()?,
        after: behind(after)?,
        limit: page(limit)?,
    };
    Ok(Json(ask(&rest, &request, question).await?.into()))
}

/// Tells what was different between two moments: who came, left, was replaced or altered.
#[utoipa::path(get, path = "/api/v1/history/diff", tag = "history", params(DifferenceParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of addresses that differ", body = DifferencesShape),
        (status = 400, description = "A parameter that cannot be understood", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "It is not known: the journal does not reach so far back",
         body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Too much is asked at once: narrow it", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn difference(
    rest: Data<Rest>,
    request: HttpRequest,
    Parameters(parameters): Parameters<DifferenceParameters>,
) -> Result<Json<DifferencesShape>, Problem> {
    let DifferenceParameters { from, to, user, domain, cidr, limit, after } = parameters;
    let asked = json!({"user": user, "domain": domain, "cidr": cidr});
    let filters = Filters {
        user: user.as_deref(),
        domain: domain.as_deref(),
        cidr: cidr.as_deref(),
        ..Filters::default()
    };
    let wanted = Arc::new(Wanted::read(filters)?);
    let places = Arc::clone(&wanted);
    let question = SessionDiff {
        from: moment("from", &from)?,
        to: to.map(|to| moment("to", &to)).transpose()?,
        address_filter: Arc::new(move |address| places.filter.admits_address(address)),
        session_filter: Arc::new(move |session: &Session| wanted.admits(session)),
        audited: asked,
        after: behind(after)?,
        limit: page(limit)?,
    };
    Ok(Json(ask(&rest, &request, question).await?.into()))
}

async fn ask<Q>(rest: &Rest, request: &HttpRequest, question: Q) -> Result<Q::Answer, Problem>
where
    Q: HistoryQuery,
    History: Handler<RunQuery<Q>>,
{
    let Some(history) = &rest.history else {
        let text = "the journal is kept in memory: nothing is known of the past";
        return Err(Problem::not_found(text));
    };
    let peer = request.peer_addr().map(|peer| peer.ip());
    let named = request.headers().get(ASKER).and_then(|named| named.to_str().ok());
    let asker = Requester::new(peer, named);
    history.send(RunQuery { query: question, requester: asker }).await?.map_err(Problem::from)
}

impl From<HistoryError> for Problem {
    fn from(unanswered: HistoryError) -> Self {
        let text = unanswered.to_string();
        match unanswered {
            HistoryError::Unknown { notes, .. } => Self::not_found(text).with_reasons(notes),
            HistoryError::Invalid(_) => Self::bad_request(text),
            HistoryError::TooBroad(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            HistoryError::Unavailable(_)
            | HistoryError::EventPanicked(_)
            | HistoryError::NotAudited(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

/// Reads a moment.
fn moment(key: &str, text: &str) -> Result<Timestamp, Problem> {
    // In a query, a plus that is not written as %2B is a blank.
    text.replace(' ', "+").parse().or_else(|_| text.parse()).map_err(|_| {
        Problem::bad_request(format!(
            "{key}: {text:?} is not a moment with its distance to UTC, such as \
             2026-11-20T14:05:00Z or 2026-11-20T15:05:00+01:00"
        ))
    })
}

/// Reads how many a page holds.
fn page(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(100);
    if (1..=1000).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request(format!("limit: {limit} is not 1 to 1000")))
}

/// Reads the address behind which a page begins.
fn behind(after: Option<String>) -> Result<Option<Address>, Problem> {
    after.map(|after| after.parse()).transpose().map_err(|_| not_a_place())
}

fn not_a_place() -> Problem {
    Problem::bad_request("after: only the `next` of the page before can stand here")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_has_its_distance_to_utc() {
        let at = moment("at", "2026-11-20T14:05:00Z").unwrap();
        for text in
            ["2026-11-20T15:05:00+01:00", "2026-11-20T15:05:00 01:00", "2026-11-20 14:05:00Z"]
        {
            assert_eq!(moment("at", text).unwrap(), at, "{text}");
        }
        for text in ["", "2026-11-20 14:05", "yesterday", "1795290600"] {
            assert!(moment("at", text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_parameter_or_a_problem(
            text in any::<String>(),
            near in "[0-9T:Z+. -]{0,30}",
        ) {
            for text in [text, near] {
                let problems = [
                    moment("at", &text).err(),
                    behind(Some(text.clone())).err(),
                    principal(&text).err(),
                ];
                for problem in problems.into_iter().flatten() {
                    prop_assert!(problem.to_string().starts_with("Bad Request: "));
                }
            }
        }
    }
}
