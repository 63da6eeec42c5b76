//! The sessions of one address one after the other, as the table decides them: what history is told
//! from.

use std::sync::Arc;

use crate::{
    Address, Cause, Effect, Event, Explanation, Principal, Revision, Rules, Session, Table,
    TableSnapshot, Timestamp,
};

/// The table of one address, and who is there while its events are folded.
#[derive(Debug)]
pub struct AddressTimeline {
    address: Address,
    table: Table,
    there: Option<SessionInterval>,
    is_known: bool,
}

/// Somebody was at the address from one moment to another, on Rollcall's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInterval {
    /// The position of the event that began it; of somebody who was there before what was folded,
    /// of the one that last changed who it is.
    pub began: Revision,
    /// When Rollcall heard of it: from then on, everybody who asked was told so.
    pub learnt: Timestamp,
    /// The session as it stood last.
    pub session: Arc<Session>,
    /// How it ended; `None` while it goes on.
    pub end: Option<IntervalEnd>,
}

/// The end of a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalEnd {
    /// From when on nobody was told of it any more.
    pub at: Timestamp,
    /// What ended it; `None` when its logoff time passed and nothing was folded that says so.
    pub cause: Option<Cause>,
}

impl AddressTimeline {
    /// Begins with everything that was held for the address; with an empty `handover`, nobody was
    /// there.
    pub fn after(address: Address, handover: TableSnapshot) -> Self {
        let table = Table::restore(handover);
        let of = |session: &Arc<Session>| SessionInterval::of(session.clone(), session.cause.seen);
        let there = table.get(address).map(of);
        Self { address, table, there, is_known: true }
    }

    /// Begins where nobody knows who was there: that is known only once somebody has come.
    pub fn out_of_the_dark(address: Address) -> Self {
        Self { is_known: false, ..Self::after(address, TableSnapshot::default()) }
    }

    /// Whose sessions these are.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Folds one event, and gives out the stay that ended by it. What concerns other addresses is
    /// passed over.
    pub fn apply(
        &mut self,
        revision: Revision,
        event: &Event,
        rules: &Rules,
    ) -> Option<SessionInterval> {
        if event.address != self.address {
            return None;
        }
        let change = self.table.apply(revision, event, rules).change?;
        self.is_known |= change.effect == Effect::Began;
        match (&mut self.there, change.after) {
            (Some(there), Some(after)) if there.goes_on_as(&after, change.effect) => {
                there.session = after;
                None
            }
            (there, after) => {
                let ended = there.take().map(|stay| stay.ended(event.seen, change.cause));
                *there = after.map(|after| SessionInterval::of(after, event.seen));
                ended
            }
        }
    }

    /// Why the address had whom it had at `at`, which is not before the last event folded; `None`
    /// when it is not known whether anybody was there.
    pub fn explain(&self, at: Timestamp) -> Option<Explanation> {
        self.is_known.then(|| self.table.explain(self.address, at))
    }

    /// Who is there at `at`, likewise.
    pub fn there(&self, at: Timestamp) -> Option<&SessionInterval> {
        self.there.as_ref().filter(|stay| stay.session.alive_at(at))
    }

    /// Whether it is known who is there, or that nobody is.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The last stay, ended by its logoff time when that had passed at `at`.
    pub fn last(self, at: Timestamp) -> Option<SessionInterval> {
        let stay = self.there?;
        let lapsed = IntervalEnd { at: stay.session.expires, cause: None };
        let end = (!stay.session.alive_at(at)).then_some(lapsed);
        Some(SessionInterval { end, ..stay })
    }
}

impl SessionInterval {
    fn of(session: Arc<Session>, learnt: Timestamp) -> Self {
        Self { began: session.revision, learnt, session, end: None }
    }

    /// Whether `after` is the same stay: the same user, seen again or known better. One whom a
    /// directory calls otherwise is told as another.
    fn goes_on_as(&self, after: &Session, effect: Effect) -> bool {
        let who = |session: &Session| session.principal.clone();
        let same = |(before, after): (Principal, Principal)| after.agrees_with(&before);
        match effect {
            Effect::Extended => true,
            Effect::Altered => who(&self.session).zip(who(after)).is_none_or(same),
            Effect::Began | Effect::Ended => false,
        }
    }

    /// A session past its logoff time was shown to nobody, whatever was heard later.
    fn ended(self, seen: Timestamp, cause: Cause) -> Self {
        let at = seen.min(self.session.expires);
        Self { end: Some(IntervalEnd { at, cause: Some(cause) }), ..self }
    }

    /// Whether anybody was told of it at some moment from `from` to `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.learnt <= to && self.end.as_ref().is_none_or(|end| end.at > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, expiry, rules, saw, seconds};
    use crate::{Kind, Rule};

    fn told(events: &[Event], upto: i64) -> Vec<(String, i64, Option<i64>)> {
        let mut chronicle = AddressTimeline::after(address("10.0.0.7"), TableSnapshot::default());
        let mut stays = Vec::new();
        for (event, position) in events.iter().zip(1..) {
            stays.extend(chronicle.apply(Revision(position), event, &rules()));
        }
        stays.extend(chronicle.last(seconds(upto)));
        let after = |at: Timestamp| (at.millis() - seconds(0).millis()) / 1000;
        let line = |stay: SessionInterval| {
            let who = stay.session.principal.as_ref().map(ToString::to_string).unwrap_or_default();
            (who, after(stay.learnt), stay.end.map(|end| after(end.at)))
        };
        stays.into_iter().map(line).collect()
    }

    #[test]
    fn who_came_one_after_the_other_is_told_in_stays() {
        let events = [
            saw(Kind::VpnUp, "alice@corp<pc1>", 0),
            saw(Kind::Rekey, "alice@corp", 3600),
            saw(Kind::VpnUp, "bob@corp", 7000),
            saw(Kind::Logout, "alice@corp", 7100),
            saw(Kind::VpnDown, "bob@corp", 8000),
            saw(Kind::Login, "carol", 9000),
        ];
        let told = told(&events, 9001);
        let line = |who: &str, from, to| (who.to_owned(), from, to);
        assert_eq!(
            told,
            [
                line("alice@corp", 0, Some(7000)),
                line("bob@corp", 7000, Some(8000)),
                line("carol", 9000, None),
            ]
        );
    }

    #[test]
    fn a_stay_ends_with_its_logoff_time_however_late_that_is_heard() {
        let day = 24 * 3600;
        let alice = saw(Kind::Login, "alice", 0);
        let line = [("alice".to_owned(), 0, Some(day))];
        assert_eq!(told(&[alice.clone(), expiry(day + 500)], day + 501), line);
        assert_eq!(told(std::slice::from_ref(&alice), day + 1), line);
        assert_eq!(told(&[alice], day - 1), [("alice".to_owned(), 0, None)]);
    }

    #[test]
    fn where_nobody_knows_who_was_there_nobody_is_not_the_answer() {
        let mut chronicle = AddressTimeline::out_of_the_dark(address("10.0.0.7"));
        assert!(chronicle.explain(seconds(0)).is_none());
        chronicle.apply(Revision(5), &saw(Kind::Logout, "alice", 1), &rules());
        assert!(!chronicle.is_known(), "somebody else may be there");
        chronicle.apply(Revision(6), &saw(Kind::Login, "bob", 2), &rules());
        let why = chronicle.explain(seconds(3)).unwrap();
        assert_eq!(why.session.unwrap().cause.rule, Rule::FirstUser);
        chronicle.apply(Revision(7), &saw(Kind::Logout, "bob", 4), &rules());
        assert!(chronicle.explain(seconds(5)).unwrap().session.is_none());
    }

    #[test]
    fn it_goes_on_from_what_was_held() {
        let mut whole = Table::default();
        whole.apply(Revision(1), &saw(Kind::Login, "alice", 0), &rules());
        let handover = whole.hand_over(Revision(1));
        let mut chronicle = AddressTimeline::after(address("10.0.0.7"), handover);
        assert_eq!(chronicle.there(seconds(1)).unwrap().learnt, seconds(0));
        let ended = chronicle.apply(Revision(2), &saw(Kind::Logout, "alice", 9), &rules());
        assert_eq!(ended.unwrap().end.unwrap().at, seconds(9));
        assert!(chronicle.is_known() && chronicle.there(seconds(9)).is_none());
    }
}
