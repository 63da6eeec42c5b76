//! Why a query or a push is rejected: a status, a label for the metric, and a sentence for the
//! administrator of the firewall, as problem details (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use rollcall_wire::ptim::PtimError;
use rollcall_wire::srx::QueryError;

use crate::listener::body::BodyError;
use crate::problem::Problem;
use rollcall_runtime::mailbox::MailboxClosed;

/// A rejected request. The sentence never repeats input.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    /// The label of the metric.
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    extra: Extra,
}

/// What the response contains besides the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// The authentication scheme (RFC 6750 section 3).
    Challenge(&'static str),
    /// When to retry, in seconds.
    RetryAfter(u64),
    /// The connection is closed, because it still holds the rest of the body.
    Close,
}

impl Rejection {
    fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self { status, reason, detail: detail.into(), extra: Extra::Nothing }
    }

    fn extra(self, extra: Extra) -> Self {
        Self { extra, ..self }
    }

    /// No client may connect from this address.
    pub(crate) fn source() -> Self {
        Self::new(StatusCode::FORBIDDEN, "source", "no client may connect from this address")
            .extra(Extra::Close)
    }

    /// The request has no token, or two different ones.
    pub(crate) fn missing_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token_missing", "an access token is required")
            .extra(Extra::Challenge("Bearer realm=\"rollcall\""))
    }

    /// The token is unknown, expired or revoked.
    pub(crate) fn bad_token() -> Self {
        let detail = "the access token is expired, revoked or unknown";
        Self::new(StatusCode::UNAUTHORIZED, "token_invalid", detail)
            .extra(Extra::Challenge("Bearer realm=\"rollcall\", error=\"invalid_token\""))
    }

    /// The token is valid, but not from this address. The client can obtain a token there.
    pub(crate) fn wrong_address() -> Self {
        Self { reason: "token_wrong_address", ..Self::bad_token() }
    }

    /// The token is valid, but it is in the query, where others can read it.
    pub(crate) fn token_in_query() -> Self {
        let detail = "the access token is in the query; send it as Authorization: Bearer, or set \
                      query_token in the dialect of this enforcement point";
        Self::new(StatusCode::UNAUTHORIZED, "token_in_query", detail)
            .extra(Extra::Challenge("Bearer realm=\"rollcall\", error=\"invalid_request\""))
    }

    /// The client is not permitted to do this.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The requested object is unknown.
    pub(crate) fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", detail)
    }

    /// The path is unknown.
    pub(crate) fn route() -> Self {
        Self::from(QueryError::Route)
    }

    /// A part of the server is temporarily unavailable.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .extra(Extra::RetryAfter(1))
    }

    pub(crate) fn is_unknown_route(&self) -> bool {
        self.reason == "route"
    }

    /// The response.
    pub(crate) fn answer(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        match self.extra {
            Extra::Nothing => {}
            Extra::Challenge(challenge) => {
                answer.insert_header((WWW_AUTHENTICATE, challenge));
            }
            Extra::RetryAfter(seconds) => {
                answer.insert_header((RETRY_AFTER, seconds));
            }
            Extra::Close => {
                answer.force_close();
            }
        }
        Problem::new(self.status, self.detail).written_in(answer)
    }
}

impl From<QueryError> for Rejection {
    fn from(error: QueryError) -> Self {
        let reason = match &error {
            QueryError::Parameter { .. } => "parameter",
            QueryError::Body(_) => "body",
            QueryError::Route => "route",
        };
        Self::new(status(error.status()), reason, error.to_string())
    }
}

impl From<PtimError> for Rejection {
    fn from(error: PtimError) -> Self {
        Self::new(status(error.status()), "push", error.to_string())
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        let reason = match error {
            BodyError::TooLong => "body_too_long",
            BodyError::TooSlow => "body_too_slow",
            BodyError::Broken => "body_broken",
        };
        Self::new(error.status(), reason, error.to_string()).extra(Extra::Close)
    }
}

impl From<MailboxClosed> for Rejection {
    fn from(closed: MailboxClosed) -> Self {
        Self::unavailable(closed.to_string())
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}
