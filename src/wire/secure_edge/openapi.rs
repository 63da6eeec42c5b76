//! The OpenAPI description of the dialect for implementers of a receiver, generated from the types.

use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::report::{OnboardingRequest, ReportBatch, SyncBegin, SyncEnd};
use super::response::{
    AccessToken, BatchAck, DigestPages, OnboardedCredentials, ReceiverPosition, RejectedReport,
    ReportList, SyncEnded,
};
use crate::http::ProblemDetails;

/// The description as JSON with a trailing newline.
pub fn openapi() -> String {
    let text = Dialect::openapi().to_pretty_json();
    text.expect("the description consists of text") + "\n"
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall to Secure Edge",
        description = "The API that a receiver of Rollcall's reports implements. Request bodies may \
                       be compressed (Content-Encoding: gzip). Errors are RFC 9457 problem details. \
                       429 and 503 may have Retry-After. Every request is idempotent: it can be \
                       repeated and must then have the same response.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(onboard, token, position, begin, reports, end, digest),
    components(schemas(ProblemDetails, RejectedReport, ReportList)),
    modifiers(&Protected)
)]
struct Dialect;

struct Protected;

impl Modify for Protected {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let flow = ClientCredentials::new(super::path::TOKEN, Scopes::new());
        let scheme = SecurityScheme::OAuth2(OAuth2::new([Flow::ClientCredentials(flow)]));
        api.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

macro_rules! described {
    ($(#[$attribute:meta] $name:ident)*) => {
        $(
            #[$attribute]
            #[expect(dead_code, reason = "only the description is used")]
            fn $name() {}
        )*
    };
}

described! {
    #[utoipa::path(
        post, path = "/v1/onboarding", request_body = OnboardingRequest<'_>,
        summary = "Exchanges a one-time onboarding token for credentials",
        description = "The same Idempotency-Key must return the same credentials, because a \
                       response can be lost.",
        params(("Idempotency-Key" = String, Header, description = "One value per token")),
        responses(
            (status = 200, body = OnboardedCredentials),
            (status = 403, body = ProblemDetails, description = "The token is unknown, expired or used")
        )
    )]
    onboard
    #[utoipa::path(
        post, path = "/v1/oauth/token",
        summary = "Obtains an access token (RFC 6749 section 4.4)",
        description = "The client id and secret are sent by HTTP Basic, the grant as a form: \
                       grant_type=client_credentials.",
        responses((status = 200, body = AccessToken), (status = 401, body = ProblemDetails))
    )]
    token
    #[utoipa::path(
        get, path = "/v1/position", security(("token" = [])),
        summary = "Returns the position of the receiver",
        responses((status = 200, body = ReceiverPosition), (status = 401, body = ProblemDetails))
    )]
    position
    #[utoipa::path(
        post, path = "/v1/synchronisations", request_body = SyncBegin<'_>, security(("token" = [])),
        summary = "Begins a full synchronization: all current sessions follow",
        description = "The current sessions of the receiver stay effective until the end. Its \
                       position is null until then.",
        responses((status = 200, body = ReceiverPosition), (status = 401, body = ProblemDetails))
    )]
    begin
    #[utoipa::path(
        post, path = "/v1/reports", request_body = ReportBatch<'_>, security(("token" = [])),
        summary = "Accepts a batch of reports",
        description = "The response is 200 only when the whole batch is durable; otherwise nothing of it \
                       is. A report that the receiver rejects is named in the response and does not affect \
                       the others. The first batch of a synchronization has no `after`.",
        responses(
            (status = 200, body = BatchAck),
            (status = 401, body = ProblemDetails),
            (status = 409, body = ProblemDetails,
                description = "The receiver is not at `after`, or not in this synchronization: \
                               Rollcall starts a full synchronization"),
            (status = 413, body = ProblemDetails, description = "Too large: the batch is split and sent again"),
            (status = 422, body = ProblemDetails, description = "Not acceptable as a whole: the batch is split and sent again"),
            (status = 429, body = ProblemDetails),
            (status = 503, body = ProblemDetails)
        )
    )]
    reports
    #[utoipa::path(
        post, path = "/v1/synchronisations/end", request_body = SyncEnd<'_>, security(("token" = [])),
        summary = "Ends a full synchronization: sessions that were not reported are deleted",
        responses(
            (status = 200, body = SyncEnded),
            (status = 401, body = ProblemDetails),
            (status = 409, body = ProblemDetails,
                description = "The synchronization is unknown, or a batch of it is missing")
        )
    )]
    end
    #[utoipa::path(
        get, path = "/v1/digest", security(("token" = [])),
        summary = "Returns digests of the sessions of the receiver",
        responses(
            (status = 200, body = DigestPages),
            (status = 401, body = ProblemDetails),
            (status = 404, description = "The receiver does not support digests")
        )
    )]
    digest
}
