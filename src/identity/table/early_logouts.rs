//! Logouts of users who do not have the address: their login may still arrive.

use crate::{Principal, Timestamp};

/// The users whose logout arrived without a session at one address, each with the latest time.
#[derive(Debug, Default)]
pub(super) struct EarlyLogouts(Vec<EarlyLogout>);

#[derive(Debug)]
struct EarlyLogout {
    principal: Principal,
    at: Timestamp,
}

impl EarlyLogouts {
    /// The number of users remembered per address. More than one or two indicate forged events.
    /// Then the earliest logout is evicted, because its login is the least likely to be still in
    /// flight.
    const MAX_USERS: usize = 4;

    /// Restores the state of another table.
    pub(super) fn restore(logout: Vec<(Principal, Timestamp)>) -> Self {
        let logout = logout.into_iter().take(Self::MAX_USERS);
        Self(logout.map(|(principal, at)| EarlyLogout { principal, at }).collect())
    }

    /// All remembered logouts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Principal, Timestamp)> {
        self.0.iter().map(|logout| (logout.principal.clone(), logout.at))
    }

    /// Records that `principal` logged out at `at`. An earlier time for the same user changes
    /// nothing.
    pub(super) fn note(&mut self, principal: &Principal, at: Timestamp) {
        // Compares for equality, not compatibility: `alice` is compatible with users of two
        // domains, and a logout of one must not count for the other. The format of the name does
        // not matter.
        let same = |known: &&mut EarlyLogout| {
            let known = &known.principal;
            (&known.user, &known.domain) == (&principal.user, &principal.domain)
        };
        if let Some(known) = self.0.iter_mut().find(same) {
            known.at = known.at.max(at);
            return;
        }
        if self.0.len() == Self::MAX_USERS {
            let first = (0..self.0.len()).min_by_key(|index| self.0[*index].at);
            match first {
                Some(first) if self.0[first].at < at => drop(self.0.swap_remove(first)),
                _ => return,
            }
        }
        self.0.push(EarlyLogout { principal: principal.clone(), at });
    }

    /// The latest logout of `who`.
    pub(super) fn latest(&self, user: &Principal) -> Option<Timestamp> {
        let theirs = self.0.iter().filter(|logout| logout.principal.is_compatible_with(user));
        theirs.map(|logout| logout.at).max()
    }

    /// Whether no logout is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{principal, seconds};

    #[test]
    fn a_bare_name_matches_the_latest_logout_of_either_domain() {
        let mut logouts = EarlyLogouts::default();
        logouts.note(&principal("alice@corp"), seconds(10));
        logouts.note(&principal("alice@lab"), seconds(20));
        logouts.note(&principal("CORP\\alice"), seconds(5));
        assert_eq!(logouts.0.len(), 2, "written otherwise, and the same");
        assert_eq!(logouts.latest(&principal("alice@corp")), Some(seconds(10)));
        assert_eq!(logouts.latest(&principal("alice")), Some(seconds(20)));
        assert_eq!(logouts.latest(&principal("bob@corp")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_latest_logouts_are_kept_in_any_order(
            reported in prop::collection::vec((0..9_usize, 0..1000_i64), 0..40),
        ) {
            let mut logouts = EarlyLogouts::default();
            let mut latest = HashMap::new();
            for (user, at) in reported {
                logouts.note(&principal(&format!("user{user}")), seconds(at));
                let known = latest.entry(user).or_insert(at);
                *known = at.max(*known);
                prop_assert!(logouts.0.len() <= EarlyLogouts::MAX_USERS);
            }
            let mut newest: Vec<_> = latest.iter().map(|(user, at)| (*at, *user)).collect();
            newest.sort_unstable();
            for (at, user) in newest.iter().rev().take(EarlyLogouts::MAX_USERS) {
                let known = logouts.latest(&principal(&format!("user{user}")));
                // Among logouts at the same time, any may have been evicted.
                let tied = newest.iter().filter(|(other, _)| other == at).count() > 1;
                prop_assert!(tied || known == Some(seconds(*at)), "{known:?} {at}");
            }
        }
    }
}
