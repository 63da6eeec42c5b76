//! The session of an address at a point in time, its interval, and its explanation.

use rollcall_identity::{Address, Explanation, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::address_history::Sources;
use super::error::HistoryError;
use super::{HistoryQuery, Reader};

/// Finds the session of an address at a point in time.
#[derive(Debug, Clone, Copy)]
pub struct PointInTime {
    /// The address.
    pub address: Address,
    /// The time.
    pub at: Timestamp,
}

/// The session of an address at a point in time, with its explanation.
#[derive(Debug, Clone)]
pub struct PointInTimeAnswer {
    /// The time.
    pub at: Timestamp,
    /// The explanation, as it would have been given at that time.
    pub explanation: Explanation,
    /// The interval of the session; without an end if none is known by `known_until`.
    pub interval: Option<SessionInterval>,
    /// The time up to which the end was searched.
    pub known_until: Timestamp,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

impl HistoryQuery for PointInTime {
    type Answer = PointInTimeAnswer;

    fn audit_record(&self) -> Value {
        json!({"address": self.address, "at": self.at})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<PointInTimeAnswer, HistoryError> {
        let Self { address, at } = *self;
        let mut history = reader.history()?;
        history.check_past(at)?;
        let span = history.span(at, at)?;
        let timeline = history.apply(span.clone(), (address, at), &mut |_| {})?;
        let Some(explanation) = timeline.explain(at) else {
            let text = format!("the session of {address} at {at} is unknown");
            return Err(history.unknown(text));
        };
        let mut interval = timeline.current(at).cloned();
        let mut known_until = history.known_until(span.end - 1).max(at);
        if let Some(interval) = &mut interval {
            let ending = history.ending((span, at), interval, timeline)?;
            (interval.end, known_until) = (ending.end, ending.known_until.max(at));
        }
        let sources = history.sources();
        Ok(PointInTimeAnswer { at, explanation, interval, known_until, sources })
    }
}
