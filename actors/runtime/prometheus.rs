//! The Prometheus recorder: installed once, with the buckets of each histogram.

pub mod buckets;
mod process;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use self::process::Process;
use crate::metric::{Metric, describe};

/// The interval at which recorded values are put into their buckets. Until then each takes 8 bytes: at
/// 100,000 messages per second 4 MB, with or without scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder for the whole process, registers `metrics`, and starts the upkeep thread. Call it
/// before the first metric is recorded.
///
/// # Errors
/// When a recorder is installed already.
pub fn install(metrics: &[Metric]) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in metrics.iter().filter(|metric| !metric.buckets.is_empty()) {
        let name = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(name, metric.buckets)?;
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
