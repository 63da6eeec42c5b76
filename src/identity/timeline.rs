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
    current: Option<SessionInterval>,
    is_known: bool,
}

/// Somebody was at the address from one moment to another, on Rollcall's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInterval {
    /// The position of the event that began it; of somebody who was there before what was folded,
    /// of the one that last changed who it is.
    pub revision: Revision,
    /// When Rollcall heard of it: from then on, everybody who asked was told so.
    pub start: Timestamp,
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
    pub fn from_snapshot(address: Address, snapshot: TableSnapshot) -> Self {
        let table = Table::restore(snapshot);
        let of = |session: &Arc<Session>| {
            SessionInterval::start_with(session.clone(), session.cause.seen)
        };
        let current = table.get(address).map(of);
        Self { address, table, current, is_known: true }
    }

    /// Begins where nobody knows who was there: that is known only once somebody has come.
    pub fn from_unknown(address: Address) -> Self {
        Self { is_known: false, ..Self::from_snapshot(address, TableSnapshot::default()) }
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
        match (&mut self.current, change.after) {
            (Some(current), Some(after)) if current.continues_with(&after, change.effect) => {
                current.session = after;
                None
            }
            (current, after) => {
                let ended =
                    current.take().map(|interval| interval.end_at(event.seen, change.cause));
                *current = after.map(|after| SessionInterval::start_with(after, event.seen));
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
    pub fn current(&self, at: Timestamp) -> Option<&SessionInterval> {
        self.current.as_ref().filter(|interval| interval.session.is_active_at(at))
    }

    /// Whether it is known who is there, or that nobody is.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The last stay, ended by its logoff time when that had passed at `at`.
    pub fn finish(self, at: Timestamp) -> Option<SessionInterval> {
        let interval = self.current?;
        let expired = IntervalEnd { at: interval.session.expires, cause: None };
        let end = (!interval.session.is_active_at(at)).then_some(expired);
        Some(SessionInterval { end, ..interval })
    }
}

impl SessionInterval {
    fn start_with(session: Arc<Session>, membership_event: Timestamp) -> Self {
        Self { revision: session.revision, start: membership_event, session, end: None }
    }

    /// Whether `after` is the same stay: the same user, seen again or known better. One whom a
    /// directory calls otherwise is told as another.
    fn continues_with(&self, after: &Session, effect: Effect) -> bool {
        let who = |session: &Session| session.principal.clone();
        let same = |(before, after): (Principal, Principal)| after.is_compatible_with(&before);
        match effect {
            Effect::Extended => true,
            Effect::Altered => who(&self.session).zip(who(after)).is_none_or(same),
            Effect::Began | Effect::Ended => false,
        }
    }

    /// A session past its logoff time was shown to nobody, whatever was heard later.
    fn end_at(self, seen: Timestamp, cause: Cause) -> Self {
        let at = seen.min(self.session.expires);
        Self { end: Some(IntervalEnd { at, cause: Some(cause) }), ..self }
    }

    /// Whether anybody was told of it at some moment from `from` to `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.start <= to && self.end.as_ref().is_none_or(|end| end.at > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, event_at, expiry_event, rules, seconds};
    use crate::{Kind, Rule};

    fn told(events: &[Event], upto: i64) -> Vec<(String, i64, Option<i64>)> {
        let mut timeline =
            AddressTimeline::from_snapshot(address("10.0.0.7"), TableSnapshot::default());
        let mut intervals = Vec::new();
        for (event, position) in events.iter().zip(1..) {
            intervals.extend(timeline.apply(Revision(position), event, &rules()));
        }
        intervals.extend(timeline.finish(seconds(upto)));
        let after = |at: Timestamp| (at.millis() - seconds(0).millis()) / 1000;
        let line = |interval: SessionInterval| {
            let who =
                interval.session.principal.as_ref().map(ToString::to_string).unwrap_or_default();
            (who, after(interval.start), interval.end.map(|end| after(end.at)))
        };
        intervals.into_iter().map(line).collect()
    }

    #[test]
    fn who_came_one_after_the_other_is_told_in_stays() {
        let events = [
            event_at(Kind::VpnUp, "alice@corp<pc1>", 0),
            event_at(Kind::Rekey, "alice@corp", 3600),
            event_at(Kind::VpnUp, "bob@corp", 7000),
            event_at(Kind::Logout, "alice@corp", 7100),
            event_at(Kind::VpnDown, "bob@corp", 8000),
            event_at(Kind::Login, "carol", 9000),
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
        let alice = event_at(Kind::Login, "alice", 0);
        let line = [("alice".to_owned(), 0, Some(day))];
        assert_eq!(told(&[alice.clone(), expiry_event(day + 500)], day + 501), line);
        assert_eq!(told(std::slice::from_ref(&alice), day + 1), line);
        assert_eq!(told(&[alice], day - 1), [("alice".to_owned(), 0, None)]);
    }

    #[test]
    fn where_nobody_knows_who_was_there_nobody_is_not_the_answer() {
        let mut timeline = AddressTimeline::from_unknown(address("10.0.0.7"));
        assert!(timeline.explain(seconds(0)).is_none());
        timeline.apply(Revision(5), &event_at(Kind::Logout, "alice", 1), &rules());
        assert!(!timeline.is_known(), "somebody else may be there");
        timeline.apply(Revision(6), &event_at(Kind::Login, "bob", 2), &rules());
        let why = timeline.explain(seconds(3)).unwrap();
        assert_eq!(why.session.unwrap().cause.rule, Rule::FirstUser);
        timeline.apply(Revision(7), &event_at(Kind::Logout, "bob", 4), &rules());
        assert!(timeline.explain(seconds(5)).unwrap().session.is_none());
    }

    #[test]
    fn it_goes_on_from_what_was_held() {
        let mut whole = Table::default();
        whole.apply(Revision(1), &event_at(Kind::Login, "alice", 0), &rules());
        let snapshot = whole.snapshot(Revision(1));
        let mut timeline = AddressTimeline::from_snapshot(address("10.0.0.7"), snapshot);
        assert_eq!(timeline.current(seconds(1)).unwrap().start, seconds(0));
        let ended = timeline.apply(Revision(2), &event_at(Kind::Logout, "alice", 9), &rules());
        assert_eq!(ended.unwrap().end.unwrap().at, seconds(9));
        assert!(timeline.is_known() && timeline.current(seconds(9)).is_none());
    }
}
