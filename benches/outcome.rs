//! Measurements that were skipped because a program is missing, and measurements that failed. Neither
//! ends the run.

use std::error::Error;
use std::fmt;
use std::io;

/// A program that a measurement needs is not installed.
#[derive(Debug)]
struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not installed", self.0)
    }
}

impl Error for Missing {}

/// The error of a measurement that needs `program`, which is not installed.
pub fn missing(program: &str) -> io::Error {
    io::Error::other(Missing(program.to_owned()))
}

/// Every measurement that was skipped or failed, once, with its reason.
#[derive(Debug, Default)]
pub struct Outcomes {
    skipped: Vec<String>,
    failed: Vec<String>,
}

impl Outcomes {
    /// Takes the result of the measurement `name`; an error is reported and kept.
    pub fn take<T>(&mut self, name: &str, result: io::Result<T>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let is_missing = error.get_ref().is_some_and(|source| source.is::<Missing>());
        let (list, word) = match is_missing {
            true => (&mut self.skipped, "skipped"),
            false => (&mut self.failed, "failed"),
        };
        let line = format!("{word}: {name}: {error}");
        eprintln!("  {line}");
        if !list.contains(&line) {
            list.push(line);
        }
        None
    }

    /// Whether a measurement failed.
    pub fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.skipped.iter().chain(&self.failed).try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_a_skip_and_anything_else_a_failure() {
        let mut outcomes = Outcomes::default();
        assert_eq!(outcomes.take("a", Ok(1)), Some(1));
        assert_eq!(outcomes.take::<()>("b", Err(missing("redis-server"))), None);
        assert!(!outcomes.has_failures());
        for _ in 0..2 {
            assert_eq!(outcomes.take::<()>("c", Err(io::Error::other("it broke"))), None);
        }
        assert!(outcomes.has_failures());
        let lines = "skipped: b: redis-server is not installed\nfailed: c: it broke\n";
        assert_eq!(outcomes.to_string(), lines);
    }
}
