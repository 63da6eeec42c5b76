//! Throttling of failed logins. The wait grows with each wrong secret for one client ID at one
//! address. It never applies to a client ID alone, because an attacker could then lock out a
//! firewall. Failed logins for different client IDs from one address are throttled too.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use rollcall_config::Lockout;
use rollcall_identity::Timestamp;

/// How many pairs are kept, and how many addresses. Each entry needs a check of 27 ms, so filling
/// the table takes minutes.
const CAPACITY: usize = 4096;

/// The time that each wrong secret adds to the wait of its source address, for any client ID.
const FAILURE_COST: Duration = Duration::from_secs(1);

/// How many clients behind one address can use their free failures at the same time. Beyond that,
/// one wrong secret per second is checked, which takes a fortieth of a core.
const CLIENTS_PER_ADDRESS: u32 = 4;

/// The failed logins.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_client: HashMap<(String, IpAddr), Failure>,
    /// For each address the time at which its failures are spent at [`FAILURE_COST`] each (the
    /// theoretical arrival time of a leaky bucket), without regard to the free failures.
    by_address: HashMap<IpAddr, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    count: u32,
    until: Timestamp,
}

impl Failures {
    /// How long this client must wait at this address; `None` when it may log in.
    pub(super) fn client_wait(
        &self,
        client: &(String, IpAddr),
        now: Timestamp,
    ) -> Option<Duration> {
        let until = self.by_client.get(client)?.until;
        (until > now).then(|| until.since(now))
    }

    /// How long any client at this address must wait before another secret is checked; `None` when
    /// it need not wait.
    pub(super) fn address_wait(
        &self,
        source: IpAddr,
        rule: &Lockout,
        now: Timestamp,
    ) -> Option<Duration> {
        let free = FAILURE_COST.saturating_mul(CLIENTS_PER_ADDRESS.saturating_mul(rule.threshold));
        let by_address = self.by_address.get(&source)?.since(now);
        by_address.checked_sub(free).filter(|client_wait| !client_wait.is_zero())
    }

    /// Records a wrong secret.
    pub(super) fn record_failure(
        &mut self,
        client: (String, IpAddr),
        rule: &Lockout,
        now: Timestamp,
    ) {
        let source = client.1;
        if self.by_client.len() >= CAPACITY && !self.by_client.contains_key(&client) {
            self.by_client.retain(|_, failure| failure.until > now);
            evict_earliest(&mut self.by_client, |failure| failure.until);
        }
        if self.by_address.len() >= CAPACITY && !self.by_address.contains_key(&source) {
            self.by_address.retain(|_, until| *until > now);
            evict_earliest(&mut self.by_address, |until| *until);
        }
        let until = self.by_address.entry(source).or_insert(now);
        *until = (*until).max(now) + FAILURE_COST;
        let failure = self.by_client.entry(client).or_insert(Failure { count: 0, until: now });
        failure.count = failure.count.saturating_add(1);
        let Some(excess) = failure.count.checked_sub(rule.threshold + 1) else { return };
        let client_wait =
            rule.initial_delay.saturating_mul(1 << excess.min(20)).min(rule.max_delay);
        failure.until = now + client_wait;
    }

    /// Removes the failures of a client that logged in.
    pub(super) fn reset(&mut self, client: &(String, IpAddr)) {
        self.by_client.remove(client);
    }
}

/// Evicts the entry that expires first when the table is full.
fn evict_earliest<K: Clone + Eq + Hash, V>(
    entries: &mut HashMap<K, V>,
    until: impl Fn(&V) -> Timestamp,
) {
    if entries.len() >= CAPACITY {
        let earliest = entries.iter().min_by_key(|(_, waits)| until(waits));
        if let Some(earliest) = earliest.map(|(key, _)| key.clone()) {
            entries.remove(&earliest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Lockout = Lockout {
        threshold: 2,
        initial_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(3),
    };

    fn client(id: &str, last: u8) -> (String, IpAddr) {
        (id.to_owned(), IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn the_wait_starts_after_the_free_failures_doubles_and_is_capped() {
        let (mut failures, mut now) = (Failures::default(), Timestamp::EPOCH);
        let mut waits = Vec::new();
        for _ in 0..5 {
            failures.record_failure(client("srx1", 1), &RULE, now);
            let client_wait = failures.client_wait(&client("srx1", 1), now);
            waits.push(client_wait.map(|client_wait| client_wait.as_secs()));
            now = now + client_wait.unwrap_or_default();
            assert_eq!(failures.client_wait(&client("srx1", 1), now), None);
        }
        assert_eq!(waits, [None, None, Some(1), Some(2), Some(3)]);
        failures.reset(&client("srx1", 1));
        failures.record_failure(client("srx1", 1), &RULE, now);
        assert_eq!(failures.client_wait(&client("srx1", 1), now), None);
    }

    #[test]
    fn failures_for_different_clients_from_one_address_are_throttled() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        let (here, free) = (client("", 1).1, CLIENTS_PER_ADDRESS * RULE.threshold);
        for at in 0..free {
            failures.record_failure(client(&at.to_string(), 1), &RULE, now);
            assert_eq!(failures.address_wait(here, &RULE, now), None, "{at}");
        }
        failures.record_failure(client("one more", 1), &RULE, now);
        assert_eq!(failures.address_wait(here, &RULE, now), Some(FAILURE_COST));
        assert_eq!(
            failures.address_wait(client("", 2).1, &RULE, now),
            None,
            "other addresses do not wait"
        );
        let next = now + FAILURE_COST;
        assert_eq!(failures.address_wait(here, &RULE, next), None);
        failures.record_failure(client("the next", 1), &RULE, next);
        assert_eq!(failures.address_wait(here, &RULE, next), Some(FAILURE_COST));
        let later = now + FAILURE_COST * (free + 2);
        failures.record_failure(client("much later", 1), &RULE, later);
        assert_eq!(failures.address_wait(here, &RULE, later), None);
    }

    #[test]
    fn another_address_and_another_client_do_not_wait() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        for _ in 0..9 {
            failures.record_failure(client("srx1", 1), &RULE, now);
        }
        assert!(failures.client_wait(&client("srx1", 1), now).is_some());
        assert_eq!(failures.client_wait(&client("srx1", 2), now), None);
        assert_eq!(failures.client_wait(&client("srx2", 1), now), None);
    }

    #[test]
    fn memory_is_bounded_and_waiting_entries_are_kept() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        for _ in 0..9 {
            failures.record_failure(client("srx1", 1), &RULE, now);
        }
        for at in 0..CAPACITY * 2 {
            failures.record_failure(client(&at.to_string(), 1), &RULE, now);
            let wrong_address = IpAddr::from([10, 1, (at / 256) as u8, at as u8]);
            failures.record_failure(("srx1".to_owned(), wrong_address), &RULE, now);
        }
        assert!(failures.by_client.len() <= CAPACITY && failures.by_address.len() <= CAPACITY);
        assert!(failures.address_wait(client("", 1).1, &RULE, now).is_some());
        assert!(failures.client_wait(&client("srx1", 1), now).is_some());
    }
}
