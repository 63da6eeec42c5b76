//! What a firewall asks: a question within its limits, or 400 or 404 with a reason.

use super::request;
use rollcall_wire::srx::{QueryFilter, SrxQuery, read};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    match read(&request) {
        Ok(SrxQuery::Batch { count, cookie, scope, .. }) => {
            assert!(count.is_none_or(|count| (1..=SrxQuery::COUNT_LIMIT).contains(&count)));
            assert!(cookie.is_none_or(|cookie| cookie.len() <= SrxQuery::COOKIE_LIMIT));
            assert!(scope.domains.len() <= QueryFilter::DOMAINS);
            assert!(scope.include.len() <= QueryFilter::NETWORKS);
            assert!(scope.exclude.len() <= QueryFilter::NETWORKS);
        }
        Ok(SrxQuery::Ip { address, .. }) => {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        Ok(SrxQuery::User { principal }) => {
            assert!(!principal.user.as_str().contains(char::is_control));
        }
        Err(bad) => {
            assert!(matches!(bad.status(), 400 | 404));
            assert!(!bad.to_string().contains(char::is_control));
        }
    }
}
