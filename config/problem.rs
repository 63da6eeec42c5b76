//! What is wrong with the configuration: every problem, each with its file, line and key.

use std::fmt;
use std::path::PathBuf;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file; `(embedded default)` when there is none.
    pub file: PathBuf,
    /// The key, dotted and with indices from 0, such as `syslog[0].clients[2].addresses[0]`; empty
    /// when the whole file is meant.
    pub key: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right. Follows the key in a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    /// `rollcall.toml:12: rest.listen is an integer, must be …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

/// All problems of a configuration, in the order of its files and lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts `found`; `None` when there is nothing to mend.
    pub(crate) fn from_found(mut found: Vec<Problem>) -> Option<Self> {
        if found.is_empty() {
            return None;
        }
        // Stable, and by the first appearance of a file: the configuration comes before the files
        // that it names.
        let files: Vec<PathBuf> = found.iter().map(|problem| problem.file.clone()).collect();
        found.sort_by_key(|p| (files.iter().position(|file| *file == p.file), p.line));
        Some(Self(found))
    }

    /// Each problem.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
