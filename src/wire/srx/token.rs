//! The OAuth 2.0 token endpoint for firewalls, and the access token in later requests.
//!
//! RFC 6749: client credentials grant (section 4.4), client authentication (2.3.1), responses (5.1)
//! and errors (5.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};
use zeroize::Zeroizing;

use crate::http::{AmbiguousParameter, Parameters, RequestParts};

/// The headers of every response of the token endpoint (RFC 6749 section 5.1).
pub const NO_STORE: [(&str, &str); 2] = [("Cache-Control", "no-store"), ("Pragma", "no-cache")];

/// The media type of every response of the token endpoint.
pub const CONTENT_TYPE: &str = "application/json";

/// The header of a 401 (RFC 6749 section 5.2, RFC 7617).
pub const CHALLENGE: (&str, &str) = ("WWW-Authenticate", "Basic realm=\"rollcall\"");

/// The maximum length of `client-id` in Junos, in characters.
const ID_LIMIT: usize = 64;

/// The maximum length of `client-secret` in Junos, in characters. It also bounds the cost of
/// hashing.
const SECRET_LIMIT: usize = 128;

/// The credentials of a client. The secret is wiped from memory on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// 1 to 64 characters.
    pub client_id: String,
    /// 1 to 128 characters.
    pub client_secret: Zeroizing<String>,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Why no token is issued: the `error` of RFC 6749 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum TokenErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// No credentials, unknown client, or wrong secret: one response for all of them.
    InvalidClient,
    /// The client is known, but not allowed from this address.
    UnauthorizedClient,
    /// The grant is not `client_credentials`.
    UnsupportedGrantType,
}

/// An error response of the token endpoint. It never quotes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", .code.as_str())]
pub struct TokenError {
    /// The error code.
    pub code: TokenErrorCode,
    /// A message for the administrator; printable ASCII without `"` and `\`.
    pub reason: &'static str,
}

impl TokenErrorCode {
    /// The value of `error`, for instance `invalid_client`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            _ => 400,
        }
    }

    /// The error with a message.
    pub const fn with_reason(self, reason: &'static str) -> TokenError {
        TokenError { code: self, reason }
    }
}

impl TokenError {
    /// The body: `{"error":"invalid_client","error_description":"..."}`.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Wire<'a> {
            error: &'a str,
            error_description: &'a str,
        }
        let wire = Wire { error: self.code.as_str(), error_description: self.reason };
        serde_json::to_vec(&wire).expect("two strings are always JSON")
    }
}

/// The body of a token response: `access_token`, `token_type` `Bearer`, `expires_in` in seconds.
pub fn token_response(access_token: &str, expires_in: u32) -> Vec<u8> {
    #[derive(Serialize)]
    struct Wire<'a> {
        access_token: &'a str,
        token_type: &'a str,
        expires_in: u32,
    }
    let wire = Wire { access_token, token_type: "Bearer", expires_in };
    serde_json::to_vec(&wire).expect("two strings and a number are always JSON")
}

/// Parses the credentials of a token request from HTTP Basic, or from the parameters `client_id`
/// and `client_secret` in the query, a form body or a JSON body. `grant_type` is optional.
///
/// # Errors
/// [`TokenError`] when they are missing, given twice, too long, or for another grant.
pub fn read(request: &RequestParts<'_>) -> Result<ClientCredentials, TokenError> {
    let invalid = |reason| TokenErrorCode::InvalidRequest.with_reason(reason);
    let parameters = Parameters::read(request)
        .map_err(|_| invalid("the body is neither a form nor a JSON object of parameters"))?;
    let one = |name, reason| parameters.one(&[name]).map_err(|AmbiguousParameter| invalid(reason));

    match one("grant-type", "grant_type is given twice")? {
        None | Some("client_credentials") => {}
        Some(_) => {
            let reason = "grant_type is not client_credentials";
            return Err(TokenErrorCode::UnsupportedGrantType.with_reason(reason));
        }
    }
    let id = one("client-id", "client_id is given twice")?;
    let secret = one("client-secret", "client_secret is given twice")?;
    let credentials = match (basic(request), id, secret) {
        (None, Some(id), Some(secret)) => {
            ClientCredentials { client_id: id.to_owned(), client_secret: secret.to_owned().into() }
        }
        (Some(Ok(basic)), None, None) => basic,
        // The id may also be in the body (RFC 6749 section 3.2.1), if it is the same.
        (Some(Ok(basic)), Some(id), None) if id == basic.client_id => basic,
        (Some(Ok(_)), ..) => return Err(invalid("credentials are given twice")),
        (Some(Err(error)), ..) => return Err(error),
        (None, None, _) => {
            return Err(TokenErrorCode::InvalidClient.with_reason("client_id is missing"));
        }
        (None, _, None) => {
            return Err(TokenErrorCode::InvalidClient.with_reason("client_secret is missing"));
        }
    };
    match (credentials.client_id.chars().count(), credentials.client_secret.chars().count()) {
        (1..=ID_LIMIT, 1..=SECRET_LIMIT) => Ok(credentials),
        (1..=ID_LIMIT, 0) => {
            Err(TokenErrorCode::InvalidClient.with_reason("client_secret is missing"))
        }
        (1..=ID_LIMIT, _) => Err(invalid("client_secret is longer than 128 characters")),
        (0, _) => Err(TokenErrorCode::InvalidClient.with_reason("client_id is missing")),
        _ => Err(invalid("client_id is longer than 64 characters")),
    }
}

/// Whether the client secret is in the query, which proxies may log.
pub fn secret_is_in_query(request: &RequestParts<'_>) -> bool {
    Parameters::read(&RequestParts { body: &[], ..*request })
        .is_ok_and(|query| query.one(&["client-secret"]).is_ok_and(|secret| secret.is_some()))
}

/// HTTP Basic (RFC 7617). `None` when the request does not use it.
fn basic(request: &RequestParts<'_>) -> Option<Result<ClientCredentials, TokenError>> {
    let encoded = with_scheme(request.authorization?, "basic")?;
    let decoded = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded));
    let decoded = decoded.ok().map(Zeroizing::new);
    let text = decoded.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some((id, secret)) = text.and_then(|text| text.split_once(':')) else {
        let reason = "the Basic credentials are not base64 of id:secret";
        return Some(Err(TokenErrorCode::InvalidRequest.with_reason(reason)));
    };
    Some(Ok(ClientCredentials {
        client_id: unescaped(id),
        client_secret: unescaped(secret).into(),
    }))
}

/// RFC 6749 section 2.3.1 requires form encoding of both parts, which most clients, including curl,
/// do not do. `%41` is decoded, an invalid escape is literal, and so is `+`: unencoded base64
/// secrets are common, secrets with spaces are not.
fn unescaped(text: &str) -> String {
    use crate::http::{PlusSign, percent_decoded};
    percent_decoded(text, PlusSign::Literal).unwrap_or_else(|| text.to_owned())
}

/// The parameter names of an access token.
const TOKEN: [&str; 2] = ["access-token", "token"];

/// Where the access token was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenLocation {
    /// In the header or the body.
    HeaderOrBody,
    /// In the query, which proxies may log.
    InQuery,
}

/// The access token of a request and where it was sent: `Authorization: Bearer` (RFC 6750 section
/// 2.1), otherwise the parameter `access_token` or `token` in the body or query. `None` without a
/// token, or with several different ones.
pub fn access_token(request: &RequestParts<'_>) -> Option<(Zeroizing<String>, TokenLocation)> {
    let bearer = request.authorization.and_then(|header| with_scheme(header, "bearer"));
    // XML and JSON lists have no parameters in the body; the query still counts.
    let parameters = Parameters::read(request)
        .or_else(|_| Parameters::read(&RequestParts { body: &[], ..*request }))
        .ok()?;
    let parameter = parameters.one(&TOKEN).ok()?;
    let in_query = Parameters::read(&RequestParts { body: &[], ..*request })
        .is_ok_and(|query| query.one(&TOKEN).is_ok_and(|token| token.is_some()));
    let shown = if in_query { TokenLocation::InQuery } else { TokenLocation::HeaderOrBody };
    match (bearer, parameter) {
        (Some(bearer), Some(parameter)) if bearer != parameter => None,
        (bearer, parameter) => Some((bearer.or(parameter)?.to_owned().into(), shown)),
    }
}

fn with_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (first, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    (first.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strum::IntoEnumIterator;

    fn credentials(id: &str, secret: &str) -> ClientCredentials {
        ClientCredentials { client_id: id.to_owned(), client_secret: secret.to_owned().into() }
    }

    fn form(body: &str) -> RequestParts<'_> {
        RequestParts { method: "POST", body: body.as_bytes(), ..RequestParts::default() }
    }

    #[test]
    fn credentials_in_every_candidate_form() {
        let basic = format!("basic {}", STANDARD.encode("srx1:s3cr+t%2F%"));
        let grant = "grant_type=client_credentials";
        let id_and_grant = format!("{grant}&client_id=srx1");
        let post = format!("{grant}&client_id=srx1&client_secret=s3cr%2Bt%2F%25");
        let requests = [
            form(&post),
            form(&post["grant_type=client_credentials&".len()..]),
            form(
                r#"{"grant_type":"client_credentials","client_id":"srx1","client_secret":"s3cr+t/%"}"#,
            ),
            form(r#"{"client-id":"srx1","client-secret":"s3cr+t/%"}"#),
            RequestParts { method: "GET", query: &post, ..RequestParts::default() },
            RequestParts { authorization: Some(&basic), ..form(grant) },
            RequestParts { authorization: Some(&basic), ..form("") },
            RequestParts { authorization: Some(&basic), ..form(&id_and_grant) },
        ];
        for request in requests {
            assert_eq!(read(&request), Ok(credentials("srx1", "s3cr+t/%")), "{request:?}");
        }
    }

    #[test]
    fn errors_name_the_parameter() {
        let both = format!("Basic {}", STANDARD.encode("srx1:x"));
        let long = format!("client_id=srx1&client_secret={}", "x".repeat(129));
        let long_id = format!("client_id={}&client_secret=x", "x".repeat(65));
        for (request, error) in [
            (form(""), "invalid_client: client_id is missing"),
            (form("client_id=srx1&client_secret="), "invalid_client: client_secret is missing"),
            (form("client_id=a&client_id=b"), "invalid_request: client_id is given twice"),
            (form(&long), "invalid_request: client_secret is longer than 128 characters"),
            (form(&long_id), "invalid_request: client_id is longer than 64 characters"),
            (
                form("grant_type=password&client_id=a&client_secret=b"),
                "unsupported_grant_type: grant_type is not client_credentials",
            ),
            (
                RequestParts { authorization: Some(&both), ..form("client_id=a&client_secret=b") },
                "invalid_request: credentials are given twice",
            ),
            (
                RequestParts { authorization: Some("Basic !!!"), ..form("") },
                "invalid_request: the Basic credentials are not base64 of id:secret",
            ),
            (
                form("[]"),
                "invalid_request: the body is neither a form nor a JSON object of parameters",
            ),
        ] {
            assert_eq!(read(&request).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn responses_follow_rfc_6749() {
        assert_eq!(
            token_response("6a6f", 28_800),
            br#"{"access_token":"6a6f","token_type":"Bearer","expires_in":28800}"#
        );
        let error = TokenErrorCode::InvalidClient.with_reason("client_id is missing");
        assert_eq!(
            error.body(),
            br#"{"error":"invalid_client","error_description":"client_id is missing"}"#
        );
        let unauthorized: Vec<TokenErrorCode> =
            TokenErrorCode::iter().filter(|code| code.status() == 401).collect();
        assert_eq!(unauthorized, [TokenErrorCode::InvalidClient]);
    }

    #[test]
    fn access_token_is_found_in_every_allowed_place() {
        use TokenLocation::{HeaderOrBody, InQuery};
        let found = |request: RequestParts<'_>| {
            let (token, shown) = access_token(&request)?;
            assert_eq!(*token, "t1");
            Some(shown)
        };
        let header = RequestParts { authorization: Some("BEARER  t1"), ..RequestParts::default() };
        assert_eq!(found(header), Some(HeaderOrBody));
        assert_eq!(found(RequestParts { query: "access_token=t1", ..header }), Some(InQuery));
        assert_eq!(found(RequestParts { query: "access_token=t2", ..header }), None);
        assert_eq!(found(form("token=t1")), Some(HeaderOrBody));
        assert_eq!(found(form(r#"{"access_token":"t1"}"#)), Some(HeaderOrBody));
        assert_eq!(found(RequestParts { query: "token=t1", ..form("<a/>") }), Some(InQuery));
        assert_eq!(found(RequestParts { query: "token=t1", ..form("token=t1") }), Some(InQuery));
        assert_eq!(found(RequestParts { authorization: Some("Basic t1"), ..form("") }), None);
        assert_eq!(found(RequestParts { authorization: Some("Bearer "), ..form("") }), None);
    }

    proptest! {
        #[test]
        fn secret_is_never_in_debug_or_error_text(
            canary in "CANARY[!-~]{1,140}",
            place in 0..5_usize,
        ) {
            let encoded: String = canary.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let basic = format!("Basic {}", STANDARD.encode(format!("srx1:{canary}")));
            let bad_basic = format!("Basic {canary}");
            let body = match place {
                0 => format!("client_id=srx1&client_secret={encoded}"),
                1 => format!("client_id=srx1&client_secret={encoded}&client_secret=x"),
                2 => format!("{{\"client_secret\":\"{canary}\""),
                _ => String::new(),
            };
            let authorization = [basic.as_str(), bad_basic.as_str()].get(place.wrapping_sub(3)).copied();
            let request = RequestParts { authorization, ..form(&body) };
            let parameters = Parameters::read(&request);
            let shown = format!("{:?} {request:?} {parameters:?}", read(&request));
            let shown = match read(&request) {
                Err(error) => format!("{shown} {error} {}", String::from_utf8(error.body()).unwrap()),
                Ok(_) => shown,
            };
            prop_assert!(!shown.contains("CANARY"), "{shown}");
        }

        #[test]
        fn arbitrary_bytes_are_parsed_or_rejected(query in any::<String>(), header in any::<String>(), body: Vec<u8>) {
            let authorization = Some(header.as_str());
            let request = RequestParts { query: &query, authorization, body: &body, ..RequestParts::default() };
            let _ = (read(&request), access_token(&request));
        }
    }
}
