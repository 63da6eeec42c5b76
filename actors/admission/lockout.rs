//! Who sent wrong secrets waits, longer each time: one client id from one address, and never the
//! client id alone, or else anybody could lock a firewall out.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use rollcall_config::Lockout;
use rollcall_identity::Timestamp;

/// How many pairs are remembered. Each of them cost a check of 27 ms: to fill this takes minutes.
const PAIRS: usize = 4096;

/// The wrong secrets so far.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<(String, IpAddr), Failure>);

#[derive(Debug, Clone, Copy)]
struct Failure {
    count: u32,
    until: Timestamp,
}

impl Failures {
    /// How long this client has to wait at this address; `None` when it may try.
    pub(super) fn wait(&self, client: &(String, IpAddr), now: Timestamp) -> Option<Duration> {
        let until = self.0.get(client)?.until;
        (until > now).then(|| until.since(now))
    }

    /// Notes a wrong secret.
    pub(super) fn failed(&mut self, client: (String, IpAddr), rule: &Lockout, now: Timestamp) {
        if self.0.len() >= PAIRS && !self.0.contains_key(&client) {
            self.make_room(now);
        }
        let failure = self.0.entry(client).or_insert(Failure { count: 0, until: now });
        failure.count = failure.count.saturating_add(1);
        let Some(beyond) = failure.count.checked_sub(rule.failures + 1) else { return };
        let wait = rule.first.saturating_mul(1 << beyond.min(20)).min(rule.longest);
        failure.until = now + wait;
    }

    /// Forgets the wrong secrets of a client that knew the right one.
    pub(super) fn forgive(&mut self, client: &(String, IpAddr)) {
        self.0.remove(client);
    }

    /// Forgets those that wait no longer, or else the one that has waited most.
    fn make_room(&mut self, now: Timestamp) {
        self.0.retain(|_, failure| failure.until > now);
        if self.0.len() >= PAIRS {
            let soonest = self.0.iter().min_by_key(|(_, failure)| failure.until);
            if let Some(client) = soonest.map(|(client, _)| client.clone()) {
                self.0.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Lockout =
        Lockout { failures: 2, first: Duration::from_secs(1), longest: Duration::from_secs(3) };

    fn client(id: &str, last: u8) -> (String, IpAddr) {
        (id.to_owned(), IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn the_wait_begins_after_the_free_failures_doubles_and_has_an_end() {
        let (mut failures, mut now) = (Failures::default(), Timestamp::EPOCH);
        let mut waits = Vec::new();
        for _ in 0..5 {
            failures.failed(client("srx1", 1), &RULE, now);
            let wait = failures.wait(&client("srx1", 1), now);
            waits.push(wait.map(|wait| wait.as_secs()));
            now = now + wait.unwrap_or_default();
            assert_eq!(failures.wait(&client("srx1", 1), now), None);
        }
        assert_eq!(waits, [None, None, Some(1), Some(2), Some(3)]);
        failures.forgive(&client("srx1", 1));
        failures.failed(client("srx1", 1), &RULE, now);
        assert_eq!(failures.wait(&client("srx1", 1), now), None);
    }

    #[test]
    fn another_address_and_another_client_do_not_wait() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        for _ in 0..9 {
            failures.failed(client("srx1", 1), &RULE, now);
        }
        assert!(failures.wait(&client("srx1", 1), now).is_some());
        assert_eq!(failures.wait(&client("srx1", 2), now), None);
        assert_eq!(failures.wait(&client("srx2", 1), now), None);
    }

    #[test]
    fn any_number_of_names_takes_bounded_memory_and_frees_nobody_who_waits() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        for _ in 0..9 {
            failures.failed(client("srx1", 1), &RULE, now);
        }
        for at in 0..PAIRS * 2 {
            failures.failed(client(&at.to_string(), 1), &RULE, now);
        }
        assert!(failures.0.len() <= PAIRS);
        assert!(failures.wait(&client("srx1", 1), now).is_some());
    }
}
