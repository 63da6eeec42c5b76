//! The token endpoint: a client id and a secret buy an access token (RFC 6749 section 4.4).

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use rollcall_identity::Timestamp;
use rollcall_wire::http::RequestParts;
use rollcall_wire::srx::token::{self, TokenError, TokenErrorCode};
use zeroize::Zeroizing;

use super::secret::Checked;
use super::{Admission, Applicant, Register, locked};
use crate::telemetry::TokenAsked;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Why there is no token.
enum NoToken {
    /// The request or what it proves is not good enough.
    Refused(TokenError),
    /// Too many wrong secrets; this client has to wait at this address.
    LockedOut(Duration),
    /// Too many secrets are being checked.
    Busy,
}

impl Admission {
    /// Answers somebody who wants a token.
    pub(crate) async fn login<R: Register>(
        &self,
        said: &RequestParts<'_>,
        (register, source, now): (&R, IpAddr, Timestamp),
    ) -> HttpResponse {
        let outcome = self.buy(said, (register, source, now)).await;
        let word = match &outcome {
            Ok(_) => "granted",
            Err(NoToken::Refused(error)) => error.code.as_str(),
            Err(NoToken::LockedOut(_)) => "locked_out",
            Err(NoToken::Busy) => "busy",
        };
        TokenAsked { outcome: word, source }.emit();
        let (status, body, wait) = match outcome {
            Ok(token) => {
                let lifetime = register.token_lifetime().as_secs();
                let lifetime = u32::try_from(lifetime).unwrap_or(u32::MAX);
                (StatusCode::OK, token::token_response(&token, lifetime), None)
            }
            Err(NoToken::Refused(error)) => {
                let status = error.code.status();
                (
                    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
                    error.body(),
                    None,
                )
            }
            Err(NoToken::LockedOut(wait)) => later("too many wrong secrets", wait),
            Err(NoToken::Busy) => later("too many logins at once", Duration::from_secs(1)),
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

    async fn buy<R: Register>(
        &self,
        said: &RequestParts<'_>,
        (register, source, now): (&R, IpAddr, Timestamp),
    ) -> Result<Zeroizing<String>, NoToken> {
        let credentials = token::read(said).map_err(NoToken::Refused)?;
        let who = (credentials.client_id.clone(), source);
        if let Some(wait) = locked(&self.failures).wait(&who, now) {
            return Err(NoToken::LockedOut(wait));
        }
        let client = register.client(&who.0);
        let secret = client.map(|client| client.secret());
        // Who is known without a check is none of those who guess behind the same address.
        if let Some(wait) = locked(&self.failures).wait_at(source, register.lockout(), now)
            && !self.checker.remembers(secret, &credentials, now)
        {
            return Err(NoToken::LockedOut(wait));
        }
        let checked = self.checker.check(secret, credentials, source, now).await;
        let refused = match (checked, client) {
            (Checked::Right, Some(client)) if client.may_come_from(source) => {
                locked(&self.failures).forgive(&who);
                let (lifetime, now) = (register.token_lifetime(), self.clock.now());
                return Ok(locked(&self.tokens).issue(&who.0, client.secret(), lifetime, now));
            }
            (Checked::Busy, _) => return Err(NoToken::Busy),
            (Checked::Right, _) => TokenErrorCode::UnauthorizedClient
                .with_reason("this client may not connect from this address"),
            (Checked::Wrong, _) => {
                TokenErrorCode::InvalidClient.with_reason("client_id or client_secret is wrong")
            }
        };
        locked(&self.failures).failed(who, register.lockout(), self.clock.now());
        Err(NoToken::Refused(refused))
    }
}

/// The answer to somebody who must wait: in the shape of RFC 6749 section 5.2, with a word of
/// RFC 8628 section 3.5 for what it has none for.
fn later(reason: &'static str, wait: Duration) -> (StatusCode, Vec<u8>, Option<u64>) {
    let body = format!("{{\"error\":\"slow_down\",\"error_description\":\"{reason}\"}}");
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    (StatusCode::TOO_MANY_REQUESTS, body.into_bytes(), Some(seconds))
}
