//! The output of commands: text or JSON on standard output.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use serde_json::Value;

use super::CommandError;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputFormat {
    /// Human-readable lines.
    Text,
    /// One JSON value per line.
    Json,
}

/// The destination of a command's output.
pub(super) struct Output<'a> {
    writer: Box<dyn Write + 'a>,
    format: OutputFormat,
}

impl<'a> Output<'a> {
    pub(super) fn new(writer: Box<dyn Write + 'a>, format: OutputFormat) -> Self {
        Self { writer, format }
    }

    pub(super) fn format(&self) -> OutputFormat {
        self.format
    }

    /// Prints `text` or `json`, depending on the format.
    pub(super) fn either(&mut self, json: &Value, text: impl Display) -> Result<(), CommandError> {
        match self.format {
            OutputFormat::Text => self.line(text),
            OutputFormat::Json => self.line(json),
        }
    }

    /// Prints lines. Control characters, which a server response could contain, are replaced by �.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), CommandError> {
        let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
        let text: String = line.to_string().chars().map(shown).collect();
        self.text(&(text + "\n"))
    }

    /// Prints a text unchanged.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.writer.write_all(text.as_bytes()).map_err(print_error)
    }

    /// Flushes the buffered output.
    pub(super) fn flush(&mut self) -> Result<(), CommandError> {
        self.writer.flush().map_err(print_error)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes the error by value")]
fn print_error(error: std::io::Error) -> CommandError {
    match error.kind() {
        ErrorKind::BrokenPipe => CommandError::OutputClosed,
        _ => CommandError::Request(format!("cannot print: {error}")),
    }
}
