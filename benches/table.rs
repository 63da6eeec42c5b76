//! The table of all figures: the median of all runs, with minimum and maximum.

use std::fmt;
use std::time::Duration;

/// The unit of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Lines, events or requests a second.
    PerSecond,
    /// The ratio of two values.
    Times,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Millions of bytes.
    Megabytes,
    /// Billionths of a second.
    Nanoseconds,
    /// Percent.
    Percent,
    /// A count.
    Count,
}

/// One figure, with its value from each run.
#[derive(Debug)]
struct Row {
    what: String,
    unit: Unit,
    aim: &'static str,
    values: Vec<f64>,
}

/// All figures, in the order of their first measurement.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds the value of one run.
    pub fn note(&mut self, what: impl Into<String>, unit: Unit, value: f64) {
        self.note_with_aim((what.into(), ""), unit, value);
    }

    /// Adds the value of one run of a figure with a target.
    pub fn note_with_aim(
        &mut self,
        (what, aim): (impl Into<String>, &'static str),
        unit: Unit,
        value: f64,
    ) {
        let what = what.into();
        eprintln!("  {what}: {}", written(unit, value));
        match self.0.iter_mut().find(|row| row.what == what) {
            Some(row) => row.values.push(value),
            None => self.0.push(Row { what, unit, aim, values: vec![value] }),
        }
    }
}

impl fmt::Display for Table {
    /// Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | median | minimum | maximum | target |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | --- |")?;
        for Row { what, unit, aim, values } in &self.0 {
            let mut values = values.clone();
            values.sort_by(f64::total_cmp);
            let (least, most) = (values[0], values[values.len() - 1]);
            let [median, least, most] =
                [values[values.len() / 2], least, most].map(|value| written(*unit, value));
            writeln!(f, "| {what} | {median} | {least} | {most} | {aim} |")?;
        }
        Ok(())
    }
}

fn written(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond => format!("{:.0} k/s", value / 1000.0),
        Unit::Times => format!("{value:.2} x"),
        Unit::Milliseconds => format!("{value:.2} ms"),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Megabytes => format!("{value:.0} MB"),
        Unit::Nanoseconds => format!("{value:.0} ns"),
        Unit::Percent => format!("{value:.2} %"),
        Unit::Count => format!("{value:.0}"),
    }
}

/// A quantile in milliseconds; `share` is between 0 and 1.
pub fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let place = (times.len() as f64 * share) as usize;
    let time = times.get(place.min(times.len().saturating_sub(1)));
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_three_is_the_middle_one() {
        let mut table = Table::default();
        for value in [3.0, 1.0, 2.0] {
            table.note("x", Unit::Count, value);
        }
        assert!(table.to_string().ends_with("| x | 2 | 1 | 3 |  |\n"), "{table}");
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!((quantile(&mut times, 0.5), quantile(&mut times, 0.99)), (51.0, 100.0));
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
