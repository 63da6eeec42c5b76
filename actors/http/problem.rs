//! What is wrong with a request, for whoever sent it: problem details (RFC 9457), of the REST
//! interface and of the listener of the firewalls alike.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use rollcall_runtime::mailbox::MailboxClosed;

/// RFC 9457 section 3: what went wrong, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: there is no page on it, and the title is that of the status.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status, repeated.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong with this very request, and what would be right.
    detail: String,
    /// Each single reason, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
    /// What the resource would take instead.
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

    /// 400: the request cannot be understood.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: it is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: it is there, and takes only `allow` (RFC 9110 section 15.5.6).
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("only {allow} is possible here");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// The answer that says so, with the headers of `answer`.
    pub(crate) fn written_in(&self, mut answer: HttpResponseBuilder) -> HttpResponse {
        let body = serde_json::to_string(self).expect("numbers and text can be written as JSON");
        answer.content_type("application/problem+json").body(body)
    }

    /// The same with each single reason.
    pub(crate) fn with_reasons(self, reasons: Vec<String>) -> Self {
        Self { reasons, ..self }
    }
}

impl From<MailboxClosed> for Problem {
    /// An actor that is being replaced: the state is not lost, the answer only late.
    fn from(gone: MailboxClosed) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{gone}; it is being replaced"))
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
