//! Requests that nothing here answers: logged in full, but for their secrets, so that one look at a
//! real firewall settles what it sends.

use std::sync::Mutex;
use std::time::Duration;

use rollcall_identity::Timestamp;
use rollcall_wire::http::{Request, redact};

use super::Visit;
use super::points::locked;
use crate::happenings::{Happening, UnknownRoute};

/// How many are logged in [`WINDOW`]: each may have 4 KiB.
const LOGGED: u64 = 10;

const WINDOW: Duration = Duration::from_secs(60);

/// How many there were.
#[derive(Debug, Default)]
pub(super) struct Strange(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    since: Option<Timestamp>,
    count: u64,
}

impl Strange {
    /// Counts one, and logs it unless there were many just now.
    pub(super) fn seen(&self, said: &Request<'_>, visit: &Visit) {
        let unlogged = self.admit(visit.now);
        let request = unlogged.map(|_| redact(said));
        let (source, unlogged) = (visit.source, unlogged.unwrap_or(0));
        UnknownRoute { request: request.as_deref(), source, unlogged }.emit();
    }

    /// Whether the next one is logged, and if so, how many were not before it.
    fn admit(&self, now: Timestamp) -> Option<u64> {
        let mut seen = locked(&self.0);
        let mut unlogged = 0;
        if seen.since.is_none_or(|since| now.since(since) >= WINDOW) {
            unlogged = seen.count.saturating_sub(LOGGED);
            *seen = Seen { since: Some(now), count: 0 };
        }
        seen.count += 1;
        (seen.count <= LOGGED).then_some(unlogged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_are_logged_and_the_rest_is_counted() {
        let (strange, now) = (Strange::default(), Timestamp::EPOCH);
        let logged = (0..25).filter(|_| strange.admit(now) == Some(0)).count();
        assert_eq!(logged, 10);
        assert_eq!(strange.admit(now + WINDOW), Some(15));
        assert_eq!(strange.admit(now + WINDOW), Some(0));
    }
}
