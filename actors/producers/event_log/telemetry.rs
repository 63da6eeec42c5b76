//! Telemetry of event logs.

use std::time::Duration;

use rollcall_identity::logon::auditing::{AuditGap, AuditSubcategory};
use strum::IntoEnumIterator;
use tracing::{info, warn};

use crate::event_log::{EventLogError, GapCause, LastGap};
use crate::remote::RemoteError;
use rollcall_runtime::telemetry::TelemetryEvent;

use crate::metrics;

/// A producer has started. Its counters start at zero, so that the first increment is visible.
pub(crate) struct EventLogStarted<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for EventLogStarted<'_> {
    fn emit(self) {
        let producer = || self.producer.to_owned();
        metrics::EVENT_LOG_CONNECTED.with([producer().into()]).set(0);
        metrics::EVENT_LOG_SILENT.with([producer().into()]).set(0);
        unreadable(self.producer).increment(0);
        for cause in GapCause::iter() {
            gap(self.producer, cause).increment(0);
        }
        for kind in AuditSubcategory::iter() {
            unaudited(self.producer, kind).set(0);
        }
    }
}

fn gap(producer: &str, cause: GapCause) -> ::metrics::Counter {
    let cause: &'static str = cause.into();
    metrics::EVENT_LOG_GAPS.with([producer.to_owned().into(), cause.to_owned().into()])
}

fn unreadable(producer: &str) -> ::metrics::Counter {
    metrics::EVENT_LOG_UNREADABLE.with([producer.to_owned().into()])
}

fn unaudited(producer: &str, kind: AuditSubcategory) -> ::metrics::Gauge {
    let kind: &'static str = kind.into();
    metrics::EVENT_LOG_AUDIT_MISSING.with([producer.to_owned().into(), kind.to_owned().into()])
}

/// The log of a server is being read.
pub(crate) struct EventLogConnected<'a> {
    pub producer: &'a str,
    pub server: &'a str,
}

impl TelemetryEvent for EventLogConnected<'_> {
    fn emit(self) {
        let Self { producer, server } = self;
        metrics::EVENT_LOG_CONNECTED.with([producer.to_owned().into()]).set(1);
        info!(producer, server, "event log connected");
    }
}

/// A connection failed.
pub(crate) struct EventLogFailed<'a> {
    pub producer: &'a str,
    pub why: &'a EventLogError,
}

impl TelemetryEvent for EventLogFailed<'_> {
    fn emit(self) {
        let Self { producer, why } = self;
        metrics::EVENT_LOG_CONNECTED.with([producer.to_owned().into()]).set(0);
        let stage: &'static str = why.stage().into();
        metrics::EVENT_LOG_FAILURES
            .with([producer.to_owned().into(), stage.to_owned().into()])
            .increment(1);
        let remedy = why.remedy().unwrap_or("none known");
        warn!(producer, stage, %why, remedy, "event log failed");
    }
}

/// Events were lost.
pub(crate) struct EventLogGap<'a> {
    pub producer: &'a str,
    pub gap: LastGap,
}

impl TelemetryEvent for EventLogGap<'_> {
    fn emit(self) {
        let Self { producer, gap: LastGap { cause, after, records, .. } } = self;
        gap(producer, cause).increment(1);
        let (remedy, cause): (_, &'static str) = (cause.remedy(), cause.into());
        warn!(producer, cause, after, records, remedy, "event log lost events");
    }
}

/// A server stopped or resumed the audit of a required subcategory.
pub(crate) struct EventLogAudits<'a> {
    pub producer: &'a str,
    pub before: &'a [AuditGap],
    pub now: &'a [AuditGap],
}

impl TelemetryEvent for EventLogAudits<'_> {
    fn emit(self) {
        let Self { producer, before, now } = self;
        for kind in AuditSubcategory::iter() {
            let of = |list: &[AuditGap]| list.iter().find(|one| one.subcategory == kind).copied();
            match (of(before), of(now)) {
                (None, Some(one)) => {
                    unaudited(producer, kind).set(1);
                    let (by, since): (&'static str, _) = (one.reason.into(), one.since);
                    let (subcategory, remedy) = (kind.name(), kind.remedy());
                    warn!(producer, subcategory, by, %since, remedy, "logons are not audited");
                }
                (Some(_), None) => {
                    unaudited(producer, kind).set(0);
                    info!(producer, subcategory = kind.name(), "logons are audited again");
                }
                _ => {}
            }
        }
    }
}

/// A response contained events.
pub(crate) struct EventLogResumed<'a> {
    pub producer: &'a str,
}

impl TelemetryEvent for EventLogResumed<'_> {
    fn emit(self) {
        let producer = self.producer.to_owned();
        metrics::EVENT_LOG_SILENT.with([producer.into()]).set(0);
    }
}

/// No event arrived for longer than `silent_after`.
pub(crate) struct EventLogSilent<'a> {
    pub producer: &'a str,
    pub span: Duration,
}

impl TelemetryEvent for EventLogSilent<'_> {
    fn emit(self) {
        let Self { producer, span } = self;
        metrics::EVENT_LOG_SILENT.with([producer.to_owned().into()]).set(1);
        let remedy = "check that the server audits logons and that users log on to it";
        warn!(producer, ?span, remedy, "event log is silent");
    }
}

/// Records of a log could not be decoded. The others were read.
pub(crate) struct RecordsUnreadable<'a> {
    pub producer: &'a str,
    pub count: u64,
    pub record_id: Option<u64>,
    pub why: &'a str,
}

impl TelemetryEvent for RecordsUnreadable<'_> {
    fn emit(self) {
        let Self { producer, count, record_id, why } = self;
        unreadable(producer).increment(count);
        warn!(producer, count, record_id, why, "event log records cannot be decoded");
    }
}
