//! Statistics of one enforcement point.

use std::net::IpAddr;
use std::sync::Mutex;

use rollcall_identity::{Name, Revision, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::cookie::Cookie;
use crate::admission::locked;
use crate::telemetry::{BatchRetried, LagMeasured};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The status of one enforcement point, or of a program that only pushes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EnforcementPoint)]
pub struct PointStatus {
    /// The configured name.
    pub name: String,
    /// `enforcement_point`, or `pusher`: a program that only pushes.
    #[schema(value_type = String)]
    pub role: Role,
    /// Queries answered, of all kinds.
    pub queries: u64,
    /// Reports in these responses.
    pub reports: u64,
    /// Bytes of the bodies of these responses.
    pub bytes: u64,
    /// Batch queries that were repeated because the response did not arrive.
    pub retries: u64,
    /// Rejected requests.
    pub errors: u64,
    /// The reason of the last rejection.
    pub last_error: Option<String>,
    /// The time of the last rejection.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_error_at: Option<Timestamp>,
    /// Pushed events that were accepted.
    pub pushed: u64,
    /// The time of the last query or push.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// The source address of the last query or push.
    #[schema(value_type = Option<String>)]
    pub last_address: Option<IpAddr>,
    /// The cookie of the last response, which the next query contains.
    #[schema(example = "1795300716697.3~ff367dca633b512a")]
    pub cookie: Option<String>,
    /// The revision up to which this cookie goes.
    #[schema(value_type = Option<u64>)]
    pub revision: Option<Revision>,
    /// The lag in revisions; null without a batch query.
    pub lag_changes: Option<u64>,
    /// How long the point has not been up to date, in seconds; 0 when it is.
    pub lag_seconds: Option<f64>,
}

/// The role of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A firewall, which queries and may push.
    EnforcementPoint,
    /// A program that only pushes.
    Pusher,
}

/// The counters of a [`PointStatus`]. A reload keeps them.
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

/// The last answered batch query.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// The revision up to which its cookie goes.
    revision: Revision,
    /// When the firewall was last up to date, or else the time of its first query.
    complete_at: Timestamp,
    /// The cookie in the query.
    received: Option<Cookie>,
    /// The cookie in the response.
    issued: Cookie,
}

/// An answered batch query.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnsweredBatch {
    /// The revision up to which its cookie goes.
    pub(super) revision: Revision,
    pub(super) completeness: Completeness,
    /// The cookie in the query.
    pub(super) received: Option<Cookie>,
    /// The cookie in the response.
    pub(super) issued: Cookie,
}

impl PointStats {
    pub(super) fn new(name: &Name) -> Self {
        Self { name: name.to_string(), counts: Mutex::default() }
    }

    /// Records a request of the client.
    pub(super) fn record_activity(&self, source: IpAddr, now: Timestamp) {
        locked(&self.counts).last_seen = Some((now, source));
    }

    /// Records an answered query.
    pub(super) fn record_query(&self, reports: usize, bytes: usize) {
        let mut counts = locked(&self.counts);
        counts.queries += 1;
        counts.reports += reports as u64;
        counts.bytes += bytes as u64;
    }

    /// Records an answered batch query.
    pub(super) fn record_batch(&self, batch: AnsweredBatch, now: Timestamp) {
        let AnsweredBatch { revision, completeness, received, issued } = batch;
        let mut counts = locked(&self.counts);
        let complete_at = match (completeness, counts.batch) {
            (Completeness::Complete, _) | (Completeness::Partial, None) => now,
            (Completeness::Partial, Some(before)) => before.complete_at,
        };
        // A firewall that received the previous response would send the cookie in it.
        let is_retry = |before: Batch| {
            received.is_some() && before.received == received && Some(before.issued) != received
        };
        if counts.batch.is_some_and(is_retry) {
            counts.retries += 1;
            BatchRetried { point: &self.name }.emit();
        }
        counts.batch = Some(Batch { revision, complete_at, received, issued });
    }

    /// Records a rejected request.
    pub(super) fn record_error(&self, why: &str, now: Timestamp) {
        let mut counts = locked(&self.counts);
        counts.errors += 1;
        counts.last_error = Some((why.to_owned(), now));
    }

    /// Records accepted events.
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

/// Whether a firewall has all changes after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// It has all of them.
    Complete,
    /// There are more than fit into one response.
    Partial,
}

fn lag_of(batch: Batch, newest: Revision) -> u64 {
    newest.0.saturating_sub(batch.revision.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_cookie_after_a_newer_one_counts_as_a_retry() {
        let stats = PointStats::new(&Name::new("fw1").unwrap());
        let cookie = |text: &str| text.parse::<Cookie>().unwrap();
        let answer = |received: Option<&str>, issued: &str| {
            let (revision, completeness) = (Revision(1), Completeness::Complete);
            let (received, issued) = (received.map(cookie), cookie(issued));
            stats.record_batch(
                AnsweredBatch { revision, completeness, received, issued },
                Timestamp::EPOCH,
            );
            stats.status(Role::EnforcementPoint, Revision(1), Timestamp::EPOCH).retries
        };
        assert_eq!(answer(None, "5.1"), 0);
        assert_eq!(answer(None, "5.1"), 0, "a new start is not a retry");
        assert_eq!(answer(Some("5.1"), "5.1"), 0);
        assert_eq!(answer(Some("5.1"), "5.2"), 0, "the issued cookie was the same");
        assert_eq!(answer(Some("5.1"), "5.3"), 1);
        assert_eq!(answer(Some("5.3"), "5.3"), 1);
    }
}
