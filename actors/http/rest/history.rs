//! Past sessions: an address at a point in time or in a period, a user, and the differences between
//! two points in time.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use rollcall_identity::{Address, Revision, Session, Timestamp};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::Rest;
use super::history_dto::{AddressHistoryDto, DiffPageDto, IntervalsPageDto, user as principal};
use super::session_filter::{FilterParameters, SessionFilter, address as ip_address};
use crate::problem::Problem;
use rollcall_history::{
    AddressIntervals, History, HistoryError, HistoryQuery, PointInTime, Requester, RunQuery,
    SessionDiff, UserIntervals,
};
use rollcall_runtime::mailbox::Handler;

/// The header in which a client may name its operator, for the audit log.
const OPERATOR_HEADER: &str = "Rollcall-Operator";

/// The parameters for an address: a point in time, or a period.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AddressParameters {
    /// The point in time, RFC 3339, for example `2026-11-20T14:05:00Z`. Without it, the query is
    /// about a period.
    at: Option<String>,
    /// The start of the period; the default is one day before `to`, or the start of the journal if
    /// that is later.
    from: Option<String>,
    /// The end of the period; the default is now.
    to: Option<String>,
    /// The maximum number of entries, 1 to 1000; the default is 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// The parameters for a user.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UserParameters {
    /// The start of the period, RFC 3339, for example `2026-11-20T14:05:00Z`; the default is one
    /// day before `to`, or the start of the journal if that is later.
    from: Option<String>,
    /// The end of the period; the default is now.
    to: Option<String>,
    /// The maximum number of addresses, 1 to 1000; the default is 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// The parameters of a difference. All given filters must match the session before or the session
/// after.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DifferenceParameters {
    /// The first point in time, RFC 3339, for example `2026-11-20T14:05:00Z`.
    from: String,
    /// The second point in time; the default is now.
    to: Option<String>,
    /// A glob for `alice` or `alice@corp`; `CORP\alice` is accepted.
    user: Option<String>,
    /// A glob for domains.
    domain: Option<String>,
    /// Networks, separated by commas.
    cidr: Option<String>,
    /// The maximum number of entries, 1 to 1000; the default is 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// Returns the session of an address at a point in time and its cause, or its sessions in a period.
#[utoipa::path(get, path = "/api/v1/history/addresses/{ip}", tag = "history",
    params(("ip" = String, Path, description = "IPv4 or IPv6"), AddressParameters),
    security(("token" = [])), responses(
        (status = 200, description = "The sessions of the address; also for an address without a session", body = AddressHistoryDto),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "Unknown: the journal does not go back that far, or a \
         segment is missing", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The query is too broad", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn address(
    rest: Data<Rest>,
    request: HttpRequest,
    ip: Path<String>,
    Parameters(parameters): Parameters<AddressParameters>,
) -> Result<Json<AddressHistoryDto>, Problem> {
    let address = ip_address(&ip)?;
    let AddressParameters { at, from, to, limit, after } = parameters;
    match (at, from) {
        (Some(at), None) if to.is_none() && limit.is_none() && after.is_none() => {
            let point = PointInTime { address, at: timestamp("at", &at)? };
            let answer = run(&rest, &request, point).await?;
            Ok(Json(AddressHistoryDto::PointInTime(Box::new(answer.into()))))
        }
        (None, from) => {
            let after = after.map(|after| after.parse().map(Revision)).transpose();
            let intervals = AddressIntervals {
                address,
                from: from.map(|from| timestamp("from", &from)).transpose()?,
                to: to.map(|to| timestamp("to", &to)).transpose()?,
                after: after.map_err(|_| invalid_token())?,
                limit: page_size(limit)?,
            };
            Ok(Json(AddressHistoryDto::Intervals(run(&rest, &request, intervals).await?.into())))
        }
        _ => Err(Problem::bad_request("use either at alone, or from, to, limit and after")),
    }
}

/// Returns the addresses of a user in a period.
#[utoipa::path(get, path = "/api/v1/history/users/{user}", tag = "history",
    params(("user" = String, Path, description = "`alice`, `alice@corp` or `CORP\\alice`; without \
        a domain, all users of that name"), UserParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of session intervals", body = IntervalsPageDto),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "Unknown: the journal does not go back that far",
         body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The query is too broad", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn user(
    rest: Data<Rest>,
    request: HttpRequest,
    user: Path<String>,
    Parameters(parameters): Parameters<UserParameters>,
) -> Result<Json<IntervalsPageDto>, Problem> {
    let UserParameters { from, to, limit, after } = parameters;
    let query = UserIntervals {
        user: principal(&user)?,
        from: from.map(|from| timestamp("from", &from)).transpose()?,
        to: to.map(|to| timestamp("to", &to)).transpose()?,
        after: after_address(after)?,
        limit: page_size(limit)?,
    };
    Ok(Json(run(&rest, &request, query).await?.into()))
}

/// Returns the differences between two points in time: sessions that started, ended, were replaced
/// or altered.
#[utoipa::path(get, path = "/api/v1/history/diff", tag = "history", params(DifferenceParameters),
    security(("token" = [])), responses(
        (status = 200, description = "A page of addresses that differ", body = DiffPageDto),
        (status = 400, description = "Invalid parameter", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "Unknown: the journal does not go back that far",
         body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The query is too broad", body = Problem,
         content_type = "application/problem+json")))]
pub(super) async fn difference(
    rest: Data<Rest>,
    request: HttpRequest,
    Parameters(parameters): Parameters<DifferenceParameters>,
) -> Result<Json<DiffPageDto>, Problem> {
    let DifferenceParameters { from, to, user, domain, cidr, limit, after } = parameters;
    let filter_json = json!({"user": user, "domain": domain, "cidr": cidr});
    let filters = FilterParameters {
        user: user.as_deref(),
        domain: domain.as_deref(),
        cidr: cidr.as_deref(),
        ..FilterParameters::default()
    };
    let filter = Arc::new(SessionFilter::read(filters)?);
    let addresses = Arc::clone(&filter);
    let query = SessionDiff {
        from: timestamp("from", &from)?,
        to: to.map(|to| timestamp("to", &to)).transpose()?,
        address_filter: Arc::new(move |address| addresses.filter.admits_address(address)),
        session_filter: Arc::new(move |session: &Session| filter.matches(session)),
        audited: filter_json,
        after: after_address(after)?,
        limit: page_size(limit)?,
    };
    Ok(Json(run(&rest, &request, query).await?.into()))
}

async fn run<Q>(rest: &Rest, request: &HttpRequest, query: Q) -> Result<Q::Answer, Problem>
where
    Q: HistoryQuery,
    History: Handler<RunQuery<Q>>,
{
    let Some(history) = &rest.history else {
        let text = "the journal is in memory: there is no history";
        return Err(Problem::not_found(text));
    };
    let peer = request.peer_addr().map(|peer| peer.ip());
    let operator =
        request.headers().get(OPERATOR_HEADER).and_then(|operator| operator.to_str().ok());
    let requester = Requester::new(peer, operator);
    history.send(RunQuery { query, requester }).await?.map_err(Problem::from)
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        let text = error.to_string();
        match error {
            HistoryError::Unknown { notes, .. } => Self::not_found(text).with_reasons(notes),
            HistoryError::Invalid(_) => Self::bad_request(text),
            HistoryError::TooBroad(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            HistoryError::Unavailable(_)
            | HistoryError::EventPanicked(_)
            | HistoryError::NotAudited(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

/// Parses a timestamp.
fn timestamp(key: &str, text: &str) -> Result<Timestamp, Problem> {
    // In a query string, a plus that is not written as %2B is a space.
    text.replace(' ', "+").parse().or_else(|_| text.parse()).map_err(|_| {
        Problem::bad_request(format!(
            "{key}: {text:?} is not a timestamp with a UTC offset, such as \
             2026-11-20T14:05:00Z or 2026-11-20T15:05:00+01:00"
        ))
    })
}

/// Parses the size of a page.
fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(100);
    if (1..=1000).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request(format!("limit: {limit} is not 1 to 1000")))
}

/// Parses the address after which a page starts.
fn after_address(after: Option<String>) -> Result<Option<Address>, Problem> {
    after.map(|after| after.parse()).transpose().map_err(|_| invalid_token())
}

fn invalid_token() -> Problem {
    Problem::bad_request("after: must be the `next` of the previous page")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timestamp_needs_a_utc_offset() {
        let at = timestamp("at", "2026-11-20T14:05:00Z").unwrap();
        for text in
            ["2026-11-20T15:05:00+01:00", "2026-11-20T15:05:00 01:00", "2026-11-20 14:05:00Z"]
        {
            assert_eq!(timestamp("at", text).unwrap(), at, "{text}");
        }
        for text in ["", "2026-11-20 14:05", "yesterday", "1795290600"] {
            assert!(timestamp("at", text).is_err(), "{text}");
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
                    timestamp("at", &text).err(),
                    after_address(Some(text.clone())).err(),
                    principal(&text).err(),
                ];
                for problem in problems.into_iter().flatten() {
                    prop_assert!(problem.to_string().starts_with("Bad Request: "));
                }
            }
        }
    }
}
