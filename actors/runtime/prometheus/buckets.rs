//! The buckets of the histograms, in seconds.

/// Handling one message: a lookup takes a microsecond, a batch of a thousand events one to ten
/// milliseconds, and an actor that takes more than a second is about to be taken for hung.
pub const HANDLING: &[f64] =
    &[1e-6, 5e-6, 25e-6, 100e-6, 500e-6, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// Waiting for a permit of a full mailbox: zero under normal load; the longest is the timeout of the
/// sender.
pub const WAITING: &[f64] = &[0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// From the receipt of an event to its visibility. The target is a p99 of 50 ms at half load, so the
/// buckets are finest around it.
pub const PROPAGATION: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// From a query of a firewall to its answer. The target is a p99 of 2 ms for one address; a page of
/// 1000 reports takes more.
pub const QUERYING: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Appending and committing a group of batches. The target is a p99 of 50 ms; a disk that
/// ignores flushes takes far less than 0.1 ms, and one that stalls takes seconds.
pub const COMMITTING: &[f64] =
    &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Reading a directory: an idle interval takes a millisecond, the first read of a large forest
/// minutes.
pub const READING: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 120.0, 600.0];

/// From a request to a push target to its response: a firewall nearby, or a cloud service.
pub const REQUESTING: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend() {
        let all = [HANDLING, WAITING, PROPAGATION, QUERYING, COMMITTING, READING, REQUESTING];
        for buckets in all {
            assert!(buckets.is_sorted_by(|a, b| a < b), "{buckets:?}");
        }
    }
}
