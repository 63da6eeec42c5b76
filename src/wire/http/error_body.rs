//! The bodies of HTTP error responses: problem details (RFC 9457) and OAuth errors (RFC 6749).

use serde::Deserialize;
use utoipa::ToSchema;

/// An error response (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ProblemDetails {
    /// A short summary.
    pub title: Option<String>,
    /// An explanation.
    pub detail: Option<String>,
}

impl ProblemDetails {
    /// The message of the peer, sanitized for a log line: at most 200 characters, without
    /// control or bidirectional characters. `None` without a readable message.
    pub fn read(body: &[u8]) -> Option<String> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        Some(sanitized(&problem.detail.or(problem.title)?))
    }
}

/// An OAuth error response (RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OAuthError {
    /// The error code, such as `invalid_client`.
    pub error: String,
    /// The description for people.
    #[serde(default)]
    pub error_description: Option<String>,
}

impl OAuthError {
    /// The error, sanitized for a log line; `None` when the body is not one.
    pub fn read(body: &[u8]) -> Option<String> {
        let Self { error, error_description: more } = serde_json::from_slice(body).ok()?;
        Some(sanitized(&more.map_or(error.clone(), |more| format!("{error}: {more}"))))
    }
}

/// The maximum length of a quoted message, in characters.
const QUOTE_LIMIT: usize = 200;

/// Sanitizes the beginning of a message for a log line.
pub(crate) fn sanitized(text: &str) -> String {
    let sanitized = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().filter(|c| !is_direction(*c)).map(sanitized).take(QUOTE_LIMIT).collect()
}

/// Separators and directional overrides that change the display of the surrounding text (UTR 36,
/// section 3.1).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_a_peer_cannot_forge_log_lines() {
        let text =
            |detail: &str| ProblemDetails::read(json!({"detail": detail}).to_string().as_bytes());
        assert_eq!(text("no\nroom\u{202e}!").as_deref(), Some("no room!"));
        assert_eq!(text(&"x".repeat(999)).unwrap().len(), 200);
        assert_eq!(ProblemDetails::read(b"<html>"), None);
        assert_eq!(ProblemDetails::read(b"{\"title\":\"Busy\"}").as_deref(), Some("Busy"));
    }
}
