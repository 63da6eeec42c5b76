//! What buys a token, and what shows one: credentials within their limits, or an error of RFC 6749
//! that quotes nothing.

use super::request;
use rollcall_wire::srx::token::{access_token, read};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    if let Some((token, _)) = access_token(&request) {
        assert!(!token.is_empty(), "an empty token");
    }
    match read(&request) {
        Ok(credentials) => {
            assert!((1..=64).contains(&credentials.client_id.chars().count()));
            assert!((1..=128).contains(&credentials.client_secret.chars().count()));
            let shown = format!("Credentials {{ client_id: {:?}, .. }}", credentials.client_id);
            assert_eq!(format!("{credentials:?}"), shown, "the secret would be in a log");
        }
        Err(error) => {
            assert!(matches!(error.code.status(), 400 | 401));
            let body = String::from_utf8(error.body()).expect("JSON is UTF-8");
            assert!(body.starts_with("{\"error\":\"") && body.ends_with("\"}"), "{body}");
        }
    }
}
