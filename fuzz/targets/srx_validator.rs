//! What the web interface of a firewall asks: a question within its limits, or 400 or 404 with a
//! reason.

use super::request;
use rollcall_wire::srx::validator::{Question, read};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    match read(&request) {
        Ok(Question::List { prefix, count, .. }) => {
            assert!((1..=Question::COUNT_LIMIT).contains(&count));
            assert!(prefix.chars().count() <= Question::NAME_LIMIT);
        }
        Ok(Question::Is { name, .. }) => {
            assert!(!name.as_str().contains(char::is_control));
        }
        Err(bad) => {
            assert!(matches!(bad.status(), 400 | 404));
            assert!(!bad.to_string().contains(char::is_control));
        }
    }
}
