//! Who had an address at a moment, since when, until when, and why.

use rollcall_identity::{Address, Explanation, SessionInterval, Timestamp};
use serde_json::{Value, json};

use super::narrator::Sources;
use super::unanswered::Unanswered;
use super::{Question, Reader};

/// Asks who had an address at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub address: Address,
    pub at: Timestamp,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct ToldOfMoment {
    pub at: Timestamp,
    /// Why the address had whom it had, as it would have been explained at that moment.
    pub explanation: Explanation,
    /// Who had it, from when until when; without an end when that is not known by `known_until`.
    pub stay: Option<SessionInterval>,
    /// How far was looked for the end.
    pub known_until: Timestamp,
    pub sources: Sources,
}

impl Question for Moment {
    type Answer = ToldOfMoment;

    fn record(&self) -> Value {
        json!({"address": self.address, "at": self.at})
    }

    fn answer(&self, reader: &mut Reader<'_>) -> Result<ToldOfMoment, Unanswered> {
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
        Ok(ToldOfMoment { at, explanation, stay, known_until, sources })
    }
}
