//! The consecutive sessions of one address as the table decides them: the source of history
//! answers.

use std::sync::Arc;

use crate::{
    Address, Cause, Effect, Event, Explanation, Principal, Revision, Rules, Session, Table,
    TableSnapshot, Timestamp,
};

/// The table of one address, and its current session while events are applied.
#[derive(Debug)]
pub struct AddressTimeline {
    address: Address,
    table: Table,
    current: Option<SessionInterval>,
    is_known: bool,
}

/// One session of the address, from start to end on Rollcall's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInterval {
    /// The position of the event that began the session. For a session that existed before the
    /// first applied event, the position of the event that last changed its user.
    pub revision: Revision,
    /// When Rollcall received that event: consumers saw the session from then on.
    pub start: Timestamp,
    /// The latest state of the session.
    pub session: Arc<Session>,
    /// The end; `None` while the session is active.
    pub end: Option<IntervalEnd>,
}

/// The end of a session interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntervalEnd {
    /// When consumers stopped seeing the session.
    pub at: Timestamp,
    /// The event that ended it; `None` if the session expired and no expiry event was applied.
    pub cause: Option<Cause>,
}

impl AddressTimeline {
    /// Starts from a snapshot of the address. With an empty `snapshot`, the address has no session.
    pub fn from_snapshot(address: Address, snapshot: TableSnapshot) -> Self {
        let table = Table::restore(snapshot);
        let of = |session: &Arc<Session>| {
            SessionInterval::start_with(session.clone(), session.cause.seen)
        };
        let current = table.get(address).map(of);
        Self { address, table, current, is_known: true }
    }

    /// Starts from an unknown state: the session is known only after the next one begins.
    pub fn from_unknown(address: Address) -> Self {
        Self { is_known: false, ..Self::from_snapshot(address, TableSnapshot::default()) }
    }

    /// The address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Applies one event and returns the interval that it ended. Events of other addresses are
    /// ignored.
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

    /// Explains the session at `at`, which must not precede the last applied event; `None` if the
    /// state is unknown.
    pub fn explain(&self, at: Timestamp) -> Option<Explanation> {
        self.is_known.then(|| self.table.explain(self.address, at))
    }

    /// The session at `at`, under the same condition.
    pub fn current(&self, at: Timestamp) -> Option<&SessionInterval> {
        self.current.as_ref().filter(|interval| interval.session.is_active_at(at))
    }

    /// Whether the state of the address is known, including "no session".
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The last interval, with its end if it expired by `at`.
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

    /// Whether `after` continues this interval: the same user, confirmed or with more details. A
    /// user renamed by a directory starts a new interval.
    fn continues_with(&self, after: &Session, effect: Effect) -> bool {
        let principal = |session: &Session| session.principal.clone();
        let same = |(before, after): (Principal, Principal)| after.is_compatible_with(&before);
        match effect {
            Effect::Extended => true,
            Effect::Altered => principal(&self.session).zip(principal(after)).is_none_or(same),
            Effect::Began | Effect::Ended => false,
        }
    }

    /// An expired session was not shown, whatever arrived later.
    fn end_at(self, seen: Timestamp, cause: Cause) -> Self {
        let at = seen.min(self.session.expires);
        Self { end: Some(IntervalEnd { at, cause: Some(cause) }), ..self }
    }

    /// Whether consumers saw the session at some time from `from` to `to`.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.start <= to && self.end.as_ref().is_none_or(|end| end.at > from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, event_at, expiry_event, rules, seconds};
    use crate::{Kind, Rule};

    fn intervals_until(events: &[Event], upto: i64) -> Vec<(String, i64, Option<i64>)> {
        let mut timeline =
            AddressTimeline::from_snapshot(address("10.0.0.7"), TableSnapshot::default());
        let mut intervals = Vec::new();
        for (event, position) in events.iter().zip(1..) {
            intervals.extend(timeline.apply(Revision(position), event, &rules()));
        }
        intervals.extend(timeline.finish(seconds(upto)));
        let after = |at: Timestamp| (at.millis() - seconds(0).millis()) / 1000;
        let line = |interval: SessionInterval| {
            let principal =
                interval.session.principal.as_ref().map(ToString::to_string).unwrap_or_default();
            (principal, after(interval.start), interval.end.map(|end| after(end.at)))
        };
        intervals.into_iter().map(line).collect()
    }

    #[test]
    fn consecutive_sessions_are_separate_intervals() {
        let events = [
            event_at(Kind::VpnUp, "alice@corp<pc1>", 0),
            event_at(Kind::Rekey, "alice@corp", 3600),
            event_at(Kind::VpnUp, "bob@corp", 7000),
            event_at(Kind::Logout, "alice@corp", 7100),
            event_at(Kind::VpnDown, "bob@corp", 8000),
            event_at(Kind::Login, "carol", 9000),
        ];
        let intervals_until = intervals_until(&events, 9001);
        let line = |principal: &str, from, to| (principal.to_owned(), from, to);
        assert_eq!(
            intervals_until,
            [
                line("alice@corp", 0, Some(7000)),
                line("bob@corp", 7000, Some(8000)),
                line("carol", 9000, None),
            ]
        );
    }

    #[test]
    fn an_interval_ends_at_expiry_however_late_the_expiry_event_is() {
        let day = 24 * 3600;
        let alice = event_at(Kind::Login, "alice", 0);
        let line = [("alice".to_owned(), 0, Some(day))];
        assert_eq!(intervals_until(&[alice.clone(), expiry_event(day + 500)], day + 501), line);
        assert_eq!(intervals_until(std::slice::from_ref(&alice), day + 1), line);
        assert_eq!(intervals_until(&[alice], day - 1), [("alice".to_owned(), 0, None)]);
    }

    #[test]
    fn an_unknown_state_is_reported_as_unknown_not_as_no_session() {
        let mut timeline = AddressTimeline::from_unknown(address("10.0.0.7"));
        assert!(timeline.explain(seconds(0)).is_none());
        timeline.apply(Revision(5), &event_at(Kind::Logout, "alice", 1), &rules());
        assert!(!timeline.is_known(), "another user may have the address");
        timeline.apply(Revision(6), &event_at(Kind::Login, "bob", 2), &rules());
        let why = timeline.explain(seconds(3)).unwrap();
        assert_eq!(why.session.unwrap().cause.rule, Rule::FirstUser);
        timeline.apply(Revision(7), &event_at(Kind::Logout, "bob", 4), &rules());
        assert!(timeline.explain(seconds(5)).unwrap().session.is_none());
    }

    #[test]
    fn a_timeline_continues_from_a_snapshot() {
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
