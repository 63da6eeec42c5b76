//! What push targets answer: taken only when it adds up, and never repeated with its secrets.

use rollcall_wire::secure_edge::{
    Credentials, DIGEST_PAGES, Digests, Problem, Taken, Tally, Token,
};
use rollcall_wire::srx::web_api::{Unaccepted, accepted};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let sent = Tally { users: 1, sessions: 3, ..Tally::default() };
    if let Ok(taken) = Taken::read(data, sent, "5.9") {
        let told = taken.accepted + taken.duplicates + taken.refused.len() as u64;
        assert_eq!((taken.position.as_str(), told), ("5.9", 4));
    }
    if let Ok(credentials) = Credentials::read(data) {
        let secret = credentials.client_secret.as_str();
        assert!(secret.bytes().all(|byte| byte.is_ascii_graphic()), "it would break a header");
        assert!(!credentials.client_id.contains(':'));
    }
    if let Ok(token) = Token::read(data) {
        assert!(token.access_token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    if let Ok(digests) = Digests::read(data) {
        assert_eq!(digests.pages.len(), DIGEST_PAGES);
    }
    if let Some(said) = Problem::read(data) {
        assert!(!said.chars().any(char::is_control), "it would forge a line of the log");
    }
    if let Err(Unaccepted::Error(said) | Unaccepted::Strange(said)) = accepted(200, data) {
        assert!(!said.chars().any(char::is_control), "it would forge a line of the log");
    }
}
