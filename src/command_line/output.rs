//! What commands print: plain lines for people or JSON for programs, into a pipe that may close.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use serde_json::Value;

use super::Failed;

/// For whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people.
    Plain,
    /// One JSON value on a line.
    Json,
}

/// Where a command prints to.
pub(super) struct Output<'a> {
    writer: Box<dyn Write + 'a>,
    form: Form,
}

impl<'a> Output<'a> {
    pub(super) fn new(writer: Box<dyn Write + 'a>, form: Form) -> Self {
        Self { writer, form }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Prints a value in the form that was asked for: `plain` for people, or `json`.
    pub(super) fn either(&mut self, json: &Value, plain: impl Display) -> Result<(), Failed> {
        match self.form {
            Form::Plain => self.line(plain),
            Form::Json => self.line(json),
        }
    }

    /// Prints lines. What would steer a terminal, from whatever a server answered, is shown as �.
    pub(super) fn line(&mut self, line: impl Display) -> Result<(), Failed> {
        let shown = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
        let text: String = line.to_string().chars().map(shown).collect();
        self.text(&(text + "\n"))
    }

    /// Prints a text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failed> {
        self.writer.write_all(text.as_bytes()).map_err(failed)
    }

    /// Hands over what was printed so far.
    pub(super) fn flush(&mut self) -> Result<(), Failed> {
        self.writer.flush().map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn failed(error: std::io::Error) -> Failed {
    match error.kind() {
        ErrorKind::BrokenPipe => Failed::Unread,
        _ => Failed::Request(format!("cannot print: {error}")),
    }
}
