//! One file of the configuration while it is read.

use std::path::Path;

use crate::ConfigError;
use crate::load_context::LoadContext;

/// A configuration file: its text, and where errors and relative paths refer to.
pub(crate) struct SourceFile<'a> {
    pub(crate) context: &'a LoadContext<'a>,
    /// The path that errors name.
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
    /// The folder that relative paths in the file are relative to.
    pub(crate) base: &'a Path,
}

impl SourceFile<'_> {
    /// Records an error at `key`, and at the line of the byte offset `at` if known.
    pub(crate) fn add_error(&self, key: String, at: Option<usize>, message: String) {
        let line = at.map(|at| self.text[..at].matches('\n').count() + 1);
        self.context.add_error(ConfigError { file: self.path.to_owned(), key, line, message });
    }
}
