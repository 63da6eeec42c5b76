//! The table: every decision is a fold of one event over what is held for its address.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Address, Change, Event, Kind, Name, Origin, Principal, Revision, Rules, Session, Timestamp,
    Verdict,
};

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// What became true, when anything did.
    pub change: Option<Change>,
}

/// An event that competed for an address, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its position in the journal.
    pub revision: Revision,
    /// What happened.
    pub kind: Kind,
    /// Who.
    pub principal: Option<Principal>,
    /// The device.
    pub device: Option<Name>,
    /// When, by the source's clock.
    pub at: Timestamp,
    /// When Rollcall received it.
    pub seen: Timestamp,
    /// Who said so.
    pub origin: Arc<Origin>,
    /// What was decided.
    pub verdict: Verdict,
}

/// Why an address has this user, or has none.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Where.
    pub address: Address,
    /// The session, as it stands at the asked time.
    pub session: Option<Arc<Session>>,
    /// The latest competing and refused events, newest first.
    pub competed: Vec<Record>,
}

/// Every address and who is behind it.
#[derive(Debug, Default)]
pub struct Table {}

impl Table {
    /// How many competing events are remembered for an address.
    pub const RECORDS: usize = 8;

    /// Folds one event.
    pub fn apply(&mut self, _revision: Revision, _event: &Event, _rules: &Rules) -> Decision {
        unimplemented!()
    }
}
