//! How a metric is declared: name, type, unit, labels and help text.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// What kind of thing a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

impl Instrument {
    /// The word of Prometheus's `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        }
    }
}

/// One metric, as documented.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The full name.
    pub name: String,
    /// What it is.
    pub instrument: Instrument,
    /// Its unit.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

use Instrument::{Counter, Gauge, Histogram};

/// One declaration: name, type, unit, labels and help text.
pub type Row = (&'static str, Instrument, Unit, &'static [&'static str], &'static str);

/// The metrics that these rows declare.
pub fn declared(rows: &[Row]) -> impl Iterator<Item = Metric> {
    rows.iter().map(|&(name, instrument, unit, labels, help)| Metric {
        name: name.to_owned(),
        instrument,
        unit,
        labels,
        help,
    })
}

/// Registers the help text of each metric with the recorder. Each counter without labels starts at
/// zero, so that its first increment is visible to `increase()`.
pub fn describe(metrics: Vec<Metric>) {
    for Metric { name, instrument, unit, labels, help } in metrics {
        match instrument {
            Counter => {
                describe_counter!(name.clone(), unit, help);
                if labels.is_empty() {
                    counter!(name).increment(0);
                }
            }
            Gauge => describe_gauge!(name, unit, help),
            Histogram => describe_histogram!(name, unit, help),
        }
    }
}
