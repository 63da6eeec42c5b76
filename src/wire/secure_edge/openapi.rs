//! The OpenAPI description of the dialect for implementers of a receiver, generated from the types.

use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::answer::{Credentials, Digests, Ended, List, Place, Problem, Refused, Taken, Token};
use super::report::{Batch, Begin, End, Onboard};

/// The description as JSON with a trailing newline.
pub fn openapi() -> String {
    let text = Dialect::openapi().to_pretty_json();
    text.expect("a description made of text can be written as JSON") + "\n"
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall to Secure Edge",
        description = "What a receiver of Rollcall's reports has to answer. Bodies of requests may \
                       be compressed (Content-Encoding: gzip). Errors are RFC 9457 problem details. \
                       429 and 503 may say in Retry-After when to come again. Everything may come \
                       twice, and must then be answered as if it came once.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(onboard, token, position, begin, reports, end, digest),
    components(schemas(Problem, Refused, List)),
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
            #[expect(dead_code, reason = "only its description is used; others serve it")]
            fn $name() {}
        )*
    };
}

described! {
    #[utoipa::path(
        post, path = "/v1/onboarding", request_body = Onboard<'_>,
        summary = "Exchanges an onboarding token for credentials, once",
        description = "The same Idempotency-Key must be answered with the same credentials, for an \
                       answer may be lost on its way.",
        params(("Idempotency-Key" = String, Header, description = "The same for the same token")),
        responses(
            (status = 200, body = Credentials),
            (status = 403, body = Problem, description = "The token is unknown, old or used up")
        )
    )]
    onboard
    #[utoipa::path(
        post, path = "/v1/oauth/token",
        summary = "Buys an access token (RFC 6749 section 4.4)",
        description = "The client id and secret come by HTTP Basic, the grant as a form: \
                       grant_type=client_credentials.",
        responses((status = 200, body = Token), (status = 401, body = Problem))
    )]
    token
    #[utoipa::path(
        get, path = "/v1/position", security(("token" = [])),
        summary = "Up to where the receiver knows",
        responses((status = 200, body = Place), (status = 401, body = Problem))
    )]
    position
    #[utoipa::path(
        post, path = "/v1/synchronisations", request_body = Begin<'_>, security(("token" = [])),
        summary = "Begins a synchronisation: all that stands will be told anew",
        description = "What the receiver holds stays in force until the end. Its position is none \
                       meanwhile.",
        responses((status = 200, body = Place), (status = 401, body = Problem))
    )]
    begin
    #[utoipa::path(
        post, path = "/v1/reports", request_body = Batch<'_>, security(("token" = [])),
        summary = "Takes reports",
        description = "Either all of the batch is durable and the answer is 200, or nothing of it \
                       is. A report that cannot be taken is named in the answer and does not stop \
                       the others. Within a synchronisation, the first batch follows none.",
        responses(
            (status = 200, body = Taken),
            (status = 401, body = Problem),
            (status = 409, body = Problem,
                description = "The receiver is not at `after`, or not in this synchronisation: \
                               Rollcall synchronises anew"),
            (status = 413, body = Problem, description = "Too much at once: it comes in halves"),
            (status = 422, body = Problem, description = "Cannot be taken as a whole: it comes in halves"),
            (status = 429, body = Problem),
            (status = 503, body = Problem)
        )
    )]
    reports
    #[utoipa::path(
        post, path = "/v1/synchronisations/end", request_body = End<'_>, security(("token" = [])),
        summary = "Ends a synchronisation: sessions that it did not tell are void",
        responses(
            (status = 200, body = Ended),
            (status = 401, body = Problem),
            (status = 409, body = Problem,
                description = "There is no such synchronisation, or a batch of it is missing")
        )
    )]
    end
    #[utoipa::path(
        get, path = "/v1/digest", security(("token" = [])),
        summary = "Digests of what the receiver holds",
        responses(
            (status = 200, body = Digests),
            (status = 401, body = Problem),
            (status = 404, description = "The receiver cannot tell")
        )
    )]
    digest
}
