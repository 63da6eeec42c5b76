//! Who sent wrong secrets waits, longer each time: one client id from one address, and never the
//! client id alone, or else anybody could lock a firewall out. Who tries one client id after the other
//! from one address waits too.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use rollcall_config::Lockout;
use rollcall_identity::Timestamp;

/// How many pairs are remembered, and how many addresses. Each of them cost a check of 27 ms: to fill
/// this takes minutes.
const MOST: usize = 4096;

/// What each wrong secret costs the address that it came from, whatever the client id.
const EACH: Duration = Duration::from_secs(1);

/// How many clients behind one address may use up their free wrong secrets at once. Behind it, one wrong
/// secret a second is checked, which takes a fortieth of a core.
const BEHIND_ONE: u32 = 4;

/// The wrong secrets so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pairs: HashMap<(String, IpAddr), Failure>,
    /// Until when each address would have to wait if nothing were free.
    owed: HashMap<IpAddr, Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    count: u32,
    until: Timestamp,
}

impl Failures {
    /// How long this client has to wait at this address; `None` when it may try.
    pub(super) fn wait(&self, client: &(String, IpAddr), now: Timestamp) -> Option<Duration> {
        let until = self.pairs.get(client)?.until;
        (until > now).then(|| until.since(now))
    }

    /// How long whoever is at this address has to wait until another secret is checked; `None` when
    /// nobody has to.
    pub(super) fn wait_at(
        &self,
        source: IpAddr,
        rule: &Lockout,
        now: Timestamp,
    ) -> Option<Duration> {
        let free = EACH.saturating_mul(BEHIND_ONE.saturating_mul(rule.failures));
        let owed = self.owed.get(&source)?.since(now);
        owed.checked_sub(free).filter(|wait| !wait.is_zero())
    }

    /// Notes a wrong secret.
    pub(super) fn failed(&mut self, client: (String, IpAddr), rule: &Lockout, now: Timestamp) {
        let source = client.1;
        if self.pairs.len() >= MOST && !self.pairs.contains_key(&client) {
            self.pairs.retain(|_, failure| failure.until > now);
            make_room(&mut self.pairs, |failure| failure.until);
        }
        if self.owed.len() >= MOST && !self.owed.contains_key(&source) {
            self.owed.retain(|_, until| *until > now);
            make_room(&mut self.owed, |until| *until);
        }
        let until = self.owed.entry(source).or_insert(now);
        *until = (*until).max(now) + EACH;
        let failure = self.pairs.entry(client).or_insert(Failure { count: 0, until: now });
        failure.count = failure.count.saturating_add(1);
        let Some(beyond) = failure.count.checked_sub(rule.failures + 1) else { return };
        let wait = rule.first.saturating_mul(1 << beyond.min(20)).min(rule.longest);
        failure.until = now + wait;
    }

    /// Forgets the wrong secrets of a client that knew the right one.
    pub(super) fn forgive(&mut self, client: &(String, IpAddr)) {
        self.pairs.remove(client);
    }
}

/// Where there is no room for one more, forgets the one that has waited most.
fn make_room<K: Clone + Eq + Hash, V>(
    waiting: &mut HashMap<K, V>,
    until: impl Fn(&V) -> Timestamp,
) {
    if waiting.len() >= MOST {
        let soonest = waiting.iter().min_by_key(|(_, waits)| until(waits));
        if let Some(soonest) = soonest.map(|(who, _)| who.clone()) {
            waiting.remove(&soonest);
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
    fn whoever_tries_one_client_after_the_other_waits_for_each_and_is_free_again_later() {
        let (mut failures, now) = (Failures::default(), Timestamp::EPOCH);
        let (here, free) = (client("", 1).1, BEHIND_ONE * RULE.failures);
        for at in 0..free {
            failures.failed(client(&at.to_string(), 1), &RULE, now);
            assert_eq!(failures.wait_at(here, &RULE, now), None, "{at}");
        }
        failures.failed(client("one more", 1), &RULE, now);
        assert_eq!(failures.wait_at(here, &RULE, now), Some(EACH));
        assert_eq!(failures.wait_at(client("", 2).1, &RULE, now), None, "nobody else waits");
        let next = now + EACH;
        assert_eq!(failures.wait_at(here, &RULE, next), None);
        failures.failed(client("the next", 1), &RULE, next);
        assert_eq!(failures.wait_at(here, &RULE, next), Some(EACH));
        let later = now + EACH * (free + 2);
        failures.failed(client("much later", 1), &RULE, later);
        assert_eq!(failures.wait_at(here, &RULE, later), None);
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
        for at in 0..MOST * 2 {
            failures.failed(client(&at.to_string(), 1), &RULE, now);
            let elsewhere = IpAddr::from([10, 1, (at / 256) as u8, at as u8]);
            failures.failed(("srx1".to_owned(), elsewhere), &RULE, now);
        }
        assert!(failures.pairs.len() <= MOST && failures.owed.len() <= MOST);
        assert!(failures.wait_at(client("", 1).1, &RULE, now).is_some());
        assert!(failures.wait(&client("srx1", 1), now).is_some());
    }
}
