//! The token endpoint: a client obtains an access token with its ID and secret (RFC 6749 section
//! 4.4).

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use rollcall_identity::Timestamp;
use rollcall_wire::http::RequestParts;
use rollcall_wire::srx::token::{self, TokenError, TokenErrorCode};
use zeroize::Zeroizing;

use super::secret::SecretCheck;
use super::{Admission, ClientRegistry, CredentialSubject, locked};
use crate::telemetry::TokenRequested;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Why no token is issued.
enum LoginError {
    /// The request is invalid, or the credentials are wrong.
    Rejection(TokenError),
    /// Too many wrong secrets: this client must wait at this address.
    LockedOut(Duration),
    /// Too many secrets are being checked.
    Busy,
}

impl Admission {
    /// Answers a token request.
    pub(crate) async fn login<R: ClientRegistry>(
        &self,
        request: &RequestParts<'_>,
        (registry, source, now): (&R, IpAddr, Timestamp),
    ) -> HttpResponse {
        let outcome = self.obtain_token(request, (registry, source, now)).await;
        let label = match &outcome {
            Ok(_) => "granted",
            Err(LoginError::Rejection(error)) => error.code.as_str(),
            Err(LoginError::LockedOut(_)) => "locked_out",
            Err(LoginError::Busy) => "busy",
        };
        let unlogged = match label {
            "invalid_client" | "unauthorized_client" => self.refused_tokens.admit(now),
            _ => None,
        };
        TokenRequested { outcome: label, source, unlogged }.emit();
        let (status, body, wait) = match outcome {
            Ok(token) => {
                let lifetime = registry.token_lifetime().as_secs();
                let lifetime = u32::try_from(lifetime).unwrap_or(u32::MAX);
                (StatusCode::OK, token::token_response(&token, lifetime), None)
            }
            Err(LoginError::Rejection(error)) => {
                let status = error.code.status();
                (
                    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
                    error.body(),
                    None,
                )
            }
            Err(LoginError::LockedOut(wait)) => slow_down("too many wrong secrets", wait),
            Err(LoginError::Busy) => slow_down("too many logins at once", Duration::from_secs(1)),
        };
        let mut answer = HttpResponse::build(status);
        for header in token::NO_STORE {
            answer.insert_header(header);
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.insert_header(token::CHALLENGE);
        }
        if let Some(seconds) = wait {
            answer.insert_header((RETRY_AFTER, seconds));
        }
        answer.content_type(token::CONTENT_TYPE).body(body)
    }

    async fn obtain_token<R: ClientRegistry>(
        &self,
        request: &RequestParts<'_>,
        (registry, source, now): (&R, IpAddr, Timestamp),
    ) -> Result<Zeroizing<String>, LoginError> {
        let credentials = token::read(request).map_err(LoginError::Rejection)?;
        let key = (credentials.client_id.clone(), source);
        let client = registry.client(&key.0);
        let secret = client.map(|client| client.secret());
        if token::secret_is_in_query(request)
            && !client.is_some_and(|client| client.allows_query_token())
        {
            return Err(LoginError::Rejection(TokenErrorCode::InvalidRequest.with_reason(
                "client_secret is in the URL; send it in the body, or set query_token in the dialect \
                 of this enforcement point, and change the secret",
            )));
        }
        // The right secret is never throttled, even while an attacker behind the same address (NAT)
        // tries others for the same client ID.
        if !self.checker.matches_at_once(secret, &credentials, now) {
            let failures = locked(&self.failures);
            let client_wait = failures.client_wait(&key, now);
            let wait =
                client_wait.or_else(|| failures.address_wait(source, registry.lockout(), now));
            if let Some(wait) = wait {
                return Err(LoginError::LockedOut(wait));
            }
        }
        let checked = self.checker.check(secret, credentials, source, now).await;
        let refused = match (checked, client) {
            (SecretCheck::Match, Some(client)) if client.allows_source(source) => {
                locked(&self.failures).reset(&key);
                let (lifetime, now) = (registry.token_lifetime(), self.clock.now());
                return Ok(locked(&self.tokens).issue(&key.0, client.secret(), lifetime, now));
            }
            (SecretCheck::Busy, _) => return Err(LoginError::Busy),
            (SecretCheck::Match, _) => TokenErrorCode::UnauthorizedClient
                .with_reason("this client may not connect from this address"),
            (SecretCheck::Mismatch, _) => {
                TokenErrorCode::InvalidClient.with_reason("client_id or client_secret is wrong")
            }
        };
        locked(&self.failures).record_failure(key, registry.lockout(), self.clock.now());
        Err(LoginError::Rejection(refused))
    }
}

/// The response to a client that must wait: in the form of RFC 6749 section 5.2, with the error
/// code of RFC 8628 section 3.5, because RFC 6749 has none for this case.
fn slow_down(reason: &'static str, wait: Duration) -> (StatusCode, Vec<u8>, Option<u64>) {
    let body = format!("{{\"error\":\"slow_down\",\"error_description\":\"{reason}\"}}");
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    (StatusCode::TOO_MANY_REQUESTS, body.into_bytes(), Some(seconds))
}
