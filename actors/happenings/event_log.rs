//! What happens between Rollcall and the event logs of Windows servers.

use std::time::Duration;

use metrics::{counter, gauge};
use tracing::{info, warn};

use super::Happening;
use crate::producers::event_log::Failure;

/// An event log is to be followed. Its counters begin at zero, so that the first gap is seen to
/// grow from something.
pub(crate) struct EventLogBegins<'a> {
    pub producer: &'a str,
}

impl Happening for EventLogBegins<'_> {
    fn emit(self) {
        let producer = || self.producer.to_owned();
        gauge!("rollcall_receiving_event_log_connected", "producer" => producer()).set(0);
        gauge!("rollcall_receiving_event_log_silent", "producer" => producer()).set(0);
        counter!("rollcall_receiving_event_log_gaps_total", "producer" => producer()).increment(0);
    }
}

/// A server gives its log.
pub(crate) struct EventLogConnected<'a> {
    pub producer: &'a str,
    pub server: &'a str,
}

impl Happening for EventLogConnected<'_> {
    fn emit(self) {
        let Self { producer, server } = self;
        gauge!("rollcall_receiving_event_log_connected", "producer" => producer.to_owned()).set(1);
        info!(producer, server, "event log is followed");
    }
}

/// An event log cannot be followed; it is tried again.
pub(crate) struct EventLogFailed<'a> {
    pub producer: &'a str,
    pub why: &'a Failure,
}

impl Happening for EventLogFailed<'_> {
    fn emit(self) {
        let Self { producer, why } = self;
        gauge!("rollcall_receiving_event_log_connected", "producer" => producer.to_owned()).set(0);
        let stage: &'static str = why.stage().into();
        let labels = [("producer", producer.to_owned()), ("stage", stage.to_owned())];
        counter!("rollcall_receiving_event_log_failures_total", &labels).increment(1);
        let remedy = why.remedy().unwrap_or("none known");
        warn!(producer, stage, %why, remedy, "event log cannot be followed");
    }
}

/// Events were lost: the server has not what follows the last that was read.
pub(crate) struct EventLogGap<'a> {
    pub producer: &'a str,
    pub after: u64,
}

impl Happening for EventLogGap<'_> {
    fn emit(self) {
        let Self { producer, after } = self;
        counter!("rollcall_receiving_event_log_gaps_total", "producer" => producer.to_owned())
            .increment(1);
        let remedy = "make the security log larger, or see who cleared it";
        warn!(producer, after, remedy, "event log was cleared or rolled over: events are lost");
    }
}

/// An answer of a server had events.
pub(crate) struct EventLogHeard<'a> {
    pub producer: &'a str,
}

impl Happening for EventLogHeard<'_> {
    fn emit(self) {
        let producer = self.producer.to_owned();
        gauge!("rollcall_receiving_event_log_silent", "producer" => producer).set(0);
    }
}

/// No event came for longer than is usual, though the server is connected.
pub(crate) struct EventLogSilent<'a> {
    pub producer: &'a str,
    pub span: Duration,
}

impl Happening for EventLogSilent<'_> {
    fn emit(self) {
        let Self { producer, span } = self;
        gauge!("rollcall_receiving_event_log_silent", "producer" => producer.to_owned()).set(1);
        let remedy = "see whether the server audits logons, and whether anybody logs on there";
        warn!(producer, ?span, remedy, "event log is silent");
    }
}

/// Records of a log cannot be read; those beside them are.
pub(crate) struct RecordsUnreadable<'a> {
    pub producer: &'a str,
    pub count: u64,
    pub record_id: Option<u64>,
    pub why: &'a str,
}

impl Happening for RecordsUnreadable<'_> {
    fn emit(self) {
        let Self { producer, count, record_id, why } = self;
        counter!("rollcall_receiving_event_log_unreadable_total", "producer" => producer.to_owned())
            .increment(count);
        warn!(producer, count, record_id, why, "records of the event log cannot be read");
    }
}
