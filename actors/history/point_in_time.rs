//! Who had an address at a moment, since when, until when, and why.

use rollcall_identity::{Address, Explanation, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::address_history::Sources;
use super::error::HistoryError;
use super::{Question, Reader};

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
    pub stay: Option<SessionInterval>,
    /// The time up to which the end was searched.
    pub known_until: Timestamp,
    /// The segments that were read, and notes about them.
    pub sources: Sources,
}

impl Question for PointInTime {
    type Answer = PointInTimeAnswer;

    fn record(&self) -> Value {
        json!({"address": self.address, "at": self.at})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<PointInTimeAnswer, HistoryError> {
        let Self { address, at } = *self;
        let mut narrator = reader.narrator()?;
        narrator.not_in_the_future(at)?;
        let span = narrator.span(at, at)?;
        let chronicle = narrator.fold(span.clone(), (address, at), &mut |_| {})?;
        let Some(explanation) = chronicle.explain(at) else {
            let text = format!("whether anybody had {address} at {at} is not known");
            return Err(narrator.not_known(text));
        };
        let mut stay = chronicle.current(at).cloned();
        let mut known_until = narrator.told_until(span.end - 1).max(at);
        if let Some(stay) = &mut stay {
            let ending = narrator.ending((span, at), stay, chronicle)?;
            (stay.end, known_until) = (ending.end, ending.known_until.max(at));
        }
        let sources = narrator.sources();
        Ok(PointInTimeAnswer { at, explanation, stay, known_until, sources })
    }
}
