//! `rollcall test`: tests connections to directories and event logs, and syslog templates.

pub(super) mod directory;
pub(super) mod event_log;
pub(super) mod syslog;

use std::io;
use std::path::Path;

use clap::Subcommand;
use rollcall_producers::remote::{RemoteError, TestReport};
use serde_json::json;

use crate::command_line::CommandError;
use crate::command_line::output::{Output, OutputFormat};

#[derive(Debug, Subcommand)]
pub(crate) enum Test {
    /// Parse syslog lines from standard input and print the events.
    ///
    /// Example: `rollcall test syslog --template junos-vpn < messages.log`
    Syslog(syslog::TestSyslog),
    /// Connect to each directory, authenticate and read one page.
    Directory {
        /// Test only the directory with this name [default: all].
        name: Option<String>,
    },
    /// Connect to each Windows event log, authenticate and subscribe.
    EventLog {
        /// Test only the event log with this name [default: all].
        name: Option<String>,
    },
}

impl Test {
    pub(super) fn run(
        &self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        match self {
            Self::Syslog(test) => test.run(config, &mut io::stdin().lock(), output),
            Self::Directory { name } => directory::test_all(name.as_deref(), config, output),
            Self::EventLog { name } => event_log::test_all(name.as_deref(), config, output),
        }
    }
}

/// Prints the report on the producer `name`.
fn print_report(
    name: &str,
    report: &TestReport<impl RemoteError>,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let failure = report.failure.as_ref();
    let remedy = failure.and_then(RemoteError::remedy);
    if output.format() == OutputFormat::Json {
        let stage: Option<&'static str> = failure.map(|failure| failure.stage().into());
        let failure = failure.map(ToString::to_string);
        return output.line(json!({
            "name": name, "lines": report.lines, "stage": stage, "failure": failure,
            "remedy": remedy,
        }));
    }
    output.line(format!("{name}:"))?;
    for line in &report.lines {
        output.line(format!("  {line}"))?;
    }
    match failure {
        Some(failure) => output.line(format!("  failed: {failure}"))?,
        None => output.line("  ok")?,
    }
    remedy.map_or(Ok(()), |remedy| output.line(format!("  remedy: {remedy}")))
}
