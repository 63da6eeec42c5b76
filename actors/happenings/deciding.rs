//! What happens where events become changes.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use rollcall_identity::{Address, Origin, Verdict};
use tracing::{debug, error, trace, warn};

use super::Happening;

/// The cache decided about events of one origin.
pub(crate) struct Decided<'a> {
    pub origin: &'a Origin,
    pub verdict: Verdict,
    pub count: u64,
}

impl Happening for Decided<'_> {
    fn emit(self) {
        let Self { origin, verdict, count } = self;
        counter!(
            "rollcall_deciding_events_total",
            "producer" => origin.producer.to_string(),
            "outcome" => verdict.outcome(), "reason" => verdict.reason()
        )
        .increment(count);
        trace!(client = %origin.client, ?verdict, count, "decided");
    }
}

/// So many users came to an address that it is taken to be shared, and serves none of them.
pub(crate) struct AddressShared<'a> {
    pub origin: &'a Origin,
    pub address: Address,
}

impl Happening for AddressShared<'_> {
    fn emit(self) {
        let Self { origin, address } = self;
        counter!("rollcall_deciding_addresses_shared_total").increment(1);
        warn!(
            producer = %origin.producer, client = %origin.client, %address,
            "so many users came to an address that it is taken to be shared"
        );
    }
}

/// The size of the table after a batch.
pub(crate) struct TableGrew {
    pub sessions: usize,
    pub revision: u64,
}

impl Happening for TableGrew {
    fn emit(self) {
        gauge!("rollcall_deciding_sessions").set(self.sessions as f64);
        gauge!("rollcall_deciding_revision").set(self.revision as f64);
    }
}

/// The journal could not take a batch. That it is ill, and why, is said once.
pub(crate) struct JournalRefused<'a> {
    pub error: &'a str,
}

impl Happening for JournalRefused<'_> {
    fn emit(self) {
        counter!("rollcall_deciding_journal_errors_total").increment(1);
        debug!(error = self.error, "the journal refused events");
    }
}

/// The cache or the query actor was replaced, and the other had nothing to take over: both ended
/// at once. Sessions are lost.
pub(crate) struct NothingToRestore {
    pub actor: &'static str,
}

impl Happening for NothingToRestore {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_failed_total").increment(1);
        error!(actor = self.actor, "nothing to take over from: sessions are lost");
    }
}

/// The cache and the query actor both ended at once, and the journal knew what they held.
pub(crate) struct TableRecalled {
    pub sessions: usize,
}

impl Happening for TableRecalled {
    fn emit(self) {
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions = self.sessions, "cache and query actor were lost; the journal has it all");
    }
}

/// The cache was replaced and goes on from everything that the journal has; consumers are told of
/// what its predecessor had not shown any more.
pub(crate) struct TableResumed {
    pub sessions: usize,
    pub missed: usize,
}

impl Happening for TableResumed {
    fn emit(self) {
        let Self { sessions, missed } = self;
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions, missed, "the cache was replaced; the journal has it all");
    }
}

/// The cache was replaced and took its sessions from the query actor, because the journal did not
/// give them, or keeps none. What had competed is forgotten.
pub(crate) struct TableRestored<'a> {
    pub sessions: usize,
    pub error: Option<&'a str>,
}

impl Happening for TableRestored<'_> {
    fn emit(self) {
        let Self { sessions, error } = self;
        counter!("rollcall_deciding_restorations_total").increment(1);
        warn!(sessions, error, "the cache was replaced; its sessions were kept");
    }
}

/// A group of batches is durable.
pub(crate) struct Committed {
    pub took: Duration,
}

impl Happening for Committed {
    fn emit(self) {
        histogram!("rollcall_deciding_commit_seconds").record(self.took.as_secs_f64());
    }
}
