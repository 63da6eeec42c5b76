//! How a metric is declared: once, as a static beside the code that records it, with its name, type,
//! labels, help text and buckets.

use metrics::{Label, SharedString, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// A value that only increases.
    Counter,
    /// A value that increases and decreases.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

impl Instrument {
    /// The word of the `# TYPE` line in the Prometheus text format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The declaration of one metric, as the registry and the documentation list it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// The type.
    pub instrument: Instrument,
    /// The label names.
    pub labels: &'static [&'static str],
    /// The help text, one sentence without a period.
    pub help: &'static str,
    /// The upper bounds of the buckets; empty unless it is a histogram.
    pub buckets: &'static [f64],
}

impl Metric {
    /// The base unit, by the suffix of the name (Prometheus naming conventions).
    pub fn unit(&self) -> Unit {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match name {
            _ if name.ends_with("_seconds") => Unit::Seconds,
            _ if name.ends_with("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        }
    }
}

/// A counter with `N` labels.
#[derive(Debug)]
pub struct Counter<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
}

impl<const N: usize> Counter<N> {
    /// Declares it.
    pub const fn new(name: &'static str, labels: [&'static str; N], help: &'static str) -> Self {
        Self { name, labels, help }
    }

    /// The counter with these label values, in the order of the declaration.
    pub fn with(&self, values: [SharedString; N]) -> metrics::Counter {
        counter!(self.name, labelled(self.labels, values))
    }

    /// Its declaration.
    pub const fn declaration(&'static self) -> Metric {
        let (name, labels, help) = (self.name, self.labels.as_slice(), self.help);
        Metric { name, instrument: Instrument::Counter, labels, help, buckets: &[] }
    }
}

/// A gauge with `N` labels.
#[derive(Debug)]
pub struct Gauge<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
}

impl<const N: usize> Gauge<N> {
    /// Declares it.
    pub const fn new(name: &'static str, labels: [&'static str; N], help: &'static str) -> Self {
        Self { name, labels, help }
    }

    /// The gauge with these label values, in the order of the declaration.
    pub fn with(&self, values: [SharedString; N]) -> metrics::Gauge {
        gauge!(self.name, labelled(self.labels, values))
    }

    /// Its declaration.
    pub const fn declaration(&'static self) -> Metric {
        let (name, labels, help) = (self.name, self.labels.as_slice(), self.help);
        Metric { name, instrument: Instrument::Gauge, labels, help, buckets: &[] }
    }
}

/// A histogram with `N` labels.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    help: &'static str,
    buckets: &'static [f64],
}

impl<const N: usize> Histogram<N> {
    /// Declares it, with the upper bounds of its buckets in ascending order.
    pub const fn new(
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
        buckets: &'static [f64],
    ) -> Self {
        Self { name, labels, help, buckets }
    }

    /// The histogram with these label values, in the order of the declaration.
    pub fn with(&self, values: [SharedString; N]) -> metrics::Histogram {
        histogram!(self.name, labelled(self.labels, values))
    }

    /// Its declaration.
    pub const fn declaration(&'static self) -> Metric {
        let (name, labels, help) = (self.name, self.labels.as_slice(), self.help);
        Metric { name, instrument: Instrument::Histogram, labels, help, buckets: self.buckets }
    }
}

fn labelled<const N: usize>(names: [&'static str; N], values: [SharedString; N]) -> Vec<Label> {
    names.into_iter().zip(values).map(|(name, value)| Label::new(name, value)).collect()
}

/// Registers the help text of each metric with the recorder. Each counter without labels starts at
/// zero, so that its first increment is visible to `increase()`.
pub fn describe(metrics: &[Metric]) {
    for metric in metrics {
        let (name, unit, help) = (metric.name, metric.unit(), metric.help);
        match metric.instrument {
            Instrument::Counter => {
                describe_counter!(name, unit, help);
                if metric.labels.is_empty() {
                    counter!(name).increment(0);
                }
            }
            Instrument::Gauge => describe_gauge!(name, unit, help),
            Instrument::Histogram => describe_histogram!(name, unit, help),
        }
    }
}
