//! The Prometheus recorder: made once, with the buckets of each histogram, and kept small.

mod process;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use self::process::Process;
use crate::metric::{Metric, describe};

/// Handling one message or answering one query: a look-up takes a microsecond, a batch of a
/// thousand events one to ten milliseconds, and from a second on an actor is on its way to be
/// taken for frozen.
const HANDLING: &[f64] =
    &[1e-6, 5e-6, 25e-6, 100e-6, 500e-6, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// Waiting for a place in a full mailbox: nothing in health; the longest is what a sender's own
/// patience allows.
const WAITING: &[f64] = &[0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// From an event's arrival to its visibility. The aim is 50 ms for 99 of 100 at half load, so the
/// buckets are finest around it.
const VISIBLE: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// From a firewall's question to its answer. The aim is 2 ms for 99 of 100 queries of one address;
/// a page of 1000 reports takes more.
const QUERYING: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Appending and committing a group of batches. The aim is 50 ms for 99 of 100; a disk that lies
/// about flushing takes far less than 0.1 ms, and one that stalls takes seconds.
const COMMITTING: &[f64] =
    &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Reading a directory: an idle interval takes a millisecond, the first read of a large forest
/// minutes.
const READING: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 120.0, 600.0];

/// From a request to a push target to its word: a firewall next door, or a cloud that thinks.
const REQUESTING: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Which buckets a histogram has, by the end of its name.
pub const BUCKETS: [(&str, &[f64]); 7] = [
    ("handling_seconds", HANDLING),
    ("wait_seconds", WAITING),
    ("event_to_visible_seconds", VISIBLE),
    ("query_seconds", QUERYING),
    ("commit_seconds", COMMITTING),
    ("read_seconds", READING),
    ("request_seconds", REQUESTING),
];

/// How often recorded values are put into their buckets. Until then each takes 8 bytes: at 100,000
/// messages a second 4 MB, whether anybody scrapes or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// Makes the recorder, installs it for the whole process, and keeps it small on a thread of its
/// own. To be called before anything is counted.
///
/// # Errors
/// When there is a recorder already.
pub fn install(metrics: Vec<Metric>) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (suffix, buckets) in BUCKETS {
        builder = builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), buckets)?;
    }
    let handle = builder.install_recorder()?;
    describe(metrics);
    let kept = handle.clone();
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP);
            kept.run_upkeep();
        }
    };
    let thread = std::thread::Builder::new().name("metrics".to_owned());
    // Without the thread, each scrape does the same work.
    drop(thread.spawn(upkeep));
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend() {
        for (suffix, buckets) in BUCKETS {
            assert!(buckets.is_sorted_by(|a, b| a < b), "{suffix}");
        }
    }
}
