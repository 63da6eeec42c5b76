//! What the web interface of a firewall asks: a question within its limits, or 400 or 404 with a
//! reason.

use super::request;
use rollcall_wire::srx::validator::{ValidatorQuery, read};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    match read(&request) {
        Ok(ValidatorQuery::List { prefix, count, .. }) => {
            assert!((1..=ValidatorQuery::COUNT_LIMIT).contains(&count));
            assert!(prefix.chars().count() <= ValidatorQuery::NAME_LIMIT);
        }
        Ok(ValidatorQuery::Exists { name, .. }) => {
            assert!(!name.as_str().contains(char::is_control));
        }
        Err(bad) => {
            assert!(matches!(bad.status(), 400 | 404));
            assert!(!bad.to_string().contains(char::is_control));
        }
    }
}
