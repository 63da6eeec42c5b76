//! Errors of the configuration, each with its file, line and key.

use std::fmt;
use std::path::PathBuf;

/// One error of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; `(embedded default)` if there is none.
    pub file: PathBuf,
    /// The dotted path of the key, with indices from 0: `syslog[0].clients[2].addresses[0]`. Empty
    /// if the error concerns the whole file.
    pub key: String,
    /// The line, from 1, if known.
    pub line: Option<usize>,
    /// What is wrong and what is valid, as the end of a sentence that begins with the key.
    pub message: String,
}

impl fmt::Display for ConfigError {
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

/// All errors of a configuration, ordered by file and line. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts `found`; `None` if it is empty.
    pub(crate) fn from_found(mut found: Vec<ConfigError>) -> Option<Self> {
        if found.is_empty() {
            return None;
        }
        // Files stay in the order of their first error: the configuration precedes the files that
        // it refers to.
        let files: Vec<PathBuf> = found.iter().map(|problem| problem.file.clone()).collect();
        found.sort_by_key(|p| (files.iter().position(|file| *file == p.file), p.line));
        Some(Self(found))
    }

    /// Iterates over the errors.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// One line per error.
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

impl std::error::Error for ConfigErrors {}
