//! What push targets answer: taken only when it adds up, and never repeated with its secrets.

use rollcall_wire::http::ProblemDetails;
use rollcall_wire::secure_edge::{
    AccessToken, BatchAck, DIGEST_PAGES, DigestPages, OnboardedCredentials, ReportCounts,
};
use rollcall_wire::srx::web_api::{PostEntryError, check_response};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let sent = ReportCounts { users: 1, sessions: 3, ..ReportCounts::default() };
    if let Ok(taken) = BatchAck::read(data, sent, "5.9") {
        let told = taken.accepted + taken.duplicates + taken.refused.len() as u64;
        assert_eq!((taken.position.as_str(), told), ("5.9", 4));
    }
    if let Ok(credentials) = OnboardedCredentials::read(data) {
        let secret = credentials.client_secret.as_str();
        assert!(secret.bytes().all(|byte| byte.is_ascii_graphic()), "it would break a header");
        assert!(!credentials.client_id.contains(':'));
    }
    if let Ok(token) = AccessToken::read(data) {
        assert!(token.access_token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Ok(digests) = DigestPages::read(data) {
        assert_eq!(digests.pages.len(), DIGEST_PAGES);
    }
    if let Some(said) = ProblemDetails::read(data) {
        assert!(!said.chars().any(char::is_control), "it would forge a line of the log");
    }
    if let Err(PostEntryError::Error(said) | PostEntryError::UnknownForm(said)) =
        check_response(200, data)
    {
        assert!(!said.chars().any(char::is_control), "it would forge a line of the log");
    }
}
