//! What is counted of one enforcement point: the figures its administrator looks at.

use std::net::IpAddr;
use std::sync::Mutex;

use rollcall_identity::{Name, Revision, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::cookie::Cookie;
use crate::admission::locked;
use crate::telemetry::{BatchRetried, LagMeasured};
use rollcall_runtime::telemetry::TelemetryEvent;

/// How one enforcement point, or one program that pushes, is doing.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EnforcementPoint)]
pub struct PointStatus {
    /// Its configured name.
    pub name: String,
    /// `enforcement_point`, or `pusher`: a program that only pushes.
    #[schema(value_type = String)]
    pub role: Role,
    /// Questions answered, whatever they were.
    pub queries: u64,
    /// Reports in those answers.
    pub reports: u64,
    /// Bytes of the bodies of those answers.
    pub bytes: u64,
    /// Batches that it asked for once more, because no answer came to it.
    pub retries: u64,
    /// Requests that were refused.
    pub errors: u64,
    /// Why the last of them was, in plain words.
    pub last_error: Option<String>,
    /// When that was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_error_at: Option<Timestamp>,
    /// Events that it pushed and that were taken.
    pub pushed: u64,
    /// When it last asked or pushed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// From which address.
    #[schema(value_type = Option<String>)]
    pub last_address: Option<IpAddr>,
    /// The cookie of its last answer, which it shows next.
    #[schema(example = "1795300716697.3~ff367dca633b512a")]
    pub cookie: Option<String>,
    /// Up to which revision that goes.
    #[schema(value_type = Option<u64>)]
    pub revision: Option<Revision>,
    /// How many revisions it is behind; `None` for one that never asked for a batch.
    pub lag_changes: Option<u64>,
    /// For how many seconds it has not had everything; 0 when it has.
    pub lag_seconds: Option<f64>,
}

/// What somebody is who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A firewall, which asks and may push.
    EnforcementPoint,
    /// A program, which only pushes.
    Pusher,
}

/// The counters behind a [`PointStatus`], kept through reloads.
pub(super) struct PointStats {
    pub(super) name: String,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    queries: u64,
    reports: u64,
    bytes: u64,
    retries: u64,
    errors: u64,
    last_error: Option<(String, Timestamp)>,
    pushed: u64,
    last_seen: Option<(Timestamp, IpAddr)>,
    batch: Option<Batch>,
}

/// The last batch that was answered.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// Up to where its cookie goes.
    revision: Revision,
    /// When the firewall last had everything, or else asked for the first time.
    complete_at: Timestamp,
    /// The cookie that the firewall showed.
    received: Option<Cookie>,
    /// The one that it was given.
    issued: Cookie,
}

/// A batch that is to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnsweredBatch {
    /// Up to where its cookie goes.
    pub(super) revision: Revision,
    pub(super) completeness: Completeness,
    /// The cookie that the firewall showed.
    pub(super) received: Option<Cookie>,
    /// The one that it is given.
    pub(super) issued: Cookie,
}

impl PointStats {
    pub(super) fn new(name: &Name) -> Self {
        Self { name: name.to_string(), counts: Mutex::default() }
    }

    /// It was here.
    pub(super) fn record_activity(&self, source: IpAddr, now: Timestamp) {
        locked(&self.counts).last_seen = Some((now, source));
    }

    /// A question was answered.
    pub(super) fn record_query(&self, reports: usize, bytes: usize) {
        let mut counts = locked(&self.counts);
        counts.queries += 1;
        counts.reports += reports as u64;
        counts.bytes += bytes as u64;
    }

    /// A batch was answered.
    pub(super) fn record_batch(&self, batch: AnsweredBatch, now: Timestamp) {
        let AnsweredBatch { revision, completeness, received, issued } = batch;
        let mut counts = locked(&self.counts);
        let complete_at = match (completeness, counts.batch) {
            (Completeness::Complete, _) | (Completeness::Partial, None) => now,
            (Completeness::Partial, Some(before)) => before.complete_at,
        };
        // Whoever had the answer before would show the cookie that was in it.
        let is_retry = |before: Batch| {
            received.is_some() && before.received == received && Some(before.issued) != received
        };
        if counts.batch.is_some_and(is_retry) {
            counts.retries += 1;
            BatchRetried { point: &self.name }.emit();
        }
        counts.batch = Some(Batch { revision, complete_at, received, issued });
    }

    /// A request was refused.
    pub(super) fn record_error(&self, why: &str, now: Timestamp) {
        let mut counts = locked(&self.counts);
        counts.errors += 1;
        counts.last_error = Some((why.to_owned(), now));
    }

    /// Events were taken.
    pub(super) fn record_push(&self, events: usize) {
        locked(&self.counts).pushed += events as u64;
    }

    pub(super) fn measure_lag(&self, newest: Revision) {
        let changes = locked(&self.counts).batch.map(|batch| lag_of(batch, newest));
        if let Some(changes) = changes {
            LagMeasured { point: &self.name, changes }.emit();
        }
    }

    pub(super) fn status(&self, role: Role, newest: Revision, now: Timestamp) -> PointStatus {
        let counts = locked(&self.counts);
        let lag = counts.batch.map(|batch| lag_of(batch, newest));
        let seconds = counts.batch.map(|batch| match lag_of(batch, newest) {
            0 => 0.0,
            _ => now.since(batch.complete_at).as_secs_f64(),
        });
        PointStatus {
            name: self.name.clone(),
            role,
            queries: counts.queries,
            reports: counts.reports,
            bytes: counts.bytes,
            retries: counts.retries,
            errors: counts.errors,
            last_error: counts.last_error.as_ref().map(|(why, _)| why.clone()),
            last_error_at: counts.last_error.as_ref().map(|(_, at)| *at),
            pushed: counts.pushed,
            last_seen: counts.last_seen.map(|(at, _)| at),
            last_address: counts.last_seen.map(|(_, source)| source),
            cookie: counts.batch.map(|batch| batch.issued.to_string()),
            revision: counts.batch.map(|batch| batch.revision),
            lag_changes: lag,
            lag_seconds: seconds,
        }
    }
}

/// How much of everything an answer left the firewall knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// All of it.
    Complete,
    /// There was more than fits into one answer.
    Partial,
}

fn lag_of(batch: Batch, newest: Revision) -> u64 {
    newest.0.saturating_sub(batch.revision.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_again_although_another_was_given_is_a_retry() {
        let stats = PointStats::new(&Name::new("fw1").unwrap());
        let cookie = |text: &str| text.parse::<Cookie>().unwrap();
        let ask = |received: Option<&str>, issued: &str| {
            let (revision, completeness) = (Revision(1), Completeness::Complete);
            let (received, issued) = (received.map(cookie), cookie(issued));
            stats.record_batch(
                AnsweredBatch { revision, completeness, received, issued },
                Timestamp::EPOCH,
            );
            stats.status(Role::EnforcementPoint, Revision(1), Timestamp::EPOCH).retries
        };
        assert_eq!(ask(None, "5.1"), 0);
        assert_eq!(ask(None, "5.1"), 0, "who begins anew has lost more than an answer");
        assert_eq!(ask(Some("5.1"), "5.1"), 0);
        assert_eq!(ask(Some("5.1"), "5.2"), 0, "there was nothing new before");
        assert_eq!(ask(Some("5.1"), "5.3"), 1);
        assert_eq!(ask(Some("5.3"), "5.3"), 1);
    }
}
