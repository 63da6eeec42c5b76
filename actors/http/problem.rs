//! Problem details (RFC 9457), for the REST interface and for the listeners for firewalls.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use rollcall_runtime::mailbox::MailboxClosed;

/// A problem as in RFC 9457 section 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the type has no page of its own, and the title is that of the status.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The reason phrase of the status.
    title: &'static str,
    /// The HTTP status, repeated.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong with this request, and what is accepted.
    detail: String,
    /// The individual reasons, when there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// The method that the resource accepts.
    #[serde(skip)]
    allow: Option<&'static str>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem of this status.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let (detail, reasons) = (detail.into(), Vec::new());
        Self { r#type: "about:blank", title, status, detail, reasons, allow: None }
    }

    /// 400: the request is invalid.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: the resource does not exist.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the resource accepts only `allow` (RFC 9110 section 15.5.6).
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("only {allow} is allowed");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// The response with this problem, with the headers of `answer`.
    pub(crate) fn written_in(&self, mut answer: HttpResponseBuilder) -> HttpResponse {
        let body = serde_json::to_string(self).expect("numbers and text can be written as JSON");
        answer.content_type("application/problem+json").body(body)
    }

    /// The problem with its individual reasons.
    pub(crate) fn with_reasons(self, reasons: Vec<String>) -> Self {
        Self { reasons, ..self }
    }
}

impl From<MailboxClosed> for Problem {
    /// The actor is restarting: no state is lost, and a retry succeeds.
    fn from(closed: MailboxClosed) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{closed}; retry"))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"rollcall\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((RETRY_AFTER, "1"));
            }
            _ => {}
        }
        if let Some(allow) = self.allow {
            response.insert_header((ALLOW, allow));
        }
        self.written_in(response)
    }
}
