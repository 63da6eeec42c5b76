//! Detection of shared addresses: an address that serves many users at once, such as a terminal
//! server or a NAT gateway, does not identify a user.

use std::time::Duration;

use crate::{Name, Session, SharedAddressRule, Timestamp};

/// The recent users of one address, and until when it is treated as shared.
#[derive(Debug, Default)]
pub(super) struct RecentUsers {
    /// At most [`RecentUsers::MAX_USERS`], each user once.
    users: Vec<RecentUser>,
    shared_until: Option<Timestamp>,
}

/// A login, by Rollcall's clock, because a sender of forged messages can choose any other time.
#[derive(Debug)]
struct RecentUser {
    user: Name,
    at: Timestamp,
}

impl RecentUsers {
    /// The interval in which users are counted.
    const WINDOW: Duration = Duration::from_secs(60);

    /// The number of users remembered, and therefore the highest configurable limit.
    const MAX_USERS: usize = SharedAddressRule::MAX_USERS;

    /// Restores the state of another table.
    pub(super) fn restore(login: Vec<(Name, Timestamp)>, shared_until: Option<Timestamp>) -> Self {
        let login =
            login.into_iter().take(Self::MAX_USERS).map(|(user, at)| RecentUser { user, at });
        Self { users: login.collect(), shared_until }
    }

    /// The logins, and until when the address is treated as shared.
    pub(super) fn snapshot(&self) -> (Vec<(Name, Timestamp)>, Option<Timestamp>) {
        (self.users.iter().map(|login| (login.user.clone(), login.at)).collect(), self.shared_until)
    }

    /// Records that a session of `user` began at `at`. The same name in two domains counts as one
    /// user, because two sources may report different domains.
    pub(super) fn note(&mut self, user: &Name, at: Timestamp) {
        self.users.retain(|login| login.user != *user && within(login.at, at));
        if self.users.len() == Self::MAX_USERS {
            let first = (0..Self::MAX_USERS).min_by_key(|index| self.users[*index].at);
            first.map(|first| self.users.swap_remove(first));
        }
        self.users.push(RecentUser { user: user.clone(), at });
    }

    /// The number of users within the minute before `at`, including `new_user`, new_user logs in now, and the
    /// user of `session`, new_user may have logged in before logins were recorded.
    pub(super) fn count_with(
        &self,
        new_user: &Name,
        session: Option<&Session>,
        at: Timestamp,
    ) -> usize {
        let is_recent = |login: &&RecentUser| login.user != *new_user && within(login.at, at);
        let noted = self.users.iter().filter(is_recent);
        let unrecorded = session
            .and_then(|session| Some((&session.principal.as_ref()?.user, session.cause.seen)))
            .filter(|(user, login)| *user != new_user && within(*login, at))
            .filter(|(user, _)| self.users.iter().all(|login| login.user != **user));
        1 + noted.count() + usize::from(unrecorded.is_some())
    }

    /// Treats the address as shared until `until`, or longer if it already is.
    pub(super) fn set_shared_until(&mut self, until: Timestamp) {
        self.users = Vec::new();
        self.shared_until = self.shared_until.max(Some(until));
    }

    /// Until when the address is treated as shared, if it is at `at`.
    pub(super) fn shared_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.shared_until.filter(|until| at < *until)
    }
}

/// Whether `login` is within the minute before `now`.
fn within(login: Timestamp, now: Timestamp) -> bool {
    now.since(login) < RecentUsers::WINDOW
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::table::Table;
    use crate::test_support::{address, event_at, name, rules, seconds};
    use crate::{Kind, Refusal, Revision, Rule, Rules, Verdict};

    const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

    fn at_most(users: usize, quiet: u64) -> Rules {
        let quiet = Duration::from_secs(quiet);
        Rules {
            shared_addresses: SharedAddressRule {
                max_users_per_minute: users,
                quiet_period: quiet,
                ..SharedAddressRule::default()
            },
            ..rules()
        }
    }

    fn owner(table: &Table, now: i64) -> Option<String> {
        let held =
            table.get(address("10.0.0.7")).filter(|session| session.is_active_at(seconds(now)));
        held.and_then(|session| session.principal.as_ref()).map(ToString::to_string)
    }

    #[test]
    fn an_address_with_too_many_users_has_no_session_until_logins_pause() {
        let (rules, mut table) = (at_most(2, 300), Table::default());
        let mut login = |user, after, rules: &Rules| {
            let revision = Revision(after as u64 + 1);
            let verdict = table.apply(revision, &event_at(Kind::Login, user, after), rules).verdict;
            (verdict, owner(&table, after), table.explain(address("10.0.0.7"), seconds(after)))
        };
        login("alice", 0, &rules);
        assert_eq!(login("bob", 20, &rules).1.as_deref(), Some("bob"));
        let (verdict, owner, why) = login("carol", 40, &rules);
        assert_eq!((verdict, owner), (Verdict::Applied(Rule::AddressShared), None));
        let sentence = why.to_string();
        assert!(sentence.contains("treated as shared until 2026-11-21T19:55:40Z"), "{sentence}");
        let refused = Verdict::Refused(Refusal::AddressShared);
        assert_eq!(login("bob", 300, &rules).0, refused, "any user");
        assert_eq!(login("bob", 599, &rules).0, refused, "each login is noise");
        let (verdict, owner, why) = login("bob", 900, &rules);
        assert_eq!(verdict, Verdict::Applied(Rule::FirstUser), "quiet for 301 seconds");
        assert!(owner.is_some() && why.shared.is_none());
    }

    #[test]
    fn the_shared_address_rule_has_exceptions_and_can_be_disabled() {
        let mut strict = at_most(1, 300);
        let (mut table, mut revision) = (Table::default(), 0);
        let mut login = |user, after, rules: &Rules| {
            revision += 1;
            table.apply(Revision(revision), &event_at(Kind::Login, user, after), rules);
            owner(&table, after)
        };
        login("alice", 0, &strict);
        assert_eq!(login("bob", 1, &strict), None);
        assert_eq!(login("bob", 2, &at_most(0, 300)).as_deref(), Some("bob"), "off");
        assert_eq!(login("carol", 3, &strict), None);
        strict.shared_addresses.exempt_networks = vec!["10.0.0.0/24".parse().unwrap()];
        assert_eq!(login("carol", 4, &strict).as_deref(), Some("carol"), "not asked here");
    }

    /// A reference model that keeps the complete history of logins.
    #[derive(Default)]
    struct Model {
        begun: Vec<(i64, usize)>,
        shared_until: i64,
        owner: Option<usize>,
    }

    impl Model {
        fn login(&mut self, user: usize, now: i64, (most, quiet): (usize, i64)) {
            if self.owner == Some(user) {
                return;
            }
            let is_recent =
                self.begun.iter().filter(|(at, _)| now - at < 60).map(|(_, user)| *user);
            let users: BTreeSet<usize> = is_recent.chain([user]).collect();
            if now < self.shared_until || users.len() > most {
                (self.shared_until, self.owner) = (now + quiet, None);
                self.begun.clear();
            } else {
                self.begun.push((now, user));
                self.owner = Some(user);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn shared_addresses_match_the_full_history(
            actions in prop::collection::vec((1..40_i64, 0..USERS.len(), 0..4_u8), 1..60),
            most in 1..4_usize,
            quiet in 60..200_i64,
        ) {
            let rules = at_most(most, quiet.unsigned_abs());
            let (mut table, mut model, mut now) = (Table::default(), Model::default(), 0);
            for (revision, (pause, user, action)) in actions.into_iter().enumerate() {
                now += pause;
                let kind = if action == 0 { Kind::Logout } else { Kind::Login };
                match kind {
                    Kind::Logout => model.owner = model.owner.filter(|owner| *owner != user),
                    _ => model.login(user, now, (most, quiet)),
                }
                table.apply(Revision(revision as u64 + 1), &event_at(kind, USERS[user], now), &rules);
                let expected = model.owner.map(|owner| USERS[owner].to_owned());
                prop_assert_eq!(owner(&table, now), expected, "at {}", now);
                let shared = table.explain(address("10.0.0.7"), seconds(now)).shared.is_some();
                prop_assert_eq!(shared, now < model.shared_until);
                prop_assert!(!shared || owner(&table, now).is_none());
            }
        }

        #[test]
        fn recent_users_are_bounded(login in prop::collection::vec((0..90_u8, 0..70_i64), 0..200)) {
            let mut recent_users = RecentUsers::default();
            for (user, at) in login {
                recent_users.note(&name(&format!("user{user}")), seconds(at));
                prop_assert!(recent_users.users.len() <= RecentUsers::MAX_USERS);
                prop_assert!(recent_users.count_with(&name("nobody"), None, seconds(at)) <= RecentUsers::MAX_USERS + 1);
            }
        }
    }
}
